// Numbers to text and to a place on a bar. Pure.
import type { Point, Value } from './api';

export const isNumber = (v: Value): v is number => typeof v === 'number' && Number.isFinite(v);
export const isBad = (quality: number): boolean => quality < 64;
export const isUncertain = (quality: number): boolean => quality >= 64 && quality < 192;
/** Why there is no value, if that is what it says. */
export const noData = (v: Value): string | null => (typeof v === 'object' && v !== null ? v.no_data : null);

/** Decimals that a range can make sense of. */
export function decimals(p: Pick<Point, 'low' | 'high'> | undefined): number {
  const span = p && p.low !== null && p.high !== null ? Math.abs(p.high - p.low) : NaN;
  if (!Number.isFinite(span) || span === 0) return 2;
  return span >= 1000 ? 0 : span >= 20 ? 1 : span >= 2 ? 2 : 3;
}

/** A value as an operator reads it: a true minus, never `-0.0`, `—` where there is none. */
export function show(v: Value, places: number): string {
  if (typeof v === 'boolean') return v ? '1' : '0';
  if (typeof v === 'string') return v;
  if (!isNumber(v)) return '—';
  const plain = Number.isInteger(v) && Math.abs(v) >= 1e6 ? String(v) : v.toFixed(places);
  return plain.replace(/^-(?=0(\.0*)?$)/, '').replace('-', '−');
}

/** A limit as it was written: no zeros behind it. */
export const limitText = (v: number): string => String(+v.toPrecision(10)).replace('-', '−');

export interface Zone { from: number; to: number; step: -2 | -1 | 0 | 1 | 2 }

/**
 * The bar of a point: every normal band lies between the same two places, whatever the unit, so
 * that an eye that runs down a column sees what is out of line. `null` where there is no scale.
 */
export class Bar {
  private readonly stops: [value: number, place: number][] = [];
  readonly zones: Zone[] = [];

  constructor(p: Pick<Point, 'low' | 'high' | 'limits'>) {
    const { ll, l, h, hh } = p.limits;
    const has = (v: number | null | undefined): v is number => v !== null && v !== undefined;
    const given = [ll, l, h, hh].filter(has);
    const width = given.length > 1 ? Math.max(...given) - Math.min(...given) : Math.abs(given[0] ?? 1) || 1;
    const low = has(p.low) ? p.low : Math.min(...given, Infinity) - width * 0.25;
    const high = has(p.high) ? p.high : Math.max(...given, -Infinity) + width * 0.25;
    if (!Number.isFinite(low) || !Number.isFinite(high) || low >= high) return;
    const put = (v: number, place: number): void => {
      const last = this.stops.at(-1);
      if (!last || v > last[0]) this.stops.push([v, place]);
    };
    put(low, 0);
    if (has(ll)) put(ll, has(l) ? 0.12 : 0.26);
    if (has(l)) put(l, 0.26);
    if (has(h)) put(h, 0.74);
    if (has(hh)) put(hh, has(h) ? 0.87 : 0.74);
    put(high, 1);
    const edge = (v: number | null | undefined): number | null => (has(v) ? this.place(v) : null);
    const ends: [number, Zone['step']][] = [];
    if (has(ll)) ends.push([edge(ll) ?? 0, -2]);
    if (has(l)) ends.push([edge(l) ?? 0, -1]);
    ends.push([edge(h) ?? edge(hh) ?? 1, 0]);
    if (has(h)) ends.push([edge(hh) ?? 1, 1]);
    if (has(hh)) ends.push([1, 2]);
    let from = 0;
    for (const [to, step] of ends) {
      if (to > from) this.zones.push({ from, to, step });
      from = Math.max(from, to);
    }
  }

  get drawn(): boolean {
    return this.stops.length > 1;
  }

  /** Where a value stands, 0 to 1. */
  place(v: number): number {
    for (let i = 1; i < this.stops.length; i += 1) {
      const [v1, p1] = this.stops[i] as [number, number];
      const [v0, p0] = this.stops[i - 1] as [number, number];
      if (v <= v1 || i === this.stops.length - 1) {
        return Math.min(1, Math.max(0, p0 + ((p1 - p0) * (v - v0)) / (v1 - v0)));
      }
    }
    return 0;
  }
}

/** In which zone a value is: 2 at or beyond HH, 1 at or beyond H, mirrored for low. */
export function zoneOf(v: number, limits: Point['limits']): Zone['step'] {
  const { ll, l, h, hh } = limits;
  if (hh != null && v >= hh) return 2;
  if (h != null && v >= h) return 1;
  if (ll != null && v <= ll) return -2;
  if (l != null && v <= l) return -1;
  return 0;
}
