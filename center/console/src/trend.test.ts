import assert from 'node:assert/strict';
import test from 'node:test';
import type { HistoryRow } from './api';
import { extent, settle, shape } from './trend';

const row = (s: number, v: HistoryRow[1], q = 192): HistoryRow => [s * 1e9, v, q];

test('a steady line has no gap and no doubt', () => {
  const s = shape([row(1, 10), row(2, 11), row(3, 12)], 3000, 3.5);
  assert.deepEqual(s, { xs: [1, 2, 3], ys: [10, 11, 12], spans: [] });
});

test('a pause longer than the point may have is never joined', () => {
  const s = shape([row(1, 10), row(10, 11)], 3000, 10);
  assert.deepEqual(s.ys, [10, null, 11]);
  assert.ok(s.xs.every((x, i) => i === 0 || x > (s.xs[i - 1] as number)));
  assert.deepEqual(s.spans, [{ from: 1, to: 10, doubt: 'none' }]);
});

test('a bad row breaks the line, whether it has a value or none', () => {
  const s = shape([row(1, 10), row(2, null, 24), row(3, 11, 24), row(4, 12)], 3000, 4);
  assert.deepEqual(s.ys, [10, null, null, 12]);
  assert.deepEqual(s.spans, [{ from: 2, to: 4, doubt: 'bad' }]);
});

test('an uncertain row is drawn and hatched', () => {
  const s = shape([row(1, 10), row(2, 11, 68), row(3, 12, 68), row(4, 13)], 3000, 4);
  assert.deepEqual(s.ys, [10, 11, 12, 13]);
  assert.deepEqual(s.spans, [{ from: 2, to: 4, doubt: 'uncertain' }]);
});

test('a line that has ended is a gap up to now', () => {
  const s = shape([row(1, 10)], 3000, 60);
  assert.deepEqual(s.spans, [{ from: 1, to: 60, doubt: 'none' }]);
  assert.deepEqual(s.ys, [10, null]);
});

test('equal times keep the first, and a value that is not finite is none', () => {
  const s = shape([row(1, 10), row(1, 11), row(2, NaN), row(3, true)], 3000, 3);
  assert.deepEqual(s.ys, [10, null, 1]);
});

test('the scale shows the data and the limits near them', () => {
  const p = { low: 0, high: 100, limits: { l: 10, h: 85, hh: 90 } };
  const [from, to] = extent([80, 82], p);
  assert.ok(from < 80 && from > 60 && to > 90);
  assert.deepEqual(extent([null], p), [0, 100]);
  const [off, on] = extent([1, null, 1], { low: null, high: null, limits: {} });
  assert.ok(off < 0 && on > 1);
  const [a, b] = extent([5, 5], { low: null, high: null, limits: {} });
  assert.ok(a < 5 && b > 5);
});

test('a trend keeps its place while others come and go', () => {
  const first = ['A', 'B', 'C'];
  assert.deepEqual(settle([], [], first, 3), ['A', 'B', 'C']);
  assert.deepEqual(settle(['A', 'B', 'C'], ['X'], first, 3), ['A', 'B', 'X']);
  assert.deepEqual(settle(['A', 'B', 'X'], ['Y', 'X'], first, 3), ['A', 'Y', 'X']);
  assert.deepEqual(settle(['Z', 'Y', 'X'], ['W', 'Z', 'Y', 'X'], first, 3), ['Z', 'Y', 'W']);
  assert.deepEqual(settle(['Z', 'Y', 'W'], [], first, 3), ['Z', 'Y', 'W']);
  assert.deepEqual(settle([], ['X', 'X'], ['X'], 3), ['X']);
});
