import assert from 'node:assert/strict';
import test from 'node:test';
import { blocks, runs } from './markdown';

const plain = (text: string): object => ({ text, bold: false });

test('a guidance page reads as headings, paragraphs and numbered steps', () => {
  const page = '# 储罐液位超限\n\n**原因** 进料阀未关到位；\n串罐。\n\n1. 停进料泵。\n2. 撤离\n   人员。\n\n- a\n* b\n';
  assert.deepEqual(blocks(page), [
    { kind: 'heading', level: 1, runs: [plain('储罐液位超限')] },
    { kind: 'text', runs: [{ text: '原因', bold: true }, plain(' 进料阀未关到位； 串罐。')] },
    { kind: 'list', ordered: true, start: 1, items: [[plain('停进料泵。')], [plain('撤离 人员。')]] },
    { kind: 'list', ordered: false, start: 1, items: [[plain('a')], [plain('b')]] },
  ]);
});

test('a list may follow its heading words without a blank line', () => {
  assert.deepEqual(blocks('**处置**\n1. 停泵').map((b) => b.kind), ['text', 'list']);
  assert.deepEqual(blocks('3. c\n4. d').map((b) => b.kind === 'list' && b.start), [3]);
});

test('HTML and links are text, never more', () => {
  const hostile = '<img src=x onerror=alert(1)> [a](javascript:alert(1))';
  assert.deepEqual(blocks(hostile), [{ kind: 'text', runs: [plain(hostile)] }]);
});

test('stars that enclose nothing are stars', () => {
  assert.deepEqual(runs('2 ** 3 ** 4'), [plain('2 ** 3 ** 4')]);
  assert.deepEqual(runs('a **b** c'), [plain('a '), { text: 'b', bold: true }, plain(' c')]);
  assert.deepEqual(blocks(''), []);
});
