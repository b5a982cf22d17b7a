// The centre's API with a scripted plant behind it, for development and for the browser test.
//   node mock.mjs [--port 0] [--dist DIR] [--alarms 10000] [--flood] [--seed 1]
// Prints `mock: http://127.0.0.1:PORT`. Serves DIR (the bundle), `/api/v1/…` and the stream.
// `POST /mock/{cut|hang|mend|freeze|thaw|gateway-silent|gateway-back|stale-acks|trip|trip-one}` makes trouble:
//   cut      closes every stream and refuses the API; mend brings both back
//   hang     keeps the streams open and says nothing more on them
//   freeze   the centre's engine stands still behind a living stream
// It is a peer, not a model: it derives nothing that the page should derive.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const arg = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1] ?? otherwise;
};
const dist = arg('dist', join(here, 'dist'));
const bulk = Number(arg('alarms', 0));
const flood = process.argv.includes('--flood');
let seed = Number(arg('seed', 1)) >>> 0;
const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const ns = () => Date.now() * 1e6;

// ---- the site ----

const hazards = [
  { id: 'TF3', name: '罐区三 苯 / 甲苯', grade: 1, substance: '苯' },
  { id: 'NH3', name: '液氨储罐区', grade: 2, substance: '液氨' },
  { id: 'DC7', name: '铝粉除尘 D-7', grade: null, substance: '铝粉' },
];
const site = {
  v: 1, site: 'demo', name: '示例园区', zone: 'Asia/Shanghai', version: '0.1.0', plan_rev: '5ad1e0c2b7f83d94', hazards,
  areas: [{ id: 'north', name: '北区' }, { id: 'south', name: '南区' }],
  gateways: [{ id: 'gw-north', name: '罐区网关' }, { id: 'gw-south', name: '除尘网关' }],
};

/** tag, hazard, description, class, unit, low, high, [ll l h hh], middle, swing */
const table = [
  ['LT-A', 'TF3', 'T-0302 液位 A', 'tank_level', '%', 0, 100, [5, 10, 85, 90], 62, 0.2],
  ['LT-B', 'TF3', 'T-0302 液位 B', 'tank_level', '%', 0, 100, [5, 10, 85, 90], 62, 0.2],
  ['FT-0301', 'TF3', '来料流量', 'flow', 'm³/h', 0, 450, [null, null, 340, 380], 312, 4],
  ['PT-0302', 'TF3', '气相压力', 'pressure', 'kPa', -2, 3, [-0.9, -0.5, 1.6, 1.9], 1.2, 0.05],
  ['TT-0302', 'TF3', '罐温', 'temperature', '℃', -10, 60, [null, 2, 38, 45], 24.6, 0.2],
  ['AT-0312', 'TF3', '苯蒸气 0312', 'gas_flammable', '%LEL', 0, 100, [null, null, 25, 50], 2, 0.6],
  ['AT-0313', 'TF3', '苯蒸气 0313', 'gas_flammable', '%LEL', 0, 100, [null, null, 25, 50], 1, 0.4],
  ['XV-0301', 'TF3', '进料阀 0301 开', 'valve', '', 0, 1, [null, null, null, null], 1, 0],
  ['PT-2101', 'NH3', 'V-2101 压力', 'pressure', 'MPa', 0, 2, [null, 0.5, 1.35, 1.5], 1.21, 0.01],
  ['LT-2101', 'NH3', 'V-2101 液位', 'tank_level', '%', 0, 100, [8, 15, 80, 85], 61, 0.3],
  ['TT-2101', 'NH3', 'V-2101 温度', 'temperature', '℃', -20, 60, [null, -5, 38, 42], 31, 0.2],
  ['AT-2103', 'NH3', '氨气 2103', 'gas_toxic', 'ppm', 0, 200, [null, null, 25, 50], 3, 0.8],
  ['AT-2104', 'NH3', '氨气 2104', 'gas_toxic', 'ppm', 0, 200, [null, null, 25, 50], 2, 0.8],
  ['PDT-7101', 'DC7', '滤袋压差', 'dp', 'kPa', 0, 3, [0.2, 0.4, 1.5, 1.9], 1.3, 0.04],
  ['FT-7102', 'DC7', '风管风速', 'velocity', 'm/s', 0, 40, [18, 20, 32, null], 24.6, 0.3],
  ['TT-7104', 'DC7', '灰斗温度', 'temperature', '℃', 0, 120, [null, null, 60, 75], 41, 0.3],
  ['ST-7105', 'DC7', '火花计数', 'spark', '/min', 0, 10, [null, null, 1, 3], 0, 0],
  ['TT-7103', 'DC7', '风机轴承温度', 'temperature', '℃', 0, 120, [null, null, 80, 95], 56, 0.3],
];
const points = new Map(table.map(([tag, hazard, description, cls, unit, low, high, [ll, l, h, hh], middle, swing]) => [tag, {
  tag, description, hazard, area: hazard === 'DC7' ? 'south' : 'north', class: cls, unit, low, high, limits: { ll, l, h, hh }, deadband: (high - low) / 100,
  gateway: hazard === 'DC7' ? 'gw-south' : 'gw-north', source: hazard === 'NH3' ? 'mqtt-nh3' : `plc-${hazard.toLowerCase()}`,
  life: tag === 'AT-2104' ? 'commissioning' : 'in_service', stale_after_ms: 3000, value: middle, quality: 192, quality_name: 'good',
  source_time: ns(), arrival_time: ns(), middle, swing, rows: [],
}]));

const names = { 192: 'good', 24: 'bad_communication', 36: 'bad_stale', 68: 'uncertain_last_usable', 84: 'uncertain_range', 16: 'bad_sensor_failure' };
function record(p, at, value, quality) {
  Object.assign(p, { value, quality, quality_name: names[quality] ?? '', source_time: at, arrival_time: at + 12e6 });
  p.rows.push([at, value, quality]);
  if (p.rows.length > 90_000) p.rows.splice(0, 10_000);
}
// An hour of history, a row each second, with a gap, a bad stretch and an uncertain one.
for (const p of points.values()) {
  for (let s = 3600; s > 0; s -= 1) {
    const at = (Math.floor(Date.now() / 1000) - s) * 1e9;
    if (s > 300 && s < 360) continue;
    const wave = p.middle + p.swing * Math.sin(s / 40) + p.swing * (random() - 0.5);
    if (s > 200 && s < 230) p.rows.push([at, null, 24]);
    else p.rows.push([at, p.swing === 0 ? p.middle : wave, s > 120 && s < 170 ? 68 : 192]);
  }
}

const trouble = { cut: false, hang: false, frozen_at: 0, gateway: null, gateway_at: 0, stale_acks: false };
const streams = new Set();

// ---- alarms ----

const alarms = new Map();
const journal = [];
let center_seq = 0;
const seqs = new Map();
let occurrence = 0;
const regions = (over = {}) => ({ condition: 'normal', eval: 'known', acked: false, confirmed: false, latched: false, open: false, masked: false, audible: false, ...over });

function occurrenceId() {
  occurrence += 1;
  return occurrence.toString(32).padStart(26, 'a');
}

function transition(owner, alarm, over) {
  const seq = (seqs.get(owner) ?? 0) + 1;
  seqs.set(owner, seq);
  const key = `${owner} ${alarm}`;
  const before = alarms.get(key);
  const [rule, tag, level] = alarm.split('/');
  const p = points.get(tag);
  const to = over.to ?? 'UNACK';
  const at = over.at ?? ns();
  const view = {
    v: 1, seq, site: 'demo', owner, alarm, rule, kind: rule === 'table' ? 'level' : rule === 'source' ? 'source' : rule.startsWith('tank') ? 'stuck' : 'stale', tag,
    hazard: p?.hazard ?? '', area: p?.area ?? '', level, priority: 3, limit: null, unit: p?.unit ?? '', text: alarm, guidance: '',
    occurrence: before?.occurrence ?? '', episode: before?.episode ?? '', from: before?.label ?? 'NORMAL', to, cause: 'condition',
    value: p?.value ?? { no_data: 'link_down' }, quality: p?.quality ?? 24, source_time: at, condition_start: before?.condition_start ?? at, annunciated_at: before?.annunciated_at ?? at,
    recorded_at: at, rule_rev: '9c1e77aa01b2', plan_rev: site.plan_rev, flags: [], regions: { before: regions(), after: regions({ open: to !== 'NORMAL' }) },
    prev: 'p'.repeat(64), hash: 'h'.repeat(64), masked: false, unknown: false, provisional: false, pending_command: null, description: p?.description ?? '',
    ...(before ? { priority: before.priority, text: before.text, limit: before.limit, guidance: before.guidance, hazard: before.hazard, kind: before.kind, description: before.description, unit: before.unit, ...(p ? {} : { value: before.value, quality: before.quality }) } : {}),
    ...over,
  };
  delete view.at;
  if (view.from === 'NORMAL' && to === 'UNACK') {
    view.occurrence = occurrenceId();
    view.episode = view.occurrence;
    view.condition_start = over.condition_start ?? at - 2e9;
    view.annunciated_at = at;
  }
  view.label = to;
  view.needs_ack = ['UNACK', 'RTN_UNACK', 'LATCH_UNACK'].includes(to);
  center_seq += 1;
  view.center_seq = center_seq;
  journal.push(view);
  if (journal.length > 40_000) journal.splice(0, 10_000);
  if (to === 'NORMAL' && !view.unknown) alarms.delete(key);
  else alarms.set(key, view);
  tell('transition', view, center_seq);
  return view;
}

const ago = (s) => ns() - s * 1e9;
transition('gw-south', 'table/PDT-7101/h', { priority: 3, limit: 1.5, text: 'D-7 滤袋压差高', at: ago(1260), guidance: 'dust-filter' });
transition('gw-south', 'table/PDT-7101/h', { to: 'ACKED', cause: 'ack', actor: 'operator-1', at: ago(1200) });
transition('gw-north', 'table/TT-2101/h', { priority: 4, limit: 38, text: 'V-2101 温度高', at: ago(5000) });
transition('gw-north', 'table/TT-2101/h', { to: 'RTN_UNACK', cause: 'returned', at: ago(4800) });
transition('gw-north', 'table/AT-2104/h', { to: 'SHELVED', priority: 3, limit: 25, text: '氨气 2104 浓度高（气体一级）', at: ago(900), regions: { before: regions(), after: regions({ shelved: { kind: 'timed', until: ago(-2700) } }) } });
for (let i = 0; i < bulk; i += 1) {
  const tag = `BULK-${String(i).padStart(5, '0')}`;
  const priority = random() < 0.03 ? 2 : random() < 0.3 ? 3 : 4;
  transition('gw-north', `table/${tag}/h`, { priority, limit: 10, unit: '%', value: 11, quality: 192, hazard: 'TF3', text: `批量 ${tag} 高`, at: ago(60 + i), description: tag });
  if (random() < 0.5) transition('gw-north', `table/${tag}/h`, { to: 'ACKED', cause: 'ack', actor: 'operator-1' });
}

// ---- the story: LT-B fills and crosses H and HH, LT-A freezes, the ammonia source goes silent ----

const gateways = new Map(site.gateways.map((g) => [g.id, { id: g.id, name: g.name, state: 'online', session: 's1', plan_rev: site.plan_rev, plan_agrees: true }]));
let step = 0;
const CYCLE_S = 60;
const standing = (owner, alarm) => alarms.get(`${owner} ${alarm}`);
const raise = (owner, alarm, over) => {
  const now = standing(owner, alarm);
  if (!now || now.label === 'NORMAL' || now.label === 'RTN_UNACK') transition(owner, alarm, { ...over, from: now?.label ?? 'NORMAL', ...(now ? { occurrence: occurrenceId(), annunciated_at: ns() } : {}) });
};
const clear = (owner, alarm) => {
  const now = standing(owner, alarm);
  if (now && ['UNACK', 'ACKED'].includes(now.label)) transition(owner, alarm, { to: now.label === 'ACKED' ? 'NORMAL' : 'RTN_UNACK', cause: 'returned', masked: false });
};

function live() {
  if (trouble.frozen_at) return;
  step += 1;
  const s = (step / 5) % CYCLE_S;
  const rows = [];
  const at = Math.floor(Date.now() / 200) * 200e6;
  for (const p of points.values()) {
    if (trouble.gateway === p.gateway) continue;
    if (step % 5 !== 0 && !p.tag.startsWith('LT-')) continue;
    if (p.source === 'mqtt-nh3' && s > 30 && s < 42) {
      if (p.quality !== 24) {
        record(p, at, null, 24);
        rows.push([p.tag, null, 24, at, at + 12e6]);
      }
      continue;
    }
    let value = p.swing === 0 ? p.middle : p.middle + p.swing * Math.sin(step / 60) + p.swing * (random() - 0.5);
    let quality = 192;
    if (p.tag === 'LT-B') value = s < 45 ? 62 + s * 0.9 : 102.5 - (s - 45) * 2.7;
    if (p.tag === 'LT-B' && value > 100) [value, quality] = [100, 84];
    if (p.tag === 'LT-A') [value, quality] = s > 12 && s < 50 ? [72.8, 68] : [s <= 12 ? 62 + s * 0.9 : 60, 192];
    if (p.tag === 'PDT-7101') value += 0.3;
    if (p.tag === 'XV-0301') value = s < 45;
    record(p, at, value, quality);
    rows.push([p.tag, value, quality, at, at + 12e6]);
  }
  tell('samples', { v: 1, rows });
  const b = points.get('LT-B').value;
  if (b >= 85) raise('gw-north', 'table/LT-B/h', { priority: 2, limit: 85, text: 'T-0302 苯储罐液位高（B 表）', guidance: 'tank-overfill' });
  if (b >= 90) raise('gw-north', 'table/LT-B/hh', { priority: 1, limit: 90, text: 'T-0302 苯储罐液位高高（B 表）', guidance: 'tank-overfill' });
  const h = standing('gw-north', 'table/LT-B/h');
  if (b >= 90 && h && !h.masked && h.label !== 'RTN_UNACK') transition('gw-north', 'table/LT-B/h', { to: h.label, cause: 'masked', masked: true, flags: ['masked'] });
  if (b < 84) for (const l of ['h', 'hh']) clear('gw-north', `table/LT-B/${l}`);
  if (s > 15 && s < 50) raise('gw-north', 'tank-gauge-stuck/LT-A/on', { priority: 2, text: 'T-0302 液位 A 冻结，进料仍在流动' });
  else clear('gw-north', 'tank-gauge-stuck/LT-A/on');
  if (s > 32 && s < 42) raise('gw-north', 'source/mqtt-nh3/loss_of_view', { priority: 1, text: '失去监视：数据源 mqtt-nh3 无应答' });
  else clear('gw-north', 'source/mqtt-nh3/loss_of_view');
  if (flood && step % 2 === 0 && s > 5 && s < 25) raise('gw-south', `table/P-${800 + step % 200}/on`, { priority: random() < 0.2 ? 3 : 4, hazard: 'DC7', text: `P-${800 + step % 200} 泵跳停` });
}

const guidance = new Map([
  ['tank-overfill', '# 储罐冒罐\n\n**原因** 进料阀未关到位。\n\n**处置**\n1. 停进料泵、关进料阀。\n2. 撤离罐组内作业人员。\n'],
  ['dust-filter', '# 滤袋压差高\n\n1. 查清灰系统。\n2. 停产尘作业。\n'],
]);

function notProtecting() {
  const items = [];
  const add = (kind, over) => items.push({ kind, tag: null, alarm: null, hazard: null, area: null, gateway: null, since: null, until: null, text: '', owner: null, ...over });
  for (const a of alarms.values()) {
    if (a.label === 'SHELVED') add('shelved', { tag: a.tag, alarm: a.alarm, hazard: a.hazard, since: a.recorded_at, until: a.regions.after.shelved?.until ?? null, text: `${a.text} · 搁置`, owner: 'operator-1' });
    if (a.level === 'on' && a.kind === 'stuck' && ['UNACK', 'ACKED'].includes(a.label)) add('stuck', { tag: a.tag, alarm: a.alarm, hazard: a.hazard, since: a.annunciated_at, text: a.text, owner: 'gw-north' });
    if (a.rule === 'source' && ['UNACK', 'ACKED'].includes(a.label)) add('loss_of_view', { alarm: a.alarm, hazard: 'NH3', gateway: 'gw-north', since: a.annunciated_at, text: a.text, owner: 'gw-north' });
  }
  for (const p of points.values()) {
    if (p.life === 'commissioning') add('commissioning', { tag: p.tag, hazard: p.hazard, gateway: p.gateway, text: `${p.tag} ${p.description} 调试中` });
    if (p.quality < 64) add('bad', { tag: p.tag, hazard: p.hazard, gateway: p.gateway, since: p.source_time, text: `${p.tag} ${p.description} 坏值`, owner: p.gateway });
  }
  if (trouble.gateway) add('gateway', { gateway: trouble.gateway, since: trouble.gateway_at, text: `网关 ${trouble.gateway} 无心跳` });
  return items;
}

const commands = new Map();
const keys = new Map();
function acknowledge(id, body) {
  if (keys.has(body.idempotency_key)) return keys.get(body.idempotency_key);
  const found = [...alarms.values()].find((a) => a.occurrence === id);
  const ever = found ?? journal.find((a) => a.occurrence === id);
  if (!ever) return null;
  const command_id = `c${commands.size + 1}`;
  commands.set(command_id, { v: 1, id: command_id, state: 'pending', why: null });
  keys.set(body.idempotency_key, command_id);
  setTimeout(() => {
    const a = [...alarms.values()].find((x) => x.occurrence === id);
    const why = trouble.stale_acks || !a ? 'stale_occurrence' : !a.needs_ack ? 'already_acked' : null;
    commands.set(command_id, { v: 1, id: command_id, state: why ? 'rejected' : 'applied', why });
    if (!why) transition(a.owner, a.alarm, { to: a.label === 'RTN_UNACK' ? 'NORMAL' : 'ACKED', cause: 'ack', actor: body.actor, reason: body.reason || null, command_id, masked: a.masked });
    tell('command', commands.get(command_id));
  }, 150);
  return command_id;
}

// ---- HTTP ----

function tell(event, data, id) {
  if (trouble.hang) return;
  const text = `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
  for (const s of streams) s.write(text);
}
const gatewayView = (g) => {
  const age = trouble.gateway === g.id ? (ns() - trouble.gateway_at) / 1e6 : 60;
  return { ...g, state: age > 3000 ? 'offline' : 'online', beat_age_ms: age, tick_age_ms: age, last_seq: seqs.get(g.id) ?? 0, acked_seq: seqs.get(g.id) ?? 0, history_behind: Math.round(age) };
};
function beat() {
  const age = trouble.frozen_at ? Date.now() - trouble.frozen_at : 40;
  tell('beat', { v: 1, at: ns(), center_tick_age_ms: age, gateways: Object.fromEntries([...gateways.values()].map((g) => [g.id, gatewayView(g).tick_age_ms])) });
}
setInterval(beat, 500);
setInterval(live, 200);
setInterval(() => gateways.forEach((g) => tell('gateway', gatewayView(g))), 2000);

const plain = ({ middle, swing, rows, ...p }) => p;
const listed = () => [...alarms.values()].map(({ center_seq: _, ...a }) => a);
function api(path, query) {
  let found;
  if (path === 'site') return site;
  if (path === 'points') return { v: 1, points: [...points.values()].map(plain) };
  if ((found = /^points\/([^/]+)\/history$/.exec(path))) {
    const p = points.get(decodeURIComponent(found[1]));
    if (!p) return null;
    const [from, to, max] = ['from', 'to', 'max'].map((k) => Number(query.get(k)));
    const rows = p.rows.filter((r) => r[0] >= from && r[0] <= to);
    const step = Math.ceil(rows.length / (max || 2000));
    return { v: 1, tag: p.tag, unit: p.unit, rows: step > 1 ? rows.filter((_, i) => i % step === 0) : rows, complete: step <= 1 };
  }
  if (path === 'alarms') return { v: 1, seq: center_seq, alarms: listed() };
  if (path === 'not-protecting') return { v: 1, items: notProtecting() };
  if (path === 'gateways') return { v: 1, gateways: [...gateways.values()].map(gatewayView) };
  if (path === 'journal') {
    const records = journal.filter((r) => r.center_seq > Number(query.get('after') ?? 0)).slice(0, Number(query.get('limit') ?? 1000));
    return { v: 1, seq: center_seq, records, center_seq: records.map((r) => r.center_seq) };
  }
  if ((found = /^guidance\/(.+)$/.exec(path))) return guidance.has(found[1]) ? { v: 1, name: found[1], text: guidance.get(found[1]) } : null;
  if ((found = /^commands\/(.+)$/.exec(path))) return commands.get(found[1]) ?? null;
  if ((found = /^occurrences\/([^/]+)$/.exec(path))) {
    const records = journal.filter((r) => r.occurrence === found[1]);
    const first = records[0];
    if (!first) return null;
    return { v: 1, occurrence: found[1], alarm: first.alarm, standing: listed().some((a) => a.occurrence === found[1]), records,
      explain: { limit: first.limit, value: first.value, quality: first.quality, condition_start: first.condition_start, annunciated_at: first.annunciated_at, on_delay_ms: 2000, rule_rev: first.rule_rev, text: `${first.tag} 达到限值并保持 2 s，质量好，未搁置、未抑制` } };
  }
  return null;
}

const MIME = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const CSP = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
const server = createServer(async (req, res) => {
  const url = new URL(req.url ?? '/', 'http://mock');
  const json = (status, body) => {
    res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    res.end(JSON.stringify(body));
  };
  let body = '';
  for await (const chunk of req) body += chunk;
  if (url.pathname.startsWith('/mock/')) return json(200, make(url.pathname.slice(6)));
  if (trouble.cut) return req.socket.destroy();
  if (url.pathname === '/api/v1/stream') {
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    res.write('retry: 500\n\n');
    const after = Number(req.headers['last-event-id'] ?? NaN);
    if (after < center_seq - 10_000) res.write('event: resync\ndata: {}\n\n');
    else for (const r of journal) if (r.center_seq > after) res.write(`id: ${r.center_seq}\nevent: transition\ndata: ${JSON.stringify(r)}\n\n`);
    streams.add(res);
    res.on('close', () => streams.delete(res));
    return undefined;
  }
  if (url.pathname.startsWith('/api/v1/')) {
    const path = url.pathname.slice(8);
    const ack = /^occurrences\/([^/]+)\/ack$/.exec(path);
    if (req.method === 'POST' && ack) {
      const id = acknowledge(decodeURIComponent(ack[1]), JSON.parse(body || '{}'));
      return id ? json(202, { v: 1, command_id: id }) : json(404, { error: 'no alarm has this occurrence', remedy: 'reload the list' });
    }
    if (trouble.hang) return undefined; // never answers
    const answer = api(path, url.searchParams);
    return answer ? json(200, answer) : json(404, { error: 'not found', remedy: '' });
  }
  const file = normalize(url.pathname === '/' ? '/index.html' : url.pathname);
  try {
    const bytes = await readFile(join(dist, file));
    res.writeHead(200, { 'content-type': MIME[extname(file)] ?? 'application/octet-stream', 'content-security-policy': CSP, 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' });
    res.end(bytes);
  } catch {
    res.writeHead(file === '/favicon.ico' ? 204 : 404).end();
  }
  return undefined;
});

function make(what) {
  if (what === 'cut') {
    trouble.cut = true;
    for (const s of streams) s.destroy();
  } else if (what === 'hang') trouble.hang = true;
  else if (what === 'freeze') trouble.frozen_at = Date.now();
  else if (what === 'thaw') trouble.frozen_at = 0;
  else if (what === 'gateway-silent') Object.assign(trouble, { gateway: 'gw-south', gateway_at: ns() });
  else if (what === 'gateway-back') trouble.gateway = null;
  else if (what === 'stale-acks') trouble.stale_acks = !trouble.stale_acks;
  else if (what === 'trip') raise('gw-north', 'table/AT-0312/h', { priority: 2, limit: 25, text: '罐区三南侧苯蒸气浓度高（气体一级）' });
  else if (what === 'trip-one') raise('gw-north', 'table/AT-0313/hh', { priority: 1, limit: 50, text: '罐区三北侧苯蒸气浓度高高（气体二级）' });
  else if (what === 'mend') Object.assign(trouble, { cut: false, hang: false, frozen_at: 0, gateway: null });
  else return { error: `no such trouble: ${what}` };
  return { ...trouble, streams: streams.size, alarms: alarms.size };
}

server.listen(Number(arg('port', 0)), '127.0.0.1', () => console.log(`mock: http://127.0.0.1:${server.address().port}`));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
