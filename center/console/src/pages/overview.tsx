// Overview: is anything unsafe, where, and what are we blind to? A tile for each hazard source, in
// the order of the plan, never re-ordered. Beside them everything that does not protect now.
import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { isActive, keyOf, markOf, stateOf, type Mark, type Row } from '../alarm';
import type { AlarmView, Gateway, NotProtecting } from '../api';
import { link, plant, protectingByHazard, summarised, type HazardState, type LivePoint } from '../live/plant';
import { useTopics } from '../live/topics';
import { MiniTrends } from '../parts/mini';
import { Sym } from '../parts/symbol';
import { BarView, beliefOf, Val, type Belief } from '../parts/value';
import { language, t } from '../prefs';
import { href } from '../router';
import { apart, brief, uncovered } from '../sentence';
import { isMute } from '../sound';
import { nowMs, span, when } from '../time';
import { decimals } from '../value';
import { wordOr, type Word } from '../words';

export function Overview() {
  return (
    <div class="overview">
      <Tiles />
      <div class="side">
        <Protecting />
        <Gateways />
      </div>
      <MiniTrends />
    </div>
  );
}

interface TileOf { id: string; name: string; grade: Word; points: LivePoint[] }

/** Hazard sources in the order of the plan; points that belong to none come last, never lost. */
function tilesOf(): TileOf[] {
  const byHazard = new Map<string, LivePoint[]>();
  for (const p of plant.points.values()) {
    const list = byHazard.get(p.hazard);
    if (list) list.push(p);
    else byHazard.set(p.hazard, [p]);
  }
  const tiles: TileOf[] = (plant.site?.hazards ?? []).map((h) => ({
    id: h.id, name: h.name, grade: h.grade === null ? 'grade.none' : (`grade.${h.grade}` as Word), points: byHazard.get(h.id) ?? [],
  }));
  const known = new Set(tiles.map((tile) => tile.id));
  const rest = [...byHazard].filter(([id]) => !known.has(id)).flatMap(([, points]) => points);
  if (rest.length > 0) tiles.push({ id: '', name: t('hazard.none'), grade: 'grade.none', points: rest });
  return tiles;
}

/** Rows that fit a tile: measured, so that nothing is cut in half and no page scrolls. */
function useRoom(): [RefObject<HTMLDivElement | null>, number] {
  const box = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(5);
  useLayoutEffect(() => {
    const measure = (): void => {
      const points = box.current?.querySelector('.points');
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      if (points) setRoom(innerWidth < 700 ? 6 : Math.max(1, Math.floor(points.clientHeight / (1.75 * rem))));
    };
    const watch = new ResizeObserver(measure);
    if (box.current) watch.observe(box.current);
    measure();
    return () => watch.disconnect();
  }, []);
  return [box, room];
}

const columnsFor = (tiles: number): number => (tiles <= 3 ? Math.max(1, tiles) : tiles === 4 ? 2 : tiles <= 6 ? 3 : 4);

function Tiles() {
  useTopics('site', 'link');
  return plant.read ? <TileGrid /> : <div class="tiles"><p class="dim">{t('link.starting')}</p></div>;
}

function TileGrid() {
  useTopics('alarms', 'values', 'protecting', 'link', 'site', 'prefs', 'gateways');
  const [box, room] = useRoom();
  const tiles = tilesOf();
  const { hazards } = summarised();
  const blind = protectingByHazard();
  return (
    <div class="tiles" ref={box} style={{ '--columns': columnsFor(tiles.length) }}>
      {tiles.map((tile) => (
        <Tile key={tile.id} tile={tile} state={hazards.get(tile.id)} blind={blind.get(tile.id) ?? 0} room={room} />
      ))}
    </div>
  );
}

function Tile({ tile, state, blind, room }: { tile: TileOf; state: HazardState | undefined; blind: number; room: number }) {
  const lost = link.view(performance.now()).phase === 'lost';
  const { byTag, firstOf } = summarised();
  const hot = (p: LivePoint): Row | undefined => byTag.get(p.tag)?.find((r) => isActive(r.a) && !r.a.masked);
  // Points keep their places. One that alarms beyond the edge takes the last place of a quiet one.
  const fits = tile.points.length <= room ? room : room - 1;
  const shown = tile.points.slice(0, fits);
  for (const p of tile.points.slice(fits)) {
    if (!hot(p)) continue;
    const quiet = shown.findLastIndex((x) => !hot(x));
    if (quiet < 0) break;
    shown.splice(quiet, 1);
    shown.push(p);
  }
  const hidden = tile.points.length - shown.length;
  const worst = state?.worst ?? null;
  const beliefs = new Map(tile.points.map((p) => [p.tag, beliefOf(p)]));
  let struck = 0;
  let doubtful = 0;
  for (const b of beliefs.values()) {
    if (b.state === 'struck') struck += 1;
    if (b.state !== 'good') doubtful += 1;
  }
  const item = plant.protecting.find((i) => (i.hazard ?? '') === tile.id);
  const first = firstOf.get(tile.id)?.a;
  const fact = first ? factText(first)
    : (item ? protectText(item) : lost || !plant.protecting_known || doubtful > 0 || tile.points.length === 0 ? '' : t('tile.quiet'));
  return (
    <section class={`tile ${worst === null ? '' : `edge e${worst}`}`} data-hazard={tile.id}>
      <a class="tile-head" href={href('alarms', { hz: tile.id })}>
        <div class="title"><h3 class="ell">{tile.name}</h3><span class="chip">{t(tile.grade)}</span></div>
        {/* What cannot be believed does not protect, even before the centre's list says so. */}
        <Sentence state={state} blind={blind || struck} lost={lost} points={tile.points.length} />
      </a>
      <div class="points">
        {shown.map((p) => {
          const belief = beliefs.get(p.tag) as Belief;
          const row = hot(p);
          return (
            <a key={p.tag} class={`point ${row ? 'hot' : ''}`} data-tag={p.tag} href={href('point', {}, p.tag)}>
              <b class="tag ell">{p.tag}</b>
              <span class="name ell" title={`${p.tag} ${p.description}`}>{p.description}</span>
              <BarView p={p} belief={belief} alarm={row ? String(markOf(row.a)) : null} />
              <Val value={p.value} places={decimals(p)} unit={p.unit} belief={belief} />
            </a>
          );
        })}
        {hidden > 0 && <div class="point more">{t('tile.more', { n: hidden })}</div>}
      </div>
      <div class="fact live">{fact}</div>
    </section>
  );
}

/** Never plain "normal" while anything does not protect, and never anything while the link is lost. */
function Sentence({ state, blind, lost, points }: { state: HazardState | undefined; blind: number; lost: boolean; points: number }) {
  if (lost) return <div class="state"><b>? {t('tile.unknown')}</b></div>;
  if (!state || state.standing === 0) {
    const known = plant.protecting_known;
    return (
      <div class="state calm">
        <span>{points === 0 ? t('tile.no_points') : blind > 0 || !known ? t('tile.no_alarm', { n: known ? blind : '?' }) : `✓ ${t('tile.normal')}`}</span>
        <span class="grow" /><small>{t('tile.points', { n: points })}</small>
      </div>
    );
  }
  return (
    <div class="state">
      {([1, 2, 'L', 3, 4] as Mark[]).map((m) => {
        const c = state.counts.get(m);
        return c && c.standing > 0
          ? <span key={m} class="pair"><Sym mark={m} mode={c.unackedActive ? 'unacked' : c.unacked ? 'returned' : 'steady'} size={23} />{c.standing}</span>
          : null;
      })}
      <small class="ell">{state.unacked ? t('tile.unacked', { n: state.unacked }) : t('tile.all_acked')}{blind > 0 && ` · ${t('tile.not_protecting', { n: blind })}`}</small>
    </div>
  );
}

// ---- not protecting ----

const SIGNS: Record<string, string> = {
  shelved: '◷', suppressed: '⊘', out_of_service: '✕', stuck: '❄', commissioning: '◔', planned: '○', plan_differs: '≠', journal: '!', muted: '♪',
};
const BLIND_KINDS = new Set(['stale', 'bad', 'loss_of_view', 'gateway', 'unknown']);
const GROUP_FROM = 4;

const kindText = (kind: string): string => wordOr(language(), `np.${kind}`, kind);
const alarmOf = (i: NotProtecting): AlarmView | undefined => (i.alarm ? plant.alarms.get(keyOf({ owner: i.owner ?? '', alarm: i.alarm }))?.a : undefined);
const protectText = (i: NotProtecting): string => uncovered(language(), i, alarmOf(i));
/** What a tile says at its foot: the worst of its alarms, and where it stands. */
const factText = (a: AlarmView): string => `${apart(language(), a).name ? `${a.tag} ` : ''}${brief(language(), a)} · ${t(stateOf(a).word)}`;

interface Group { items: NotProtecting[]; head: NotProtecting }

/** Many points of one kind, source and owner are one line: twenty points of one dead device. */
function grouped(items: NotProtecting[]): Group[] {
  const groups = new Map<string, NotProtecting[]>();
  for (const i of items) {
    const key = `${i.kind} ${i.hazard} ${i.gateway} ${i.owner} ${i.until}`;
    const list = groups.get(key);
    if (list) list.push(i);
    else groups.set(key, [i]);
  }
  return [...groups.values()].flatMap((list) => {
    const head = list[0] as NotProtecting;
    return list.length >= GROUP_FROM ? [{ items: list, head }] : list.map((i) => ({ items: [i], head: i }));
  });
}

function Protecting() {
  useTopics('protecting', 'second', 'prefs', 'sound', 'link', 'site');
  const items = [...plant.protecting];
  const mute = isMute();
  const count = items.length + (mute ? 1 : 0);
  const names = new Map((plant.site?.hazards ?? []).map((h) => [h.id, h.name]));
  return (
    <section class="panel protecting">
      <h2>{t('np.title')}<small class="grow ell">{t('np.order')}</small><b class="large live">{plant.protecting_known ? count : '?'}</b></h2>
      <div class="body">
        <ul>
          {!plant.protecting_known && plant.read && <li><Sym mark="L" /><span class="what">{t('np.unread')}</span></li>}
          {plant.protecting_known && count === 0 && <li class="dim"><span />{t('np.empty')}</li>}
          {grouped(items).map(({ items: list, head }) => (
            <li key={`${head.kind} ${head.tag} ${head.alarm} ${head.gateway} ${head.hazard} ${head.area}`}>
              {BLIND_KINDS.has(head.kind) ? <Sym mark="L" /> : <i class="sign" aria-hidden="true">{SIGNS[head.kind] ?? '!'}</i>}
              <span class="what">
                {list.length > 1
                  ? `${kindText(head.kind)} · ${t('np.group', { n: list.length, tags: list.slice(0, 3).map((i) => i.tag || i.alarm || '').join(' ') + (list.length > 3 ? ' …' : '') })}`
                  : protectText(head)}
              </span>
              <small>
                {[kindText(head.kind), names.get(head.hazard ?? '') ?? '', head.owner ?? '', head.since ? t('np.since', { n: when(head.since) }) : ''].filter(Boolean).join(' · ')}
                {' · '}
                {head.until === null || head.until === undefined
                  ? t('np.no_due')
                  : head.until / 1e6 < nowMs() ? <b>{t('np.overdue')}</b> : <>{t('np.due')} <b class="live">{span(head.until / 1e6 - nowMs())}</b></>}
              </small>
            </li>
          ))}
          {mute && (
            <li><i class="sign" aria-hidden="true">{SIGNS.muted}</i><span class="what">{t('np.muted')}</span><small>{t('operator')}</small></li>
          )}
        </ul>
      </div>
    </section>
  );
}

// ---- gateways ----

/** Samples that come in later than this are said to. */
const HISTORY_LATE_MS = 5000;

function Gateways() {
  useTopics('gateways', 'second', 'prefs', 'link');
  const list = [...plant.gateways.values()].sort((x, y) => x.id.localeCompare(y.id));
  return (
    <section class="panel gateways">
      <h2>{t('gw.title')}<span class="grow" /><small>{t('np.items', { n: list.length })}</small></h2>
      <div class="body">
        <ul>{list.map((g) => <GatewayLine key={g.id} g={g} />)}</ul>
      </div>
    </section>
  );
}

function GatewayLine({ g }: { g: Gateway }) {
  const now = performance.now();
  const view = link.view(now);
  const age = link.gateway_age(g.id, now);
  const dead = view.phase === 'live' && link.gateway_dead(g.id, now);
  const behind = Math.max(0, g.last_seq - g.acked_seq);
  return (
    <li>
      {dead || g.state === 'offline' || g.state === 'silent' ? <Sym mark="L" /> : <i class="sign" aria-hidden="true">{g.state === 'online' ? '●' : '○'}</i>}
      <span class="what">{g.name || g.id} <small>{g.id}</small></span>
      <small class="live">
        {[
          wordOr(language(), g.state === 'silent' ? 'gw.silent_state' : `gw.${g.state}`, g.state),
          age === null ? t('gw.never') : dead ? t('gw.silent', { n: span(age) }) : t('gw.tick', { n: (age / 1000).toFixed(1) }),
          behind > 0 ? t('gw.behind', { n: behind }) : t('gw.even'),
          g.history_behind !== null && g.history_behind > HISTORY_LATE_MS ? t('gw.history', { n: span(g.history_behind) }) : '',
          g.plan_agrees === false ? t('gw.plan') : '',
        ].filter(Boolean).join(' · ')}
      </small>
    </li>
  );
}
