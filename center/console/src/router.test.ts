import assert from 'node:assert/strict';
import test from 'node:test';
import { href, parse } from './router';

test('an address leads back to where it was made', () => {
  const check = (to: string, page: string, tag: string, query: object): void => {
    const r = parse(to);
    assert.deepEqual([r.page, r.tag, Object.fromEntries(r.query)], [page, tag, query]);
  };
  check(href('alarms', { seg: 'unacked', q: '罐 区/3', p: '' }), 'alarms', '', { seg: 'unacked', q: '罐 区/3' });
  check(href('point', { w: '60' }, 'LT-A/1?x#y'), 'point', 'LT-A/1?x#y', { w: '60' });
  check('', 'overview', '', {});
  check('#/no-such-page', 'overview', '', {});
  check('#/point/%zz', 'point', '%zz', {});
});
