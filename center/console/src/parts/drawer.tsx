// The drawer beside the alarm list: what to do, why now, and the record of one occurrence.
import { useEffect, useState } from 'preact/hooks';
import { ackRefusal, isUnknownOnly, markOf, modeOf, sign, stateOf, type Row } from '../alarm';
import { get, type Occurrence } from '../api';
import { acknowledge, pendingOf, refusalOf } from '../live/commands';
import { link, plant, summarised } from '../live/plant';
import { useTopics } from '../live/topics';
import { language, t } from '../prefs';
import { href, refine } from '../router';
import { clockMs, when } from '../time';
import { limitText, show } from '../value';
import { headline, whole } from '../sentence';
import { wordOr } from '../words';
import { GuidanceText } from './guidance';
import { AlarmValue } from './banner';
import { Sym } from './symbol';
import { qualityText } from './value';

export type Tab = 'guidance' | 'why' | 'record';
const TABS: readonly Tab[] = ['guidance', 'why', 'record'];

export function Drawer({ row, sel, tab }: { row: Row | undefined; sel: string; tab: Tab }) {
  useTopics('values', 'second', 'link', 'commands');
  const shown = TABS.includes(tab) ? tab : 'guidance';
  const occurrence = useOccurrence(row);
  if (!row) {
    return <aside class="panel drawer empty" aria-label={t('drawer')}><p class="dim">{t(!plant.read ? 'list.unread' : sel ? 'drawer.gone' : 'drawer.hint')}</p></aside>;
  }
  const { a } = row;
  const pending = pendingOf(a.occurrence) !== undefined || a.pending_command !== null;
  const no = ackRefusal(a, link.view(performance.now()).phase !== 'live');
  const refused = refusalOf(a.occurrence);
  const hazard = plant.site?.hazards.find((h) => h.id === a.hazard)?.name ?? a.hazard;
  return (
    <aside class="panel drawer" aria-label={t('drawer')} data-sel={row.key}>
      <div class="hero">
        <button type="button" class="tool shut" aria-label={t('close')} onClick={() => refine({ sel: '' })}>✕</button>
        <div class="who">
          <Sym mark={markOf(a)} mode={modeOf(a)} size={42} />
          <div><h3>{headline(language(), a)}</h3><div class="dim">{[hazard, a.tag, t('priority.n', { n: a.priority })].filter(Boolean).join(' · ')}</div></div>
        </div>
        <div class="now"><span class="huge"><AlarmValue row={row} /></span>{a.limit !== null && <span>{t('drawer.limit')} <b>{sign(a.level)} {limitText(a.limit)}</b> {a.unit}</span>}</div>
      </div>
      <div class="actions">
        <button type="button" class="btn main" disabled={no !== null || pending} onClick={() => void acknowledge(a)}>
          {pending ? t('state.pending') : t('ack')} <kbd>a</kbd>
        </button>
        {plant.points.has(a.tag)
          ? <a class="btn" href={href('point', {}, a.tag)}>{t('drawer.point')} <kbd>↵</kbd></a>
          : <span />}
        <p class="reason" role="status">{refused ? t('ack.refused', { n: refused }) : no && no !== 'ack.nothing' ? t(no) : `${stateOf(a).mark} ${t(stateOf(a).word)}`}</p>
      </div>
      <div class="tabs" role="tablist">
        {TABS.map((x, i) => (
          <button type="button" key={x} role="tab" aria-selected={x === shown} onClick={() => refine({ tab: x === 'guidance' ? '' : x })}>{t(`tab.${x}`)} <kbd>{i + 1}</kbd></button>
        ))}
      </div>
      <div class="body" role="tabpanel">
        {shown === 'guidance' && <Guidance row={row} />}
        {shown === 'why' && <Why row={row} occurrence={occurrence} />}
        {shown === 'record' && <Record occurrence={occurrence} />}
      </div>
    </aside>
  );
}

/** The occurrence as the centre explains it; read anew with every transition of its alarm. */
function useOccurrence(row: Row | undefined): Occurrence | null | 'loading' {
  const id = row?.a.occurrence ?? '';
  const [got, put] = useState<{ id: string; what: Occurrence | null } | null>(null);
  useEffect(() => {
    if (!id) return undefined;
    let gone = false;
    get<Occurrence>(`occurrences/${encodeURIComponent(id)}`)
      .then((what) => !gone && put({ id, what }))
      .catch(() => !gone && put({ id, what: null }));
    return () => {
      gone = true;
    };
  }, [id, row?.a.seq]);
  if (!id) return null;
  return got && got.id === id ? got.what : 'loading';
}

function Guidance({ row }: { row: Row }) {
  const { noGuidance } = summarised();
  return (
    <>
      <section>
        {row.a.guidance
          ? <GuidanceText name={row.a.guidance} />
          : <p>{t('guide.none')}</p>}
      </section>
      {noGuidance > 0 && <section class="dim">{t('guide.count', { n: noGuidance })}</section>}
    </>
  );
}

function Why({ row, occurrence }: { row: Row; occurrence: Occurrence | null | 'loading' }) {
  if (occurrence === 'loading') return <section class="dim">{t('loading')}</section>;
  const { a } = row;
  const ex = occurrence?.explain ?? null;
  const start = ex?.condition_start ?? a.condition_start;
  const out = ex?.annunciated_at ?? a.annunciated_at;
  return (
    <>
      <section>
        <h4>{t('why.rule')}</h4>
        <code>{a.alarm}{a.limit !== null && ` ${sign(a.level)} ${limitText(a.limit)} ${a.unit}`} · {(ex?.rule_rev ?? a.rule_rev).slice(0, 12)}</code>
      </section>
      <section>
        <h4>{t(isUnknownOnly(a) ? 'state.unknown' : 'why.text')}</h4>
        {isUnknownOnly(a) ? <p>{t('why.unknown')}</p> : ex ? <p>{whole(language(), { ...a, text: ex.text })}</p> : <p class="dim">{t('why.none')}</p>}
        <dl class="steps">
          {start !== null && <><dt>{clockMs(start)}</dt><dd>{t('why.start')}</dd></>}
          {ex?.on_delay_ms != null && <><dt>{(ex.on_delay_ms / 1000).toFixed(1)} s</dt><dd>{t('why.delay')}</dd></>}
          {out !== null && <><dt>{clockMs(out)}</dt><dd>{t('why.annunciated')}</dd></>}
          <dt>{show(ex?.value ?? a.value, 3)} {a.unit}</dt><dd>{t('why.judged')} · {qualityText(ex?.quality ?? a.quality)}</dd>
        </dl>
      </section>
      <section><h4>{t('why.clears')}</h4><p>{t('why.clears.text')}</p></section>
    </>
  );
}

function Record({ occurrence }: { occurrence: Occurrence | null | 'loading' }) {
  if (occurrence === 'loading') return <section class="dim">{t('loading')}</section>;
  const records = occurrence?.records ?? [];
  if (records.length === 0) return <section class="dim">{t('record.none')}</section>;
  return (
    <ul class="record">
      {[...records].reverse().map((r) => (
        <li key={`${r.owner} ${r.seq}`}>
          <span class="dim">{when(r.recorded_at)}</span>
          <span>
            <b>{wordOr(language(), `cause.${r.cause}`, r.cause)}</b> {show(r.value, 2)} {r.unit}
            <small>{[r.actor ?? t('record.system'), r.reason ?? '', `${r.owner} #${r.seq}`].filter(Boolean).join(' · ')}</small>
          </span>
        </li>
      ))}
    </ul>
  );
}
