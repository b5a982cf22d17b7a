// The alarm list: what next? Unacknowledged first, then the worst, then the newest. Ten thousand
// rows stand in it, and only those that can be seen are in the page; nodes are used again.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import {
  ackRefusal, inSegment, isUnacked, markOf, MARKS, modeOf, passes, SEGMENTS, sign, stateOf, timeOf,
  type Filter, type Mark, type Row, type Segment,
} from '../alarm';
import { acknowledge, pendingOf, refusalOf } from '../live/commands';
import { FLOOD, hazardsOf, link, plant, rows, summarised } from '../live/plant';
import { useTopics } from '../live/topics';
import { AlarmValue } from '../parts/banner';
import { Drawer, type Tab } from '../parts/drawer';
import { useKeys } from '../parts/keys';
import { Sym } from '../parts/symbol';
import { language, t } from '../prefs';
import { go, here, href, refine } from '../router';
import { toast } from '../say';
import { headline } from '../sentence';
import { nowMs, span, when } from '../time';
import { limitText } from '../value';
import { wordOr, type Word } from '../words';

/** Height of a row in rem, and how many rows beyond the edges are kept ready. */
const ROW_REM = 2.75;
const ROW_PHONE_REM = 4.75;
const SPARE = 6;
/** A row that has just moved is not acknowledged by a press that was meant for its forerunner. */
const STOOD_MS = 350;

function filterOf(query: URLSearchParams): Filter {
  const seg = query.get('seg') as Segment;
  const p = query.get('p') ?? '';
  const mark: Mark | null = p === 'L' ? 'L' : MARKS.find((m) => String(m) === p) ?? null;
  return { segment: SEGMENTS.includes(seg) ? seg : 'all', mark, hazard: query.get('hz') ?? '', text: query.get('q') ?? '' };
}

export function Alarms() {
  useTopics('alarms', 'route', 'prefs', 'commands', 'link', 'site');
  const { query } = here();
  const filter = filterOf(query);
  const all = rows();
  const list = useMemo(() => all.filter((r) => passes(r, filter, hazardsOf)), [all, query.toString()]);
  const sel = query.get('sel') ?? '';
  const tab = (query.get('tab') ?? 'guidance') as Tab;
  const search = useRef<HTMLInputElement>(null);
  const table = useRef<TableHandle>(null);
  const selected = plant.alarms.get(sel);

  const pick = (index: number): void => {
    const row = list[Math.max(0, Math.min(list.length - 1, index))];
    if (!row) return;
    refine({ sel: row.key });
    table.current?.reveal(list.indexOf(row));
  };
  const move = (by: number) => (): void => {
    const at = list.findIndex((r) => r.key === sel);
    pick(at < 0 ? 0 : at + by);
  };
  const ackSelected = (): void => {
    if (link.view(performance.now()).phase !== 'live') return toast(t('ack.locked'));
    if (!selected) return toast(t('ack.select'));
    // Pressed before the drawer has followed: what is acknowledged is what can be seen.
    if (here().query.get('sel') !== sel) return toast(t('ack.moved'));
    void acknowledge(selected.a);
  };
  const setTab = (to: Tab) => (): void => refine({ tab: to === 'guidance' ? '' : to });
  useKeys({
    j: move(1), k: move(-1), ArrowDown: move(1), ArrowUp: move(-1),
    PageDown: move(15), PageUp: move(-15), Home: () => pick(0), End: () => pick(list.length - 1),
    a: ackSelected,
    e: setTab('why'), 1: setTab('guidance'), 2: setTab('why'), 3: setTab('record'),
    '/': () => search.current?.focus(),
    Enter: () => selected && plant.points.has(selected.a.tag) && go(href('point', {}, selected.a.tag)),
    Escape: () => refine({ sel: '' }),
  });

  const { recent, noGuidance } = summarised();
  const counts = useMemo(() => SEGMENTS.map((s) => all.reduce((n, r) => n + (inSegment(r.a, s) ? 1 : 0), 0)), [all]);
  return (
    <div class={`alarms ${selected ? 'open' : ''}`}>
      <div class="left">
        <div class="filters">
          <div class="segments" role="group" aria-label={t('col.state')}>
            {SEGMENTS.map((s, i) => (
              <button type="button" key={s} aria-pressed={filter.segment === s} onClick={() => refine({ seg: s === 'all' ? '' : s })}>
                {t(`seg.${s}`)} <b>{plant.read ? counts[i] : '?'}</b>
              </button>
            ))}
          </div>
          <select class="field" aria-label={t('point.hazard')} value={filter.hazard} onChange={(e) => refine({ hz: e.currentTarget.value })}>
            <option value="">{t('filter.hazard')}</option>
            {plant.site?.hazards.map((h) => <option key={h.id} value={h.id}>{h.name}</option>)}
          </select>
          <select class="field" aria-label={t('priority')} value={filter.mark === null ? '' : String(filter.mark)} onChange={(e) => refine({ p: e.currentTarget.value })}>
            <option value="">{t('filter.priority')}</option>
            {MARKS.map((m) => <option key={m} value={String(m)}>{m === 'L' ? '' : `${m} `}{t(`mark.${m}`)}</option>)}
          </select>
          <input ref={search} class="field search" type="search" placeholder={t('filter.text')} aria-label={t('filter.text')}
            value={filter.text} onInput={(e) => refine({ q: e.currentTarget.value })} />
          <span class="dim shown">{plant.read ? [noGuidance > 0 ? t('list.no_guidance', { n: noGuidance }) : '', t('list.shown', { n: list.length, of: all.length })].filter(Boolean).join(' · ') : ''}</span>
        </div>
        {recent > FLOOD && <div class="flood"><b>{t('flood', { n: recent })}</b><span class="ell">{t('flood.note')}</span></div>}
        <Table list={list} sel={sel} handle={table} />
      </div>
      <Drawer row={selected} sel={sel} tab={tab} />
    </div>
  );
}

interface TableHandle { reveal(index: number): void }

function Table({ list, sel, handle }: { list: Row[]; sel: string; handle: { current: TableHandle | null } }) {
  const view = useRef<HTMLDivElement>(null);
  const [, draw] = useState(0);
  /** The row at the upper edge and how far it is scrolled: it stays where it is when others come. */
  const anchor = useRef({ key: '', into: 0 });
  /** Since when a row stands in its place: a press is meant for the row that was seen there. */
  const places = useRef(new Map<string, { index: number; since: number }>());
  const stood = (key: string): boolean => performance.now() - (places.current.get(key)?.since ?? 0) >= STOOD_MS;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const h = Math.round((innerWidth < 700 ? ROW_PHONE_REM : ROW_REM) * rem);

  const remember = (): void => {
    const top = view.current?.scrollTop ?? 0;
    const at = Math.floor(top / h);
    anchor.current = { key: top > 0 ? list[at]?.key ?? '' : '', into: top - at * h };
  };
  handle.current = {
    reveal(index) {
      const v = view.current;
      if (!v) return;
      if (index * h < v.scrollTop) v.scrollTop = index * h;
      else if ((index + 1) * h > v.scrollTop + v.clientHeight) v.scrollTop = (index + 1) * h - v.clientHeight;
      remember();
    },
  };
  useLayoutEffect(() => {
    const v = view.current;
    const { key, into } = anchor.current;
    if (v && key) {
      const at = list.findIndex((r) => r.key === key);
      const want = at * h + into;
      if (at >= 0 && Math.abs(v.scrollTop - want) > 1) v.scrollTop = want;
    }
    draw((n) => n + 1);
  }, [list]);
  useEffect(() => {
    const v = view.current;
    if (!v) return undefined;
    let frame = 0;
    const scrolled = (): void => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => draw((n) => n + 1));
    };
    const watch = new ResizeObserver(scrolled);
    watch.observe(v);
    v.addEventListener('scroll', scrolled, { passive: true });
    return () => {
      watch.disconnect();
      cancelAnimationFrame(frame);
      v.removeEventListener('scroll', scrolled);
    };
  }, []);
  useEffect(() => {
    const v = view.current;
    v?.addEventListener('scroll', remember, { passive: true });
    return () => v?.removeEventListener('scroll', remember);
  });

  const top = view.current?.scrollTop ?? 0;
  const height = view.current?.clientHeight ?? innerHeight;
  const from = Math.max(0, Math.floor(top / h) - SPARE);
  const to = Math.min(list.length, Math.ceil((top + height) / h) + SPARE);
  // A node's key is its place in a ring: scrolling changes its content, never makes a new one.
  const ring = Math.ceil(height / h) + 2 * SPARE + 1;
  const slots = list.slice(from, to).map((row, i) => ({ row, index: from + i, slot: (from + i) % ring }));
  for (const { row, index } of slots) {
    const at = places.current.get(row.key);
    if (at?.index !== index) places.current.set(row.key, { index, since: performance.now() });
  }
  if (places.current.size > 4 * ring) places.current = new Map(slots.map(({ row }) => [row.key, places.current.get(row.key) ?? { index: -1, since: 0 }]));
  return (
    <div class="table" role="grid" aria-label={t('list.name')} aria-rowcount={list.length}>
      <div class="row-grid heading" role="row">
        {(['priority', 'state', 'time', 'tag', 'text', 'value', 'ack'] as const).map((c) => <span key={c} role="columnheader">{t(`col.${c}` as Word)}</span>)}
      </div>
      <div class="rows" ref={view} tabIndex={0} role="rowgroup" id="rows">
        <div class="rows-height" style={{ height: `${list.length * h}px` }} />
        {slots.map(({ row, index, slot }) => <AlarmRow key={slot} row={row} index={index} h={h} selected={row.key === sel} stood={stood} />)}
        {list.length === 0 && <p class="empty dim">{plant.read ? t('list.none') : t('list.unread')}</p>}
      </div>
    </div>
  );
}

function AlarmRow({ row, index, h, selected, stood }: { row: Row; index: number; h: number; selected: boolean; stood: (key: string) => boolean }) {
  useTopics('values', 'second');
  const { a } = row;
  const mark = markOf(a);
  const state = stateOf(a);
  const pending = a.occurrence ? pendingOf(a.occurrence) !== undefined || a.pending_command !== null : false;
  const refused = a.occurrence ? refusalOf(a.occurrence) : undefined;
  const lost = link.view(performance.now()).phase !== 'live';
  const no = ackRefusal(a, lost);
  const quiet = modeOf(a) === 'aside';
  return (
    <div class={`row-grid line ${isUnacked(a) && a.label !== 'RTN_UNACK' ? 'loud' : ''} ${quiet ? 'quiet' : ''} ${selected ? 'selected' : ''}`}
      role="row" aria-rowindex={index + 1} aria-selected={selected} data-key={row.key} data-label={a.label} data-occurrence={a.occurrence} data-tag={a.tag}
      style={{ transform: `translateY(${index * h}px)`, height: `${h}px` }}
      onClick={() => refine({ sel: row.key })} onDblClick={() => plant.points.has(a.tag) && go(href('point', {}, a.tag))}>
      <span class="prio" role="gridcell">
        <Sym mark={mark} mode={modeOf(a)} size={24} />
        <span class="two"><b>{t(`mark.${mark}`)}</b>{mark === 'L' && <small>{t('priority.n', { n: a.priority })}</small>}</span>
      </span>
      <span class="state-cell" role="gridcell">
        <i aria-hidden="true">{state.mark}</i>
        <span class="two"><span class="ell">{pending ? t('state.pending') : t(state.word)}</span>{(refused ?? state.also) && <small class="ell" title={refused}>{refused ?? (state.also && t(state.also))}</small>}</span>
      </span>
      <span class="two time-cell" role="gridcell"><span>{when(timeOf(a))}</span><small class="live">{span(nowMs() - timeOf(a) / 1e6)}</small></span>
      <span class="two tag-cell" role="gridcell"><b class="ell">{a.tag || a.owner}</b><small class="ell">{plant.site?.hazards.find((h) => h.id === a.hazard)?.name ?? (a.hazard || a.owner)}</small></span>
      <span class="two text-cell" role="gridcell">
        <span class="ell what" title={a.text}>{headline(language(), a)}</span>
        <small class="ell">{[wordOr(language(), `kind.${a.kind}`, a.kind), a.rule === a.kind || a.rule === 'table' ? '' : a.rule, ...a.flags.map((f) => wordOr(language(), `flag.${f}`, f))].filter(Boolean).join(' · ')}</small>
      </span>
      <span class="value-cell" role="gridcell"><AlarmValue row={row} />{a.limit !== null && <small> {sign(a.level)} {limitText(a.limit)}</small>}</span>
      <span class="ack-cell" role="gridcell">
        {(a.needs_ack || pending) && (
          <button type="button" class="btn ack" disabled={no !== null || pending} title={no ? t(no) : undefined}
            onClick={(e) => {
              e.stopPropagation();
              // The node will show another alarm when this one moves: it must not keep the focus,
              // and the second half of a double click must not acknowledge what slid into its place.
              e.currentTarget.blur();
              if (e.detail > 1) return;
              if (!stood(row.key)) toast(t('ack.moved'));
              else void acknowledge(a);
            }}>
            {pending ? '…' : t('ack.short')}
          </button>
        )}
      </span>
    </div>
  );
}
