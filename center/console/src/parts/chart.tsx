// The trend: uPlot with limit lines and bands, gaps never joined, the spans of doubt hatched, and
// a strip of quality beneath. Grey and muted: the only hues are purple doubt and alarm marks.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { markOf, type Mark, type Row } from '../alarm';
import { history, HISTORY_MAX, type HistoryRow } from '../api';
import { link, watch, type LivePoint } from '../live/plant';
import { subscribe } from '../live/topics';
import { t } from '../prefs';
import { clock, nowMs, zoneName } from '../time';
import { extent, shape, type Shape } from '../trend';
import { decimals, limitText, show } from '../value';

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const LIMITS = [['hh', 1, true], ['h', 1, false], ['l', -1, false], ['ll', -1, true]] as const;

export interface Trend { rows: HistoryRow[]; state: 'loading' | 'ready' | string; complete: boolean }

/** The rows of a window, read once and then kept by the stream. Read anew after a loss. */
export function useTrend(p: LivePoint | undefined, minutes: number): Trend {
  const [trend, put] = useState<Trend>({ rows: [], state: 'loading', complete: true });
  const tag = p?.tag ?? '';
  useEffect(() => {
    if (!tag) return undefined;
    let gone = false;
    let rows: HistoryRow[] = [];
    let fresh: HistoryRow[] = [];
    let reading = false;
    const read = (): void => {
      if (reading) return;
      reading = true;
      const to = nowMs() * 1e6;
      history(tag, to - minutes * 60e9, to + 1e9)
        .then((h) => {
          if (gone) return;
          const end = h.rows.at(-1)?.[0] ?? 0;
          rows = [...h.rows, ...fresh.filter((r) => r[0] > end)];
          put({ rows, state: 'ready', complete: h.complete });
        })
        .catch((why: Error) => !gone && put({ rows, state: why.message || 'error', complete: false }))
        .finally(() => {
          reading = false;
          fresh = [];
        });
    };
    const stop = watch(tag, ([, value, quality, at]) => {
      const row: HistoryRow = [at, value, quality];
      if (reading) fresh.push(row);
      if (at > (rows.at(-1)?.[0] ?? 0)) rows.push(row);
    });
    const stopSite = subscribe('site', read);
    put({ rows: [], state: 'loading', complete: true });
    read();
    return () => {
      gone = true;
      stop();
      stopSite();
    };
  }, [tag, minutes]);
  return trend;
}

interface Props { p: LivePoint; trend: Trend; minutes: number; alarms: Row[]; small?: boolean }

export function Chart({ p, trend, minutes, alarms, small = false }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const now = useRef({ p, trend, minutes, alarms });
  now.current = { p, trend, minutes, alarms };
  const redraw = useRef<() => void>(() => undefined);
  useEffect(() => {
    const host = box.current;
    if (!host) return undefined;
    let data: Shape = { xs: [], ys: [], spans: [] };
    // The window ends where the centre's clock stands, or where it stood when the link was lost.
    let held = nowMs() / 1000;
    const nowAt = (): number => {
      if (link.view(performance.now()).phase === 'live') held = nowMs() / 1000;
      return held;
    };
    const rem = (): number => parseFloat(getComputedStyle(document.documentElement).fontSize);
    const font = (): string => `${0.75 * rem()}px ${css('--font')}`;
    const strip = small ? 0 : 24;
    const plot = new uPlot({
      width: host.clientWidth || 300,
      height: host.clientHeight || 150,
      padding: [10, small ? 58 : 76, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 7 }, y: false },
      tzDate: (s) => uPlot.tzDate(new Date(s * 1e3), zoneName()),
      scales: {
        x: { time: true, range: () => [nowAt() - now.current.minutes * 60, nowAt()] },
        y: { range: () => extent(data.ys, now.current.p) },
      },
      axes: [
        {
          stroke: () => css('--t2'), font: font(), grid: { show: false }, ticks: { show: false }, size: 22 + strip, gap: 5 + strip,
          values: (_u, splits) => splits.map((s) => clock(s * 1e9).slice(0, now.current.minutes <= 10 ? 8 : 5)),
          space: now.current.minutes <= 10 ? 90 : 70,
        },
        {
          stroke: () => css('--t2'), font: font(), grid: { stroke: () => css('--line'), width: 1 }, ticks: { show: false }, size: small ? 44 : 56, gap: 6,
          values: (_u, splits) => splits.map((v) => String(+v.toPrecision(6)).replace('-', '−')),
          space: 34,
        },
      ],
      series: [
        {},
        { stroke: () => css('--pen1'), width: small ? 1.6 : 2, spanGaps: false, points: { show: false } },
      ],
      hooks: {
        drawClear: [(u) => under(u, now.current.p, data)],
        draw: [(u) => over(u, now.current.p, data, now.current.alarms, small)],
        setCursor: [(u) => tell(u, host, now.current.p, data)],
      },
    }, [[], []], host);
    const draw = (): void => {
      const { p: at, trend: of, minutes: wide } = now.current;
      const from = (nowAt() - wide * 60 - at.stale_after_ms / 1000) * 1e9;
      const start = of.rows.findIndex((r) => r[0] >= from);
      // Thinned rows lie further apart than the point's own: four of each slice are kept.
      const apart = of.complete ? 0 : (3 * wide * 60_000) / (HISTORY_MAX / 4);
      data = shape(start > 0 ? of.rows.slice(start) : start === 0 ? of.rows : [], Math.max(at.stale_after_ms, apart), nowAt());
      plot.setData([data.xs, data.ys as number[]]);
    };
    redraw.current = draw;
    const watchSize = new ResizeObserver(() => {
      if (host.clientWidth && host.clientHeight) plot.setSize({ width: host.clientWidth, height: host.clientHeight });
    });
    watchSize.observe(host);
    const stops = [subscribe('second', draw), subscribe('prefs', draw), subscribe('link', draw)];
    host.dataset.ready = 'yes';
    draw();
    const move = (e: KeyboardEvent): void => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!by || small) return;
      e.preventDefault();
      const last = data.xs.length - 1;
      const at = Math.max(0, Math.min(last, (plot.cursor.idx ?? last) + by * (e.shiftKey ? 20 : 1)));
      const x = data.xs[at];
      if (x !== undefined) plot.setCursor({ left: plot.valToPos(x, 'x'), top: 20 });
    };
    host.addEventListener('keydown', move);
    return () => {
      stops.forEach((f) => f());
      watchSize.disconnect();
      host.removeEventListener('keydown', move);
      plot.destroy();
    };
  }, [p.tag, small, minutes]);
  useEffect(() => redraw.current(), [trend, alarms]);
  return (
    <div class={`chart live-drawing ${small ? 'small' : ''}`} ref={box} tabIndex={small ? -1 : 0} role="img"
      aria-label={`${p.tag} ${p.description}. ${t('trend.name')}`} data-tag={p.tag}>
      {trend.state !== 'loading' && trend.state !== 'ready' && <p class="over">{t('trend.failed', { n: trend.state })}</p>}
      {trend.state === 'loading' && <p class="over">{t('loading')}</p>}
      {trend.state === 'ready' && trend.rows.length === 0 && <p class="over">{t('trend.none')}</p>}
    </div>
  );
}

/** Behind the line: the bands beyond the limits, and the hatch where it must not be believed. */
function under(u: uPlot, p: LivePoint, data: Shape): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.fillStyle = css('--row');
  ctx.fill();
  ctx.clip();
  for (const [name, side, outer] of LIMITS) {
    const limit = p.limits[name];
    if (limit === null || limit === undefined) continue;
    const y = Math.max(bbox.top, Math.min(bbox.top + bbox.height, u.valToPos(limit, 'y', true)));
    ctx.globalAlpha = outer ? 0.11 : 0.07;
    ctx.fillStyle = css('--text');
    if (side > 0) ctx.fillRect(bbox.left, bbox.top, bbox.width, y - bbox.top);
    else ctx.fillRect(bbox.left, y, bbox.width, bbox.top + bbox.height - y);
  }
  ctx.strokeStyle = css('--lov');
  for (const s of data.spans) {
    const [a, b] = ends(u, s.from, s.to);
    if (b <= a) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(a, bbox.top, b - a, bbox.height);
    ctx.clip();
    // Uncertain is a sparse hatch behind a line that stays; no good value is a dense one.
    const step = (s.doubt === 'uncertain' ? 14 : 7) * devicePixelRatio;
    ctx.globalAlpha = s.doubt === 'uncertain' ? 0.55 : 0.6;
    ctx.setLineDash(s.doubt === 'uncertain' ? [2 * devicePixelRatio, 4 * devicePixelRatio] : []);
    ctx.lineWidth = (s.doubt === 'uncertain' ? 1.5 : 1) * devicePixelRatio;
    ctx.beginPath();
    for (let x = a - bbox.height; x < b; x += step) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    ctx.restore();
  }
  ctx.restore();
}

function ends(u: uPlot, from: number, to: number): [number, number] {
  const { left, width } = u.bbox;
  const a = Math.max(left, u.valToPos(from, 'x', true));
  const b = Math.min(left + width, Math.max(u.valToPos(to, 'x', true), u.valToPos(from, 'x', true) + 2 * devicePixelRatio));
  return [a, b];
}

/** Over the line: the limits with their names, the frame, the quality strip, the alarms' marks. */
function over(u: uPlot, p: LivePoint, data: Shape, alarms: Row[], small: boolean): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) * px;
  ctx.save();
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  ctx.font = `600 ${0.75 * rem}px ${css('--font')}`;
  let free = -Infinity;
  for (const [name, , outer] of LIMITS) {
    const limit = p.limits[name];
    if (limit === null || limit === undefined) continue;
    const y = u.valToPos(limit, 'y', true);
    if (y < bbox.top - 1 || y > bbox.top + bbox.height + 1) continue;
    ctx.strokeStyle = css('--t2');
    ctx.lineWidth = 1.2 * px;
    ctx.setLineDash(outer ? [] : [6 * px, 4 * px]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    const at = Math.max(y, free + 0.9 * rem);
    free = at;
    ctx.fillStyle = css('--t2');
    ctx.fillText(`${name.toUpperCase()} ${limitText(limit)}`, bbox.left + bbox.width + 5 * px, at);
  }
  ctx.strokeStyle = css('--line2');
  ctx.lineWidth = px;
  ctx.strokeRect(bbox.left + 0.5, bbox.top + 0.5, bbox.width - 1, bbox.height - 1);
  if (!small) quality(u, data, rem);
  for (const { a } of alarms) {
    if (a.annunciated_at === null || a.limit === null) continue;
    const x = u.valToPos(a.annunciated_at / 1e9, 'x', true);
    const y = u.valToPos(a.limit, 'y', true);
    if (x < bbox.left || x > bbox.left + bbox.width || y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = css('--text');
    ctx.globalAlpha = 0.5;
    ctx.setLineDash([px, 3 * px]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
    sign(ctx, markOf(a), Math.min(x, bbox.left + bbox.width - 9 * px), y, 8.5 * px);
  }
  ctx.restore();
}

function quality(u: uPlot, data: Shape, rem: number): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  const y = bbox.top + bbox.height + 5 * px;
  const h = 15 * px;
  ctx.textAlign = 'right';
  ctx.fillStyle = css('--t2');
  ctx.font = `400 ${0.75 * rem}px ${css('--font')}`;
  ctx.fillText(t('quality'), bbox.left - 6 * px, y + h / 2);
  ctx.fillStyle = css('--zone');
  const first = data.xs[0];
  if (first !== undefined) {
    const [a, b] = ends(u, first, Infinity);
    ctx.fillRect(a, y, Math.max(0, b - a), h);
  }
  for (const s of data.spans) {
    const [a, b] = ends(u, s.from, s.to);
    if (b <= a) continue;
    ctx.fillStyle = s.doubt === 'bad' ? css('--lov') : css('--row');
    ctx.fillRect(a, y, b - a, h);
    ctx.strokeStyle = css('--lov');
    ctx.lineWidth = px;
    ctx.setLineDash(s.doubt === 'uncertain' ? [2 * px, 2 * px] : []);
    ctx.strokeRect(a + 0.5, y + 0.5, b - a - 1, h - 1);
    ctx.setLineDash([]);
    const text = t(`quality.short.${s.doubt}`);
    ctx.textAlign = 'left';
    if (ctx.measureText(text).width + 8 * px < b - a) {
      ctx.fillStyle = s.doubt === 'bad' ? css('--lovn') : css('--text');
      ctx.fillText(text, a + 4 * px, y + h / 2 + 0.5);
    }
  }
}

/** The symbol of a priority on a canvas. */
function sign(ctx: CanvasRenderingContext2D, mark: Mark, x: number, y: number, r: number): void {
  ctx.beginPath();
  const corners: Record<string, [number, number][]> = {
    1: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
    2: [[0, -1.1], [1.15, 0.95], [-1.15, 0.95]],
    3: [[-0.95, -0.95], [0.95, -0.95], [0.95, 0.95], [-0.95, 0.95]],
    L: [[-0.55, -1], [0.55, -1], [1.1, 0], [0.55, 1], [-0.55, 1], [-1.1, 0]],
  };
  if (mark === 4) ctx.arc(x, y, r, 0, 7);
  else for (const [dx, dy] of corners[String(mark)] ?? []) ctx.lineTo(x + dx * r, y + dy * r);
  ctx.closePath();
  ctx.fillStyle = css(mark === 'L' ? '--lov' : `--p${mark}`);
  ctx.fill();
  ctx.strokeStyle = css('--edge');
  ctx.stroke();
  ctx.fillStyle = css(mark === 'L' ? '--lovn' : `--p${mark}n`);
  ctx.font = `700 ${r * 1.35}px ${css('--font')}`;
  ctx.textAlign = 'center';
  ctx.fillText(mark === 'L' ? '?' : String(mark), x, y + (mark === 2 ? 0.32 * r : 0.08 * r));
}

/** What stands under the cursor. */
function tell(u: uPlot, host: HTMLElement, p: LivePoint, data: Shape): void {
  let tip = host.querySelector<HTMLElement>('.tip');
  const { idx, left } = u.cursor;
  if (idx === null || idx === undefined || left === undefined || left < 0) {
    tip?.remove();
    return;
  }
  if (!tip) {
    tip = document.createElement('div');
    tip.className = 'tip';
    u.over.append(tip);
  }
  const x = data.xs[idx];
  if (x === undefined) return;
  const y = data.ys[idx] ?? null;
  const span = data.spans.find((s) => x >= s.from && x < s.to);
  tip.textContent = `${clock(x * 1e9)}  ${show(y, decimals(p))} ${y === null ? '' : p.unit} ${span ? `· ${t(`quality.short.${span.doubt}`)}` : ''}`;
  tip.classList.toggle('left', left > u.over.clientWidth / 2);
  tip.style.left = `${left}px`;
}
