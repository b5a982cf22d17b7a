// One point: can I believe this number? Value, quality in words, three times, the trend with its
// gaps, and the limits that judge it.
import { useRef, useState } from 'preact/hooks';
import { isActive, markOf, modeOf, stateOf, type Row } from '../alarm';
import { link, plant, summarised, type LivePoint } from '../live/plant';
import { useTopics } from '../live/topics';
import { Chart, useTrend, type Trend } from '../parts/chart';
import { useKeys } from '../parts/keys';
import { Sym } from '../parts/symbol';
import { beliefOf, qualityText, Val } from '../parts/value';
import { language, t } from '../prefs';
import { go, here, href, refine } from '../router';
import { clockMs, nowMs, span, when } from '../time';
import { decimals, limitText, show, zoneOf, isNumber } from '../value';
import { whole } from '../sentence';
import { wordOr } from '../words';

const WINDOWS = [2, 10, 60, 480, 1440];
const TABLE_ROWS = 200;
const windowText = (min: number): string => (min < 60 ? `${min} min` : `${min / 60} h`);

export function PointPage() {
  useTopics('route', 'site', 'prefs');
  const { tag } = here();
  const p = plant.points.get(tag);
  if (p) return <One key={tag} tag={tag} />;
  return <Pick missing={plant.read ? tag : ''} />;
}

/** No point chosen, or one that the plan does not have. */
function Pick({ missing }: { missing: string }) {
  useTopics('values', 'prefs');
  const [text, setText] = useState('');
  const search = useRef<HTMLInputElement>(null);
  useKeys({ '/': () => search.current?.focus() });
  const wanted = text.toLowerCase();
  const found = [...plant.points.values()].filter((p) => `${p.tag} ${p.description} ${p.hazard}`.toLowerCase().includes(wanted));
  return (
    <section class="panel pick">
      <h2>{missing ? t('point.missing', { n: missing }) : t('point.pick')}<span class="grow" />
        <input ref={search} class="field search" type="search" placeholder={t('point.find')} aria-label={t('point.find')} value={text} onInput={(e) => setText(e.currentTarget.value)} />
      </h2>
      <div class="body">
        <ul>
          {found.slice(0, TABLE_ROWS).map((p) => (
            <li key={p.tag}><a href={href('point', {}, p.tag)}>
              <b class="ell">{p.tag}</b><span class="ell">{p.description}</span><span class="dim ell">{p.hazard}</span>
              <Val value={p.value} places={decimals(p)} unit={p.unit} belief={beliefOf(p)} />
            </a></li>
          ))}
        </ul>
        {found.length > TABLE_ROWS && <p class="dim">{t('tile.more', { n: found.length - TABLE_ROWS })}</p>}
      </div>
    </section>
  );
}

function One({ tag }: { tag: string }) {
  useTopics('values', 'alarms', 'second', 'link', 'route', 'prefs', 'site');
  const p = plant.points.get(tag) as LivePoint;
  const asked = Number(here().query.get('w'));
  const minutes = WINDOWS.includes(asked) ? asked : 10;
  const table = here().query.get('v') === 'table';
  const trend = useTrend(p, minutes);
  const alarms = summarised().byTag.get(tag) ?? [];
  const hazard = plant.site?.hazards.find((h) => h.id === p.hazard)?.name ?? p.hazard;
  const belief = beliefOf(p);
  const widen = (by: number) => (): void => {
    const at = Math.max(0, Math.min(WINDOWS.length - 1, WINDOWS.indexOf(minutes) + by));
    refine({ w: String(WINDOWS[at]) });
  };
  const neighbour = (by: number) => (): void => {
    const tags = [...plant.points.keys()];
    go(href('point', { w: String(minutes) }, tags[(tags.indexOf(tag) + by + tags.length) % tags.length] ?? tag));
  };
  const toggle = (): void => refine({ v: table ? '' : 'table' });
  useKeys({ '+': widen(-1), '=': widen(-1), '-': widen(1), v: toggle, '[': neighbour(-1), ']': neighbour(1) });
  return (
    <div class="point-page">
      <div class="left">
        <section class="panel point-head">
          <span class="huge"><Val value={p.value} places={decimals(p)} unit={p.unit} belief={belief} /></span>
          <div class="who">
            <h1 class="ell">{p.description || p.tag} <span class="dim">{p.tag}</span></h1>
            <div class="dim ell">{[hazard, p.low !== null && p.high !== null ? `${t('point.range')} ${limitText(p.low)}–${limitText(p.high)} ${p.unit}` : ''].filter(Boolean).join(' · ')}</div>
          </div>
          <div class="quality-word">
            {belief.state === 'good'
              ? <span>{t('quality')} <b class="live">{qualityText(p.quality)}</b></span>
              : <><Sym mark="L" size={24} /><span>{t('quality')} <b class="live">{belief.reason}</b></span></>}
          </div>
        </section>
        <section class="panel trend">
          <h2>
            {t('point.trend')}<small class="ell grow">{t('point.trend.note')}{!trend.complete && ` · ${t('trend.thinned')}`}</small>
            <div class="segments" role="group" aria-label={t('window')}>
              {WINDOWS.map((w) => <button type="button" key={w} aria-pressed={w === minutes} onClick={() => refine({ w: String(w) })}>{windowText(w)}</button>)}
            </div>
            <button type="button" class="btn" id="table" aria-pressed={table} onClick={toggle}>{t('point.table')} <kbd>v</kbd></button>
          </h2>
          {table ? <Rows p={p} trend={trend} /> : <Chart p={p} trend={trend} minutes={minutes} alarms={alarms} />}
        </section>
      </div>
      <div class="right">
        <Times p={p} />
        <Limits p={p} alarms={alarms} />
        <Origin p={p} hazard={hazard} />
      </div>
    </div>
  );
}

function Rows({ p, trend }: { p: LivePoint; trend: Trend }) {
  const rows = trend.rows.slice(-TABLE_ROWS).reverse();
  return (
    <div class="body rows-table" tabIndex={0}>
      <table>
        <caption>{t('point.table.note', { n: rows.length })}</caption>
        <thead><tr><th scope="col">{t('col.time')}</th><th scope="col" class="right-text">{t('col.val')}</th><th scope="col">{t('col.quality')}</th></tr></thead>
        <tbody>
          {rows.map(([at, value, quality]) => (
            <tr key={at}><td>{clockMs(at)}</td><td class="right-text"><b class={`live ${quality < 64 ? 'struck' : ''}`}>{show(value, decimals(p) + 1)}</b> {p.unit}</td><td>{qualityText(quality)}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** When it was measured, when the gateway had it, when this page had it. */
function Times({ p }: { p: LivePoint }) {
  const lost = link.view(performance.now()).phase !== 'live';
  const after = (from: number | null, to: number | null): string => (from !== null && to !== null ? `+${Math.max(0, (to - from) / 1e6).toFixed(0)} ms` : '');
  // A gateway that does not tell when it had the sample gives its source time twice.
  const arrived = p.arrival_time === p.source_time ? null : p.arrival_time;
  const shown = (p.shown_at + (nowMs() - Date.now())) * 1e6;
  return (
    <section class="panel times">
      <h2>{t('point.times')}</h2>
      <dl class="body pairs">
        <dt>{t('point.source_time')}</dt><dd class="live">{p.source_time === null ? '—' : clockMs(p.source_time)}</dd>
        <dt>{t('point.arrival_time')}</dt><dd class="live">{arrived === null ? '—' : clockMs(arrived)} <small>{arrived === null ? t('point.untold') : after(p.source_time, arrived)}</small></dd>
        <dt>{t('point.shown_time')}</dt><dd class="live">{clockMs(shown)} <small>{lost ? '' : after(p.source_time, shown)}</small></dd>
      </dl>
    </section>
  );
}

function Limits({ p, alarms }: { p: LivePoint; alarms: Row[] }) {
  const levels = (['hh', 'h', 'l', 'll'] as const).filter((l) => p.limits[l] !== null && p.limits[l] !== undefined);
  const others = alarms.filter((r) => !levels.includes(r.a.level as 'hh') || r.a.kind !== 'level');
  const zone = isNumber(p.value) ? zoneOf(p.value, p.limits) : 0;
  const beyond = { hh: zone === 2, h: zone >= 1, l: zone <= -1, ll: zone === -2 };
  return (
    <section class="panel limits">
      <h2>{t('point.limits')}</h2>
      <div class="body">
        {levels.length === 0 && <p class="dim">{t('point.no_limits')}</p>}
        <ul>
          {levels.map((l) => {
            const row = alarms.find((r) => r.a.kind === 'level' && r.a.level === l);
            return (
              <li key={l}>
                {row ? <Sym mark={markOf(row.a)} mode={modeOf(row.a)} size={20} /> : <i class="sign" aria-hidden="true">{beyond[l] ? '!' : '·'}</i>}
                <span><b>{l.toUpperCase()}</b> {l.startsWith('h') ? '≥' : '≤'} {limitText(p.limits[l] as number)} {p.unit}<small>{wordOr(language(), `level.${l}`, l)}</small></span>
                <AlarmState row={row} />
              </li>
            );
          })}
          {others.map((row) => (
            <li key={row.key}>
              <Sym mark={markOf(row.a)} mode={modeOf(row.a)} size={20} />
              <span><b>{wordOr(language(), `kind.${row.a.kind}`, row.a.kind)}</b> {wordOr(language(), `level.${row.a.level}`, row.a.level)}<small class="ell" title={row.a.text}>{whole(language(), row.a)}</small></span>
              <AlarmState row={row} />
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}

function AlarmState({ row }: { row: Row | undefined }) {
  if (!row) return <span class="dim live">{t('point.normal')}</span>;
  const s = stateOf(row.a);
  return (
    <a class="state-link" href={href('alarms', { sel: row.key })}>{s.mark} {t(s.word)}
      {isActive(row.a) && row.a.annunciated_at !== null && <small>{when(row.a.annunciated_at)} · <span class="live">{span(nowMs() - row.a.annunciated_at / 1e6)}</span></small>}
    </a>
  );
}

function Origin({ p, hazard }: { p: LivePoint; hazard: string }) {
  const gateway = plant.gateways.get(p.gateway)?.name || p.gateway;
  const rows: [string, string][] = [
    [t('point.hazard'), hazard || '—'],
    [t('point.gateway'), gateway === p.gateway ? gateway : `${gateway} (${p.gateway})`],
    [t('point.source'), p.source],
    [t('point.class'), p.class || '—'],
    [t('point.life'), wordOr(language(), `life.${p.life}`, p.life)],
    [t('point.stale_after'), `${p.stale_after_ms / 1000} s`],
    [t('point.deadband'), p.deadband === null || p.deadband === undefined ? '—' : `${limitText(p.deadband)} ${p.unit}`],
  ];
  return (
    <section class="panel origin">
      <h2>{t('point.from')}</h2>
      <dl class="body pairs">{rows.map(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={`${k} `}>{v}</dd>])}</dl>
    </section>
  );
}
