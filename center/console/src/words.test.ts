import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { WORDS, word, wordOr } from './words';

const gaps = (s: string): string[] => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? '').sort();

test('no key is missing in either language, and both have the same gaps', () => {
  for (const [key, cells] of Object.entries(WORDS)) {
    assert.equal(cells.length, 2, key);
    for (const cell of cells) assert.ok(cell.trim().length > 0, `${key} has an empty cell`);
    assert.deepEqual(gaps(cells[0]), gaps(cells[1]), `${key}: the gaps differ`);
  }
});

test('no Chinese character stands in the English column', () => {
  for (const [key, cells] of Object.entries(WORDS)) {
    if (key !== 'language') assert.doesNotMatch(cells[1], /\p{Script=Han}/u, key);
  }
});

test('no page says a word that is not in the table', () => {
  // Words in Chinese may stand in words.ts and in tests alone.
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((f) => /\.tsx?$/.test(f));
  assert.ok(files.length > 10);
  for (const file of files) {
    if (/words\.ts$|\.test\.ts$/.test(file)) continue;
    const code = readFileSync(join('src', file), 'utf8').replace(/\/\/.*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, '');
    assert.doesNotMatch(code, /\p{Script=Han}/u, `${file} has words of its own`);
  }
});

test('gaps are filled and unknown names fall back', () => {
  assert.equal(word('zh', 'priority.n', { n: 1 }), '优先级 1');
  assert.equal(word('en', 'priority.n', { n: 1 }), 'priority 1');
  assert.equal(wordOr('en', 'why.no_such_reason', 'no_such_reason'), 'no_such_reason');
  assert.equal(wordOr('en', 'why.expired', 'x'), 'the command had expired');
  assert.equal(wordOr('en', 'toString', 'x'), 'x');
});
