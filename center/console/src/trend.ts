// History rows to what a trend draws: a line that is never joined over a gap, and the spans in
// which it must not be believed. Pure.
import type { HistoryRow, Point } from './api';
import { isBad, isNumber, isUncertain } from './value';

export type Doubt = 'uncertain' | 'bad' | 'none';
/** Seconds since the epoch, as the chart counts. */
export interface Span { from: number; to: number; doubt: Doubt }
export interface Shape { xs: number[]; ys: (number | null)[]; spans: Span[] }

/**
 * `stale_ms` is what the point's own rule calls too long: a longer pause is a gap, and so is every
 * row that is Bad or has no number. The last row is believed until `now_s` or that long.
 */
export function shape(rows: readonly HistoryRow[], stale_ms: number, now_s: number): Shape {
  const xs: number[] = [];
  const ys: (number | null)[] = [];
  const spans: Span[] = [];
  const patience = Math.max(stale_ms, 1) / 1000;
  const doubt = (from: number, to: number, kind: Doubt): void => {
    const last = spans.at(-1);
    if (to <= from) return;
    if (last && last.doubt === kind && last.to >= from) last.to = Math.max(last.to, to);
    else spans.push({ from, to, doubt: kind });
  };
  for (let i = 0; i < rows.length; i += 1) {
    const [at_ns, value, quality] = rows[i] as HistoryRow;
    const at = at_ns / 1e9;
    const next = rows[i + 1];
    const end = next ? next[0] / 1e9 : Math.max(now_s, at);
    const number = typeof value === 'boolean' ? Number(value) : value;
    const usable = isNumber(number) && !isBad(quality);
    if (xs.length === 0 || at > (xs.at(-1) as number)) {
      xs.push(at);
      ys.push(usable ? number : null);
    }
    const pause = end - at > patience;
    if (!usable) doubt(at, end, isBad(quality) ? 'bad' : 'none');
    else {
      if (isUncertain(quality)) doubt(at, pause ? at + patience : end, 'uncertain');
      if (pause) {
        doubt(at, end, 'none');
        // A point without a value just behind it: the chart breaks its line there.
        xs.push(at + Math.min(patience, end - at) / 2);
        ys.push(null);
      }
    }
  }
  return { xs, ys, spans };
}

/** What the scale must show: the data, the limits near them, and a margin. */
export function extent(ys: readonly (number | null)[], p: Pick<Point, 'low' | 'high' | 'limits'>): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const y of ys) {
    if (y === null) continue;
    if (y < low) low = y;
    if (y > high) high = y;
  }
  const range = p.low !== null && p.high !== null ? Math.abs(p.high - p.low) : null;
  if (low > high) return p.low !== null && p.high !== null && p.low < p.high ? [p.low, p.high] : [0, 1];
  const reach = Math.max(high - low, range === null ? Math.abs(high) * 0.1 : range * 0.2);
  let [from, to] = [low, high];
  for (const limit of Object.values(p.limits)) {
    if (limit === null || limit === undefined) continue;
    if (limit >= low - reach && limit <= high + reach) {
      from = Math.min(from, limit);
      to = Math.max(to, limit);
    }
  }
  // A switch: both its states show.
  if (range === null && ys.every((y) => y === null || y === 0 || y === 1)) [from, to] = [Math.min(from, 0), Math.max(to, 1)];
  const margin = (to - from) * 0.08 || (range ?? Math.abs(to)) * 0.05 || 1;
  return [from - margin, to + margin];
}

/**
 * Which tags have a place, when `wanted` (newest first) are to be shown. Who has a place keeps it;
 * a newcomer takes the place of one that is not wanted, from the right, or of the least wanted.
 */
export function settle(places: readonly string[], wanted: readonly string[], otherwise: readonly string[], n: number): string[] {
  const now = places.slice(0, n);
  const must = [...new Set(wanted)].slice(0, n);
  for (const tag of must) {
    if (now.includes(tag)) continue;
    const free = now.length < n ? now.length : now.findLastIndex((t) => !must.includes(t));
    now[free] = tag;
  }
  for (const tag of otherwise) if (now.length < n && !now.includes(tag)) now.push(tag);
  return now;
}
