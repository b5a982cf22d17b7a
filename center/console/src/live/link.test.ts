import assert from 'node:assert/strict';
import test from 'node:test';
import { Link } from './link';

test('a page that never hears a beat says so after two seconds', () => {
  const link = new Link(1000);
  assert.equal(link.view(1000).phase, 'starting');
  assert.equal(link.view(3000).phase, 'starting');
  const lost = link.view(3001);
  assert.equal(lost.phase, 'lost');
  assert.equal(lost.why, 'silent');
  assert.equal(lost.since, 1000);
});

test('live needs a beat and a full fetch', () => {
  const beat_first = new Link(0);
  beat_first.beat(100, 10, {});
  assert.equal(beat_first.view(100).phase, 'starting');
  beat_first.synced(200, 50);
  assert.equal(beat_first.view(200).phase, 'live');
  const fetch_first = new Link(0);
  fetch_first.synced(200, 50);
  assert.equal(fetch_first.view(200).phase, 'starting');
  fetch_first.beat(300, 10, {});
  assert.equal(fetch_first.view(300).phase, 'live');
});

test('silence of more than two seconds is a loss, counted from the last beat', () => {
  const link = new Link(0);
  link.beat(100, 0, {});
  link.synced(150, 50);
  assert.equal(link.view(2100).phase, 'live');
  const lost = link.view(2101);
  assert.deepEqual([lost.phase, lost.since, lost.why], ['lost', 100, 'silent']);
});

test('a page that has beats but cannot read the rest is not live', () => {
  const link = new Link(0);
  link.beat(100, 0, {});
  assert.equal(link.view(100).phase, 'starting');
  link.beat(2100, 0, {});
  assert.deepEqual([link.view(2100).phase, link.view(2100).why], ['lost', 'resync']);
  link.synced(2200, 60);
  assert.equal(link.view(2200).phase, 'live');
});

test('a stream that could not be resumed is a loss if the full fetch does not follow', () => {
  const link = new Link(0);
  link.beat(100, 0, {});
  link.synced(150, 50);
  link.resync(1000);
  link.beat(1500, 0, {});
  link.beat(2900, 0, {});
  assert.equal(link.view(2900).phase, 'live');
  link.beat(3100, 0, {});
  assert.deepEqual([link.view(3100).phase, link.view(3100).why], ['lost', 'resync']);
  link.synced(3200, 900); // began before the hole
  assert.equal(link.view(3200).phase, 'lost');
  link.synced(3200, 1001);
  assert.equal(link.view(3200).phase, 'live');
});

test('beats alone do not end a loss: a full fetch that began after it does', () => {
  const link = new Link(0);
  link.beat(100, 0, {});
  link.synced(150, 50);
  assert.equal(link.view(5000).phase, 'lost');
  link.beat(6000, 0, {});
  assert.deepEqual([link.view(6000).phase, link.view(6000).why], ['lost', 'resync']);
  link.synced(6100, 4000); // began before the loss was noticed
  assert.equal(link.view(6100).phase, 'lost');
  link.synced(6200, 6050);
  assert.equal(link.view(6200).phase, 'live');
});

test('a fetch that ends after the beats have stopped again does not show live', () => {
  const link = new Link(0);
  link.beat(100, 0, {});
  link.synced(150, 50);
  link.view(3000);
  link.beat(4000, 0, {});
  link.synced(7000, 4100);
  assert.equal(link.view(7000).phase, 'lost');
});

test('a loss between two looks is not missed', () => {
  const link = new Link(0);
  link.beat(100, 0, {});
  link.synced(150, 50);
  // The tab slept: nothing looked between 100 and 9000, and then a beat came.
  link.beat(9000, 0, {});
  assert.equal(link.view(9000).phase, 'lost');
});

test('a centre whose engine hangs behind a living stream is a loss', () => {
  const link = new Link(0);
  link.beat(100, 0, {});
  link.synced(150, 50);
  link.beat(600, 400, {});
  assert.equal(link.view(600).phase, 'live');
  link.beat(2500, 2100, {});
  const lost = link.view(2500);
  assert.deepEqual([lost.phase, lost.why], ['lost', 'engine']);
});

test('a gateway is dead when its tick is older than three seconds or nobody names it', () => {
  const link = new Link(0);
  link.beat(100, 0, { a: 100, b: 2900 });
  assert.equal(link.gateway_dead('a', 100), false);
  assert.equal(link.gateway_dead('b', 100), false);
  assert.equal(link.gateway_dead('b', 201), true);
  assert.equal(link.gateway_dead('c', 100), true);
  link.beat(200, 0, { a: 0, d: null });
  assert.equal(link.gateway_dead('d', 200), true);
  assert.equal(link.gateway_age('d', 200), null);
  assert.equal(link.gateway_dead('b', 200), true);
});
