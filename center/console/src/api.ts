// The shapes of the centre's public API, `/api/v1`, as this page reads them. Nothing else of the
// centre is known here. Unknown fields are ignored; times are UTC nanoseconds as JS numbers, which
// is exact to 256 ns and only ever shown.

export type Priority = 1 | 2 | 3 | 4;
export type Level = 'll' | 'l' | 'h' | 'hh' | 'hhh' | 'on' | 'stale' | 'bad' | 'loss_of_view' | 'chattering';
export type Label =
  | 'NORMAL' | 'UNACK' | 'ACKED' | 'RTN_UNACK' | 'LATCH_UNACK' | 'LATCH_ACK'
  | 'SHELVED' | 'SUPPRESSED' | 'OUT_OF_SERVICE';
/** A value, or an object that says why there is none. */
export type Value = number | boolean | string | { no_data: string } | null;

export interface Regions {
  condition: 'normal' | 'pending_on' | 'active' | 'pending_off';
  eval: 'known' | 'unknown';
  acked: boolean;
  latched: boolean;
  open: boolean;
  shelved?: { kind: string; until: number } | null;
  suppressed?: string[];
  out_of_service?: { permit: string; until: number } | null;
  masked: boolean;
  audible: boolean;
}

export interface Transition {
  seq: number;
  owner: string;
  alarm: string;
  rule: string;
  kind: string;
  tag: string;
  hazard: string;
  area: string;
  level: Level;
  priority: Priority;
  occurrence: string;
  episode: string;
  from: Label;
  to: Label;
  cause: string;
  value: Value;
  quality: number;
  limit: number | null;
  unit: string;
  text: string;
  guidance: string;
  source_time: number;
  condition_start: number | null;
  annunciated_at: number | null;
  recorded_at: number;
  rule_rev: string;
  plan_rev: string;
  command_id?: string | null;
  actor?: string | null;
  reason?: string | null;
  flags: string[];
  regions: { before: Regions; after: Regions };
  prev?: string | null;
  hash?: string | null;
}

/** An alarm: its latest transition, and what the centre derives from it. */
export interface AlarmView extends Transition {
  label: Label;
  unknown: boolean;
  needs_ack: boolean;
  masked: boolean;
  provisional: boolean;
  pending_command: string | null;
  description: string;
}

export interface Hazard { id: string; name: string; grade: number | null; substance: string }
export interface Site {
  site: string;
  name: string;
  zone: string;
  version: string;
  plan_rev: string;
  hazards: Hazard[];
  areas: { id: string; name: string }[];
  gateways: { id: string; name: string }[];
}

export interface Point {
  tag: string;
  description: string;
  hazard: string;
  area: string;
  class: string;
  unit: string;
  low: number | null;
  high: number | null;
  limits: { ll?: number | null; l?: number | null; h?: number | null; hh?: number | null };
  deadband: number | null;
  gateway: string;
  source: string;
  life: 'planned' | 'commissioning' | 'in_service';
  stale_after_ms: number;
  value: Value;
  quality: number;
  quality_name: string;
  source_time: number | null;
  arrival_time: number | null;
}

export interface Gateway {
  id: string;
  name: string;
  state: string;
  beat_age_ms: number | null;
  tick_age_ms: number | null;
  session: string | null;
  plan_rev: string | null;
  plan_agrees: boolean | null;
  last_seq: number;
  acked_seq: number;
  /** Milliseconds since its last samples came in. */
  history_behind: number | null;
}

export interface NotProtecting {
  kind: string;
  tag: string | null;
  alarm: string | null;
  hazard: string | null;
  area: string | null;
  gateway: string | null;
  since: number | null;
  until: number | null;
  text: string;
  owner: string | null;
}

export type HistoryRow = [time: number, value: Value, quality: number];
/** `complete` is false where rows were thinned to keep the asked maximum. */
export interface History { tag: string; unit: string; rows: HistoryRow[]; complete: boolean }

export interface Occurrence {
  occurrence: string;
  alarm: string;
  standing: boolean;
  records: Transition[];
  explain: {
    limit: number | null;
    value: Value;
    quality: number;
    condition_start: number | null;
    annunciated_at: number | null;
    on_delay_ms: number | null;
    rule_rev: string;
    text: string;
  } | null;
}

export interface CommandState { id: string; state: 'pending' | 'applied' | 'rejected'; why: string | null }
/** A gateway's age is null where it has not been heard of. */
export interface Beat { at: number; center_tick_age_ms: number; gateways: Record<string, number | null> }
export type SampleRow = [tag: string, value: Value, quality: number, source: number, arrival: number];

/** A refusal of the centre, in its own words. */
export class Refused extends Error {
  constructor(readonly status: number, message: string, readonly remedy: string) {
    super(message);
  }
}

const BASE = '/api/v1/';

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text();
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not JSON: the status says enough.
  }
  if (response.ok && body !== null) return body as T;
  const said = (body ?? {}) as { error?: string; remedy?: string };
  throw new Refused(response.status, said.error ?? `HTTP ${response.status}`, said.remedy ?? '');
}

/** Every read has a deadline: a centre that hangs must not hang the page. */
export async function get<T>(path: string, timeout_ms = 8000): Promise<T> {
  return answer<T>(await fetch(BASE + path, { cache: 'no-store', signal: AbortSignal.timeout(timeout_ms) }));
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  return answer<T>(await fetch(BASE + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(8000),
  }));
}

/** A fresh idempotency key; `randomUUID` exists in secure contexts only. */
export function freshKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Most rows of a window; beyond that the centre thins them, keeping peaks and gaps. */
export const HISTORY_MAX = 100_000;

export function history(tag: string, from: number, to: number): Promise<History> {
  return get<History>(
    `points/${encodeURIComponent(tag)}/history?from=${from.toFixed(0)}&to=${to.toFixed(0)}&max=${HISTORY_MAX}`,
    20_000,
  );
}
