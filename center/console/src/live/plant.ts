// What the centre has told the page, and what follows from it. A copy, never a truth: every full
// fetch replaces it whole. Written by `stream.ts`, read by the pages.
import { byUrgency, isActive, isBlind, isListed, isStanding, isUnacked, keyOf, markOf, MARKS, rowOf, type Mark, type Row } from '../alarm';
import type { AlarmView, Beat, Gateway, NotProtecting, Point, SampleRow, Site } from '../api';
import { nowMs } from '../time';
import { Link } from './link';
import { changed, subscribe } from './topics';

/** A point with the moment at which this page had its value (ms, the page's wall clock). */
export type LivePoint = Point & { shown_at: number };

export interface Count { unacked: number; unackedActive: number; standing: number }
export interface HazardState { worst: Mark | null; counts: Map<Mark, Count>; unacked: number; standing: number }

export const link = new Link(performance.now());
export const plant = {
  site: null as Site | null,
  points: new Map<string, LivePoint>(),
  gateways: new Map<string, Gateway>(),
  alarms: new Map<string, Row>(),
  /** All listed alarms, most urgent first. Sorted when somebody asks after a change. */
  protecting: [] as NotProtecting[],
  /** False until the list has been read, and after a read that failed. */
  protecting_known: false,
  /** Whether a full fetch has ever been shown. */
  read: false,
};

// ---- alarms ----

let sorted: Row[] = [];
let dirty = true;

/**
 * The hazard sources that an alarm is about. One of a source, a gateway or a gateway's own parts may
 * name none: it is about every hazard source that has a point behind it.
 */
export function hazardsOf(a: AlarmView): readonly string[] {
  if (a.hazard) return [a.hazard];
  const found = new Set<string>();
  for (const p of behindIt(a) ?? []) found.add(p.hazard);
  return found.size > 0 ? [...found] : [''];
}

/** The points behind an alarm of a source or of a gateway; null for every other. */
function behindIt(a: AlarmView): LivePoint[] | null {
  const source = a.rule === 'source' ? sourceOf(a) : null;
  const gateway = source !== null ? null : a.owner === 'center' ? a.tag : a.rule === 'system' ? a.owner : null;
  if (source === null && gateway === null) return null;
  return [...plant.points.values()].filter((p) => p.source === source || p.gateway === gateway);
}

/** How many points an alarm of a whole source, or of a gateway's silence, is about. */
export function pointsBehind(a: AlarmView): number | null {
  return a.rule === 'source' || (a.owner === 'center' && a.kind === 'stale') ? behindIt(a)?.length ?? null : null;
}

const sourceOf = (a: AlarmView): string => a.alarm.split('/').slice(1, -1).join('/');

/** What follows from the alarms, worked out once per change. */
export interface Summary {
  banner: Map<Mark, Count>;
  hazards: Map<string, HazardState>;
  /** Active loss-of-view alarms by tag, and those of a whole source by its id. */
  blind: Map<string, Row>;
  sources: Map<string, Row>;
  byTag: Map<string, Row[]>;
  /** The most urgent standing alarm of each hazard source. */
  firstOf: Map<string, Row>;
  noGuidance: number;
  /** Occurrences annunciated in the last ten minutes. */
  recent: number;
}
let summary: Summary | null = null;

/** When each occurrence of the last ten minutes was annunciated: the count of a flood. */
const annunciated = new Map<string, number>();
const FLOOD_NS = 600e9;
export const FLOOD = 10;
const note = (a: AlarmView): void => {
  // One that a worse alarm, or the loss of its source, stood for all its life was never annunciated.
  if (a.occurrence && a.annunciated_at !== null && isStanding(a)) annunciated.set(a.occurrence, a.annunciated_at);
};

function touch(): void {
  dirty = true;
  summary = null;
  changed('alarms');
}

/** A transition as the stream tells it. A provisional copy never replaces the sealed record. */
export function putAlarm(a: AlarmView): void {
  const key = keyOf(a);
  const before = plant.alarms.get(key)?.a;
  if (a.provisional && before && !before.provisional && before.seq >= a.seq) return;
  note(a);
  if (isListed(a)) plant.alarms.set(key, rowOf(a));
  else plant.alarms.delete(key);
  touch();
}

export function setAlarms(all: AlarmView[]): void {
  all.forEach(note);
  plant.alarms = new Map(all.filter(isListed).map((a) => [keyOf(a), rowOf(a)]));
  touch();
}

export function rows(): Row[] {
  if (dirty) {
    sorted = [...plant.alarms.values()].sort(byUrgency);
    dirty = false;
  }
  return sorted;
}

const blank = (): Map<Mark, Count> => new Map(MARKS.map((m) => [m, { unacked: 0, unackedActive: 0, standing: 0 }]));
const severity = (m: Mark, a: AlarmView): number => a.priority * 2 + (m === 'L' ? 1 : 0);

function tally(counts: Map<Mark, Count>, mark: Mark, a: AlarmView): void {
  const c = counts.get(mark);
  if (!c) return;
  c.standing += 1;
  if (isUnacked(a)) c.unacked += 1;
  if (isUnacked(a) && a.label !== 'RTN_UNACK') c.unackedActive += 1;
}

export function summarised(): Summary {
  if (summary) return summary;
  const banner = blank();
  const hazards = new Map<string, HazardState>();
  const worst = new Map<string, number>();
  const blind = new Map<string, Row>();
  const sources = new Map<string, Row>();
  const byTag = new Map<string, Row[]>();
  const firstOf = new Map<string, Row>();
  let noGuidance = 0;
  for (const row of rows()) {
    const { a } = row;
    const at = byTag.get(a.tag);
    if (at) at.push(row);
    else byTag.set(a.tag, [row]);
    if (isBlind(a) && isActive(a)) {
      if (a.rule === 'source') sources.set(sourceOf(a), row);
      else blind.set(a.tag, row);
    }
    if (!isStanding(a)) continue;
    if (!a.guidance) noGuidance += 1;
    const mark = markOf(a);
    tally(banner, mark, a);
    for (const id of hazardsOf(a)) {
      if (!firstOf.has(id)) firstOf.set(id, row);
      let hazard = hazards.get(id);
      if (!hazard) hazards.set(id, (hazard = { worst: null, counts: blank(), unacked: 0, standing: 0 }));
      tally(hazard.counts, mark, a);
      hazard.standing += 1;
      if (isUnacked(a)) hazard.unacked += 1;
      const s = severity(mark, a);
      if (s < (worst.get(id) ?? Infinity)) {
        worst.set(id, s);
        hazard.worst = mark;
      }
    }
  }
  const old = nowMs() * 1e6 - FLOOD_NS;
  for (const [occurrence, at] of annunciated) if (at < old) annunciated.delete(occurrence);
  return (summary = { banner, hazards, blind, sources, byTag, firstOf, noGuidance, recent: annunciated.size });
}

// ---- points ----

export function setPoints(all: Point[]): void {
  const at = Date.now();
  plant.points = new Map(all.map((p) => [p.tag, { ...p, limits: p.limits ?? {}, shown_at: at }]));
  changed('values');
}

const watchers = new Map<string, Set<(row: SampleRow) => void>>();
/** Hears every sample of one tag: the trend that is open. */
export function watch(tag: string, hear: (row: SampleRow) => void): () => void {
  const set = watchers.get(tag) ?? new Set();
  watchers.set(tag, set);
  set.add(hear);
  return () => set.delete(hear);
}

export function putSamples(samples: SampleRow[]): void {
  const at = Date.now();
  for (const row of samples) {
    const p = plant.points.get(row[0]);
    if (!p) continue; // a point of another plan: the next full fetch brings it
    [, p.value, p.quality, p.source_time, p.arrival_time] = row;
    p.shown_at = at;
    watchers.get(row[0])?.forEach((hear) => hear(row));
  }
  changed('values');
}

/** Why a value must not be believed, beyond its own quality; null: nothing known against it. */
export function distrust(p: LivePoint): { why: 'gateway' | 'source' | 'stale'; name: string } | null {
  if (link.view(performance.now()).phase === 'live' && link.gateway_dead(p.gateway, performance.now())) return { why: 'gateway', name: p.gateway };
  const { sources, blind } = summarised();
  if (sources.has(p.source)) return { why: 'source', name: p.source };
  if (blind.has(p.tag)) return { why: 'stale', name: p.tag };
  return null;
}

// ---- the rest ----

export function putGateway(g: Gateway): void {
  plant.gateways.set(g.id, g);
  changed('gateways');
}

export function setGateways(all: Gateway[]): void {
  plant.gateways = new Map(all.map((g) => [g.id, g]));
  changed('gateways');
}

export function putBeat(b: Beat): void {
  link.beat(performance.now(), b.center_tick_age_ms, b.gateways ?? {});
  changed('gateways');
}

/** Rank of a hazard source: the worst grade first, the ungraded last. */
export const gradeOf = (hazard: string | null): number => plant.site?.hazards.find((h) => h.id === hazard)?.grade ?? 9;

/** What does not protect, sorted by the hazard it uncovers, then by deadline. */
export function setProtecting(items: NotProtecting[] | null): void {
  plant.protecting_known = items !== null;
  if (items) {
    plant.protecting = [...items].sort((x, y) =>
      gradeOf(x.hazard) - gradeOf(y.hazard)
      || (x.until ?? Infinity) - (y.until ?? Infinity)
      || (x.since ?? 0) - (y.since ?? 0)
      || (x.tag ?? '').localeCompare(y.tag ?? ''));
  }
  changed('protecting');
}

/** Items of a hazard source, by id. */
export function protectingByHazard(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of plant.protecting) counts.set(item.hazard ?? '', (counts.get(item.hazard ?? '') ?? 0) + 1);
  return counts;
}

subscribe('site', () => setProtecting(plant.protecting_known ? plant.protecting : null));
