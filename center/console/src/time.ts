// Times for people: the site's zone, from UTC nanoseconds. The page's own clock is corrected to
// the centre's by its beats, so that ages do not depend on the clock of a desk computer.

let zone = 'Asia/Shanghai';
let offset_ms: number | null = null;

const makers = new Map<string, Intl.DateTimeFormat>();
function maker(kind: 'clock' | 'day'): Intl.DateTimeFormat {
  const key = `${kind} ${zone}`;
  let made = makers.get(key);
  if (!made) {
    const options: Intl.DateTimeFormatOptions = kind === 'clock'
      ? { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: zone }
      : { year: 'numeric', month: '2-digit', day: '2-digit', timeZone: zone };
    // `en-CA` and `sv` write dates with dashes; the digits are the same in every language here.
    made = new Intl.DateTimeFormat(kind === 'clock' ? 'en-GB' : 'en-CA', options);
    makers.set(key, made);
  }
  return made;
}

/** The site's zone; one that this browser does not know is left out and UTC shown. */
export function setZone(name: string): void {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: name });
    zone = name;
  } catch {
    zone = 'UTC';
  }
}

export const zoneName = (): string => zone;

/** A beat says what time it is at the centre. The smallest delay seen is the best estimate. */
export function heardTime(at_ns: number): void {
  const seen = at_ns / 1e6 - Date.now();
  if (offset_ms === null || seen > offset_ms || Math.abs(seen - offset_ms) > 1000) offset_ms = seen;
}

/** Milliseconds since the epoch, by the centre's clock. */
export const nowMs = (): number => Date.now() + (offset_ms ?? 0);

const ms = (ns: number): number => ns / 1e6;
export const clock = (ns: number): string => maker('clock').format(ms(ns));
export const clockMs = (ns: number): string => `${clock(ns)}.${String(Math.floor(ms(ns)) % 1000).padStart(3, '0')}`;
export const day = (ns: number): string => maker('day').format(ms(ns));
/** The time, with its day where that is not today. */
export const when = (ns: number): string => (day(ns) === day(nowMs() * 1e6) ? clock(ns) : `${day(ns).slice(5)} ${clock(ns)}`);

const two = (n: number): string => String(n).padStart(2, '0');
/** A span: `04:05`, `1:04:05`, `3 d 01:04`. */
export function span(milliseconds: number): string {
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  const d = Math.floor(s / 86400);
  const h = Math.floor((s % 86400) / 3600);
  const m = Math.floor((s % 3600) / 60);
  if (d > 0) return `${d} d ${two(h)}:${two(m)}`;
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${two(m)}:${two(s % 60)}`;
}
