// The banner of every page, readable at three metres: how many of each priority, the first two
// that nobody has acknowledged, and the keys. While the link is lost the bar stands in its place.
import { isUnacked, markOf, MARKS, modeOf, sign, timeOf, type Row } from '../alarm';
import type { AlarmView } from '../api';
import { acknowledge } from '../live/commands';
import { link, plant, pointsBehind, rows, summarised } from '../live/plant';
import { useTopics } from '../live/topics';
import { language, t } from '../prefs';
import { go, here, href, refine } from '../router';
import { toast } from '../say';
import { apart } from '../sentence';
import { silence } from '../sound';
import { clock, nowMs, span } from '../time';
import { decimals, limitText } from '../value';
import { Sym } from './symbol';
import { beliefOf, Val } from './value';

const STOOD_MS = 1000;
/** The occurrence that stands first, and since when it has: a press is meant for what was seen. */
let first = { occurrence: '', since: 0 };

function top(): Row | undefined {
  const row = rows().find((r) => isUnacked(r.a));
  const occurrence = row?.a.occurrence ?? '';
  if (occurrence !== first.occurrence) first = { occurrence, since: performance.now() };
  return row;
}

/** ⇧A: the first, if it has stood for a second; priority 1 only with its drawer open. */
export function acknowledgeFirst(): void {
  if (link.view(performance.now()).phase !== 'live') return toast(t('ack.locked'));
  const row = top();
  if (!row) return toast(t('ack.nothing'));
  if (performance.now() - first.since < STOOD_MS) return toast(t('ack.too_soon'));
  if (row.a.priority === 1 && !(here().page === 'alarms' && here().query.get('sel') === row.key)) {
    if (here().page === 'alarms') refine({ sel: row.key });
    else go(href('alarms', { sel: row.key }));
    return toast(t('ack.drawer'));
  }
  void acknowledge(row.a);
}

export function silenceHere(): void {
  silence();
  toast(t('sound.silence.done'));
}

/** The value of an alarm now: its point's where there is one, else what was judged. */
export function AlarmValue({ row }: { row: Row }) {
  const p = plant.points.get(row.a.tag);
  if (p) return <Val value={p.value} places={decimals(p)} unit={p.unit} belief={beliefOf(p)} />;
  const blind = pointsBehind(row.a);
  // What a part of the system says of itself is no value.
  if (row.a.rule === 'system') return null;
  if (blind !== null) return <span class="val">{t('tile.points', { n: blind })}</span>;
  return <Val value={row.a.value} places={2} unit={row.a.unit} />;
}

export function Banner() {
  useTopics('alarms', 'values', 'link', 'second', 'prefs', 'site');
  const view = link.view(performance.now());
  if (view.phase === 'lost') return <LostBar />;
  const { banner } = summarised();
  top();
  const unacked = rows().filter((r, i) => i < 64 && isUnacked(r.a)).slice(0, 2);
  return (
    <div id="banner" role="region" aria-label={t('banner')}>
      <div class="counts">
        {MARKS.map((m) => {
          const c = banner.get(m) ?? { unacked: 0, unackedActive: 0, standing: 0 };
          const mode = c.unackedActive ? 'unacked' : c.unacked ? 'returned' : c.standing ? 'steady' : 'aside';
          return (
            <button type="button" key={m} class={`count ${c.standing ? '' : 'zero'}`} onClick={() => go(href('alarms', { p: String(m) }))}>
              <Sym mark={m} mode={mode} size={32} />
              <b>{plant.read ? c.unacked : '—'}</b>
              <span>{t(`mark.${m}`)}<i> · {t('banner.of', { n: c.standing })}</i></span>
            </button>
          );
        })}
      </div>
      {unacked.length > 0
        ? (
          <div class="first-two">
            {unacked.map(({ a, key }, i) => (
              <button type="button" key={i} class="top" onClick={() => go(href('alarms', { sel: key }))}>
                <Sym mark={markOf(a)} mode={modeOf(a)} size={i ? 26 : 32} />
                <What a={a} />
                <span class="much">
                  <AlarmValue row={rowByKey(key)} />
                  {a.limit !== null && <small>{t('banner.limit')} {sign(a.level)} {limitText(a.limit)}</small>}
                </span>
                <span class="age"><b class="live">{span(nowMs() - timeOf(a) / 1e6)}</b><small>{clock(timeOf(a))}</small></span>
              </button>
            ))}
          </div>
        )
        : <div class="quiet">{plant.read ? t('banner.quiet') : t('link.starting')}</div>}
      <div class="acts">
        <button type="button" class="btn main" onClick={acknowledgeFirst}>{t('banner.ack_first')} <kbd>⇧A</kbd></button>
        <button type="button" class="btn" onClick={silenceHere}>{t('sound.silence')} <kbd>m</kbd></button>
        <a class="btn" href={href('alarms')}>{t('banner.list')} <kbd>g a</kbd></a>
      </div>
    </div>
  );
}

/** Where room is short the name is cut, never what is wrong. */
function What({ a }: { a: AlarmView }) {
  const { name, what } = apart(language(), a);
  return <span class="what" title={a.text}>{name && <span class="ell">{name}</span>}<span class={name ? 'keep' : 'ell'}>{what}</span></span>;
}

const rowByKey = (key: string): Row => plant.alarms.get(key) as Row;

function LostBar() {
  const view = link.view(performance.now());
  return (
    <div id="lost" role="alert">
      <Sym mark="L" size={52} />
      <div>
        <div class="big">{t('link.bar')} · {t(`link.bar.${view.why}`)}</div>
        <div class="note">{t('link.bar.note')}</div>
      </div>
      <div class="lost-age" aria-hidden="true">{span(performance.now() - view.since)}</div>
    </div>
  );
}
