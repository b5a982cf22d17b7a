import assert from 'node:assert/strict';
import test from 'node:test';
import { Bar, decimals, limitText, show, zoneOf } from './value';

test('numbers read as an operator reads them', () => {
  assert.equal(show(-0.04, 1), '0.0');
  assert.equal(show(-1.94, 1), '−1.9');
  assert.equal(show(null, 1), '—');
  assert.equal(show({ no_data: 'null' }, 1), '—');
  assert.equal(show(true, 1), '1');
  assert.equal(show('RUN', 1), 'RUN');
  assert.equal(show(NaN, 1), '—');
  assert.equal(show(12345678, 2), '12345678');
  assert.equal(limitText(0.1 + 0.2), '0.3');
  assert.equal(limitText(-5), '−5');
  assert.equal(decimals({ low: 0, high: 100 }), 1);
  assert.equal(decimals({ low: 0, high: 1.6 }), 3);
  assert.equal(decimals({ low: null, high: null }), 2);
});

test('every normal band lies between the same two places', () => {
  const full = { ll: 5, l: 10, h: 85, hh: 90 };
  for (const scale of [1, 0.01, 1000]) {
    const limits = { ll: full.ll * scale, l: full.l * scale, h: full.h * scale, hh: full.hh * scale };
    const bar = new Bar({ low: 0, high: 100 * scale, limits });
    assert.ok(Math.abs(bar.place(limits.l) - 0.26) < 1e-9);
    assert.ok(Math.abs(bar.place(limits.h) - 0.74) < 1e-9);
    assert.deepEqual(bar.zones.map((z) => z.step), [-2, -1, 0, 1, 2]);
    assert.equal(bar.zones.at(0)?.from, 0);
    assert.equal(bar.zones.at(-1)?.to, 1);
  }
});

test('a bar holds whatever limits there are', () => {
  const check = (low: number | null, high: number | null, limits: object, steps: number[]): void => {
    const bar = new Bar({ low, high, limits });
    assert.deepEqual(bar.zones.map((z) => z.step), steps, JSON.stringify(limits));
    for (const v of [-1e9, 0, 50, 1e9]) assert.ok(bar.place(v) >= 0 && bar.place(v) <= 1);
  };
  check(0, 100, {}, [0]);
  check(0, 100, { h: 80 }, [0, 1]);
  check(0, 100, { hh: 90 }, [0, 2]);
  check(0, 100, { l: 10, h: 80 }, [-1, 0, 1]);
  check(null, null, { h: 25, hh: 50 }, [0, 1, 2]);
  check(null, null, { h: 25 }, [0, 1]);
  assert.equal(new Bar({ low: null, high: null, limits: {} }).drawn, false);
  assert.equal(new Bar({ low: 5, high: 5, limits: {} }).drawn, false);
});

test('a value on a limit is in its zone', () => {
  const limits = { ll: 5, l: 10, h: 85, hh: 90 };
  assert.deepEqual([5, 5.1, 10, 10.1, 84.9, 85, 90].map((v) => zoneOf(v, limits)), [-2, -1, -1, 0, 0, 1, 2]);
});
