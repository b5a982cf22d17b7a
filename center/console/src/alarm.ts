// What an alarm is to the eye: its mark, its place in the list, its state in words. Pure.
// Words themselves stand in `words.ts`.
import type { AlarmView, Level, Priority } from './api';
import { line } from './sentence';
import type { Word } from './words';

/** How an alarm is drawn: by priority, or as loss of view. */
export type Mark = Priority | 'L';
export const MARKS: readonly Mark[] = [1, 2, 3, 4, 'L'];

/** How its symbol looks: solid flashing, outline slow, solid steady, dashed, purple dashed. */
export type Mode = 'unacked' | 'returned' | 'steady' | 'aside' | 'unknown';

const BLIND: readonly Level[] = ['stale', 'bad', 'loss_of_view'];

export const isBlind = (a: Pick<AlarmView, 'level'>): boolean => BLIND.includes(a.level);
export const markOf = (a: AlarmView): Mark => (isBlind(a) ? 'L' : a.priority);

/** Set aside by a person or by design: it stands, it does not annunciate. */
export const isAside = (a: AlarmView): boolean =>
  a.label === 'SHELVED' || a.label === 'SUPPRESSED' || a.label === 'OUT_OF_SERVICE';
/** Annunciated and not acknowledged. A masked one is not annunciated: the worse level is. */
export const isUnacked = (a: AlarmView): boolean => a.needs_ack && !a.masked && !isAside(a);
/** Its condition holds, whoever has seen it. */
export const isActive = (a: AlarmView): boolean => a.label === 'UNACK' || a.label === 'ACKED';
/** Annunciated: it counts for tiles and banner. */
export const isStanding = (a: AlarmView): boolean => a.label !== 'NORMAL' && !isAside(a) && !a.masked;
/** Only the overlay stands: it can neither trip nor clear. */
export const isUnknownOnly = (a: AlarmView): boolean => a.unknown && a.label === 'NORMAL';
/** On the list at all. */
export const isListed = (a: AlarmView): boolean => a.label !== 'NORMAL' || a.unknown;

export function modeOf(a: AlarmView): Mode {
  if (isUnknownOnly(a)) return 'unknown';
  if (isAside(a) || a.masked) return 'aside';
  if (a.label === 'RTN_UNACK') return 'returned';
  return isUnacked(a) ? 'unacked' : 'steady';
}

export interface StateWords { mark: string; word: Word; also: Word | null }

export function stateOf(a: AlarmView): StateWords {
  const also: Word | null = a.unknown && a.label !== 'NORMAL' ? 'state.also_unknown' : null;
  if (a.provisional) return { mark: '…', word: 'state.provisional', also };
  if (isUnknownOnly(a)) return { mark: '?', word: 'state.unknown', also: null };
  switch (a.label) {
    case 'SHELVED': return { mark: '◷', word: 'state.shelved', also };
    case 'SUPPRESSED': return { mark: '⊘', word: 'state.suppressed', also };
    case 'OUT_OF_SERVICE': return { mark: '✕', word: 'state.out_of_service', also };
    default:
  }
  if (a.masked) return { mark: '↥', word: 'state.masked', also };
  switch (a.label) {
    case 'UNACK': return { mark: '■', word: 'state.unack', also };
    case 'LATCH_UNACK': return { mark: '■', word: 'state.latch_unack', also };
    case 'RTN_UNACK': return { mark: '□', word: 'state.rtn_unack', also };
    case 'LATCH_ACK': return { mark: '⟲', word: 'state.latch_ack', also };
    default: return { mark: '✓', word: 'state.acked', also };
  }
}

/** When it came up, for people. */
export const timeOf = (a: AlarmView): number => (isUnknownOnly(a) ? a.recorded_at : a.annunciated_at ?? a.recorded_at);

/** Name that no other alarm of the site has: system alarms exist once per owner. */
export const keyOf = (a: Pick<AlarmView, 'owner' | 'alarm'>): string => `${a.owner} ${a.alarm}`;

/** An alarm with its place in the list worked out once, when it came. */
export interface Row { a: AlarmView; key: string; group: number; rank: number; time: number; hay: string }

export function rowOf(a: AlarmView): Row {
  const group =
    isUnacked(a) ? 0
    : isStanding(a) || a.masked ? 1
    : isUnknownOnly(a) ? 2
    : 3;
  return {
    a,
    key: keyOf(a),
    group,
    // Within a priority: process alarms, then loss of view; of each, those that are still active first.
    rank: a.priority * 4 + (isBlind(a) ? 2 : 0) + (a.label === 'RTN_UNACK' ? 1 : 0) + (a.masked ? 0.5 : 0),
    time: timeOf(a),
    hay: `${a.tag} ${a.text} ${line('en', a)} ${a.rule} ${a.owner}`.toLowerCase(),
  };
}

/** Unacknowledged first, then the worst, then the newest; ties by name, so that rows never dance. */
export const byUrgency = (x: Row, y: Row): number =>
  x.group - y.group || x.rank - y.rank || y.time - x.time || (x.key < y.key ? -1 : 1);

export const SEGMENTS = ['all', 'unacked', 'active', 'reset', 'shelved', 'aside', 'unknown'] as const;
export type Segment = (typeof SEGMENTS)[number];

export function inSegment(a: AlarmView, s: Segment): boolean {
  switch (s) {
    case 'all': return true;
    case 'unacked': return isUnacked(a);
    case 'active': return isActive(a) && !a.masked;
    case 'reset': return a.label === 'LATCH_ACK' || a.label === 'LATCH_UNACK';
    case 'shelved': return a.label === 'SHELVED';
    case 'aside': return a.label === 'SUPPRESSED' || a.label === 'OUT_OF_SERVICE';
    case 'unknown': return a.unknown;
  }
}

export interface Filter { segment: Segment; mark: Mark | null; hazard: string; text: string }

/** `about` names the hazard sources that an alarm is about. */
export function passes(r: Row, f: Filter, about: (a: AlarmView) => readonly string[]): boolean {
  return inSegment(r.a, f.segment)
    && (f.mark === null || markOf(r.a) === f.mark)
    && (!f.hazard || about(r.a).includes(f.hazard))
    && (!f.text || r.hay.includes(f.text.toLowerCase()));
}

/** Why an acknowledgement would be refused before it is sent; null: it may go. */
export function ackRefusal(a: AlarmView, lost: boolean): Word | null {
  if (lost) return 'ack.locked';
  if (a.provisional) return 'ack.provisional';
  if (!a.occurrence || !a.needs_ack) return 'ack.nothing';
  return null;
}

/** The sign of a level's comparison, where it has one. */
export const sign = (level: Level): string => (level.startsWith('h') ? '≥' : level === 'l' || level === 'll' ? '≤' : '');
