// Three small trends at the foot of the overview: the points that alarmed last.
import { isActive } from '../alarm';
import { plant, rows, summarised, type LivePoint } from '../live/plant';
import { useTopics } from '../live/topics';
import { href } from '../router';
import { t } from '../prefs';
import { decimals } from '../value';
import { Chart, useTrend } from './chart';
import { settle } from '../trend';
import { beliefOf, Val } from './value';

const MINUTES = 10;
const SHOWN = 3;

/** A switch that is on or off draws no trend worth a place. */
const drawn = (tag: string): boolean => {
  const p = plant.points.get(tag);
  return p !== undefined && p.low !== null;
};
/** Tags in their places. A point keeps its place; a new one takes that of the one longest without need. */
let places: string[] = [];

/** The newest alarmed points; where there are fewer, the first point of each hazard source with a limit. */
function chosen(): LivePoint[] {
  const recent = rows().filter((r) => isActive(r.a) && !r.a.masked).sort((x, y) => y.time - x.time).map((r) => r.a.tag).filter(drawn);
  const first = (plant.site?.hazards ?? []).flatMap((h) => [...plant.points.values()].filter((p) => p.hazard === h.id && p.limits.h != null).slice(0, 1).map((p) => p.tag));
  places = settle(places.filter((tag) => plant.points.has(tag)), recent, first, SHOWN);
  return places.flatMap((tag) => plant.points.get(tag) ?? []);
}

export function MiniTrends() {
  useTopics('alarms', 'site', 'prefs');
  return (
    <div class="minis" aria-label={t('recent.title')}>
      {chosen().map((p) => <Mini key={p.tag} tag={p.tag} />)}
    </div>
  );
}

function Mini({ tag }: { tag: string }) {
  useTopics('values', 'link');
  const p = plant.points.get(tag);
  const trend = useTrend(p, MINUTES);
  if (!p) return null;
  return (
    <section class="panel mini">
      <h2>
        <a class="ell" href={href('point', {}, tag)}>{p.description || p.tag}</a>
        <small class="ell grow">{p.tag} · {MINUTES} min</small>
        <Val value={p.value} places={decimals(p)} unit={p.unit} belief={beliefOf(p)} />
      </h2>
      <Chart p={p} trend={trend} minutes={MINUTES} alarms={summarised().byTag.get(tag) ?? []} small />
    </section>
  );
}
