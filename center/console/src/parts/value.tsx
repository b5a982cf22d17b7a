// A value as it may be believed: plain, marked uncertain, struck, or a dash with its reason.
import type { Value } from '../api';
import { distrust, type LivePoint } from '../live/plant';
import { language, t } from '../prefs';
import { Bar, isBad, isNumber, isUncertain, noData, show, zoneOf } from '../value';
import { wordOr } from '../words';

export const qualityText = (q: number): string => wordOr(language(), `quality.${q}`, t('quality.other', { n: q }));

export interface Belief { state: 'good' | 'uncertain' | 'struck'; reason: string }

/** Whether a point's value may be believed now, and why not. */
export function beliefOf(p: LivePoint): Belief {
  const against = distrust(p);
  if (against) {
    return { state: 'struck', reason: against.why === 'stale' ? t('quality.stale_now') : t(`quality.${against.why}`, { n: against.name }) };
  }
  const none = noData(p.value);
  if (p.value === null || none) {
    return { state: 'struck', reason: [qualityText(p.quality), none ? wordOr(language(), `no_data.${none}`, none) : ''].filter(Boolean).join(', ') };
  }
  if (isBad(p.quality)) return { state: 'struck', reason: qualityText(p.quality) };
  if (isUncertain(p.quality)) return { state: 'uncertain', reason: qualityText(p.quality) };
  return { state: 'good', reason: '' };
}

/** Number and unit. `live` is what a lost link strikes. */
export function Val({ value, places, unit, belief }: { value: Value; places: number; unit: string; belief?: Belief }) {
  const state = belief?.state ?? 'good';
  const text = show(value, places);
  return (
    <span class={`val live ${state} ${text === '—' ? 'nothing' : ''}`} title={belief?.reason || undefined}>
      {state === 'uncertain' && <i class="doubt" aria-hidden="true">?</i>}
      <b>{text}</b>
      {unit && <u>{unit}</u>}
      {belief?.reason && <span class="sr">{belief.reason}</span>}
    </span>
  );
}

const ZONES = { [-2]: 'z2', [-1]: 'z1', 0: 'z0', 1: 'z1', 2: 'z2' } as const;

/** The normalised bar. A value that is not believed has no pointer: the bar is hatched. */
export function BarView({ p, belief, alarm }: { p: LivePoint; belief: Belief; alarm: string | null }) {
  const bar = new Bar(p);
  if (!bar.drawn || typeof p.value === 'string') return <span class="bar" />;
  const v = typeof p.value === 'boolean' ? Number(p.value) : p.value;
  const at = isNumber(v) && belief.state !== 'struck' ? bar.place(v) * 100 : null;
  const zone = isNumber(v) ? zoneOf(v, p.limits) : 0;
  return (
    <span class="bar live-drawing" aria-hidden="true">
      <svg viewBox="0 0 100 16" preserveAspectRatio="none">
        {bar.zones.map((z) => (
          <rect key={z.step} class={alarm && z.step === zone && z.step !== 0 ? `hot m${alarm}` : ZONES[z.step]}
            x={z.from * 100} y="5" width={(z.to - z.from) * 100} height="7" />
        ))}
        {belief.state === 'struck' && <rect class="blind" x="0" y="5" width="100" height="7" />}
      </svg>
      {at !== null && <i class="pointer" style={{ left: `${at}%` }} />}
    </span>
  );
}
