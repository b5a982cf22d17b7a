import assert from 'node:assert/strict';
import test from 'node:test';
import { ackRefusal, byUrgency, inSegment, markOf, modeOf, passes, rowOf, stateOf } from './alarm';
import type { AlarmView } from './api';

function alarm(over: Partial<AlarmView>): AlarmView {
  const label = over.label ?? 'UNACK';
  return {
    seq: 1, owner: 'gw', alarm: `table/${over.tag ?? 'T'}/${over.level ?? 'h'}`, rule: 'table', kind: 'level', tag: 'T', hazard: 'A',
    area: '', level: 'h', priority: 2, occurrence: 'o', episode: 'o', from: 'NORMAL', to: label, cause: 'condition', value: 1,
    quality: 192, limit: 1, unit: 'm', text: 'text', guidance: '', source_time: 0, condition_start: 0, annunciated_at: 100,
    recorded_at: 100, rule_rev: '', plan_rev: '', flags: [], label, unknown: false,
    needs_ack: label.includes('UNACK'), masked: false, provisional: false, pending_command: null, description: '',
    regions: { before: {}, after: {} }, ...over,
  } as AlarmView;
}

test('the list is sorted by unacknowledged, then priority, then newest', () => {
  const rows = [
    alarm({ tag: 'shelved', label: 'SHELVED', priority: 1, needs_ack: false }),
    alarm({ tag: 'unknown', label: 'NORMAL', unknown: true, priority: 1 }),
    alarm({ tag: 'acked', label: 'ACKED', priority: 1 }),
    alarm({ tag: 'returned', label: 'RTN_UNACK', priority: 1 }),
    alarm({ tag: 'older', annunciated_at: 1 }),
    alarm({ tag: 'newer', annunciated_at: 9 }),
    alarm({ tag: 'blind1', level: 'loss_of_view', priority: 1 }),
    alarm({ tag: 'worst', priority: 1, annunciated_at: 0 }),
    alarm({ tag: 'low', priority: 4, annunciated_at: 99 }),
  ].map(rowOf).sort(byUrgency).map((r) => r.a.tag);
  assert.deepEqual(rows, ['worst', 'returned', 'blind1', 'newer', 'older', 'low', 'acked', 'unknown', 'shelved']);
});

test('each state has its own mark', () => {
  const check = (over: Partial<AlarmView>, mode: string, word: string): void => {
    const a = alarm(over);
    assert.equal(modeOf(a), mode, JSON.stringify(over));
    assert.equal(stateOf(a).word, word, JSON.stringify(over));
  };
  check({ label: 'UNACK' }, 'unacked', 'state.unack');
  check({ label: 'LATCH_UNACK' }, 'unacked', 'state.latch_unack');
  check({ label: 'RTN_UNACK' }, 'returned', 'state.rtn_unack');
  check({ label: 'ACKED' }, 'steady', 'state.acked');
  check({ label: 'LATCH_ACK' }, 'steady', 'state.latch_ack');
  check({ label: 'SHELVED', needs_ack: true }, 'aside', 'state.shelved');
  check({ label: 'SUPPRESSED' }, 'aside', 'state.suppressed');
  check({ label: 'OUT_OF_SERVICE' }, 'aside', 'state.out_of_service');
  check({ label: 'NORMAL', unknown: true }, 'unknown', 'state.unknown');
  check({ label: 'UNACK', masked: true }, 'aside', 'state.masked');
});

test('an alarm that is unknown while it stands keeps its own state and says both', () => {
  const a = alarm({ label: 'UNACK', unknown: true });
  assert.equal(modeOf(a), 'unacked');
  assert.equal(stateOf(a).also, 'state.also_unknown');
  assert.ok(inSegment(a, 'unknown') && inSegment(a, 'unacked'));
});

test('stale, bad and lost views are marked as loss of view, a stuck gauge is not', () => {
  assert.equal(markOf(alarm({ level: 'stale' })), 'L');
  assert.equal(markOf(alarm({ level: 'bad' })), 'L');
  assert.equal(markOf(alarm({ level: 'loss_of_view' })), 'L');
  assert.equal(markOf(alarm({ level: 'on', priority: 2 })), 2);
});

test('an ack is refused before it is sent while blind, provisional or needless', () => {
  assert.equal(ackRefusal(alarm({}), true), 'ack.locked');
  assert.equal(ackRefusal(alarm({ provisional: true }), false), 'ack.provisional');
  assert.equal(ackRefusal(alarm({ label: 'ACKED' }), false), 'ack.nothing');
  assert.equal(ackRefusal(alarm({ occurrence: '' }), false), 'ack.nothing');
  assert.equal(ackRefusal(alarm({}), false), null);
});

test('a filter needs all of its parts', () => {
  const r = rowOf(alarm({ tag: 'LT-1', text: '储罐液位高高', hazard: 'TF3', priority: 1 }));
  const about = (a: AlarmView): string[] => [a.hazard];
  const f = { segment: 'all', mark: null, hazard: '', text: '' } as const;
  assert.ok(passes(r, f, about));
  assert.ok(passes(r, { ...f, text: 'lt-1' }, about));
  assert.ok(passes(r, { ...f, text: '液位' }, about));
  assert.ok(!passes(r, { ...f, text: 'pt' }, about));
  assert.ok(!passes(r, { ...f, mark: 2 }, about));
  assert.ok(!passes(r, { ...f, hazard: 'NH3' }, about));
  assert.ok(!passes(r, { ...f, segment: 'shelved' }, about));
});
