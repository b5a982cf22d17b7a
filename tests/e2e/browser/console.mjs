// The console in a real browser. Against the product, which it starts, kills and starts again:
//   DAVY_BIN=target/debug/davy node console.mjs
// against a centre that runs already (nothing is killed then):
//   DAVY_URL=http://127.0.0.1:8080 node console.mjs
// against the console's own mock of the API:
//   node console.mjs --mock
// DAVY_SHOTS=DIR takes screenshots; DAVY_CHROMIUM names another browser than /usr/bin/chromium.
// A centre must raise alarms by itself while this waits (`davy demo` does). The list of 10,000 rows
// is always the mock's. Nothing here asserts a time: it waits for events, with a generous deadline,
// and tells what it measured. Ends with `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { wire } from './wire.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const consoleDir = resolve(here, '../../../center/console');
const mocked = process.argv.includes('--mock');
const shots = process.env.DAVY_SHOTS ? resolve(process.env.DAVY_SHOTS) : null;
const browserPath = process.env.DAVY_CHROMIUM ?? '/usr/bin/chromium';
const DEADLINE = 120_000;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const ACTOR = 'browser-test';

const binary = !mocked && process.env.DAVY_BIN ? resolve(process.env.DAVY_BIN) : null;
if (!mocked && !binary && !process.env.DAVY_URL) stop('set DAVY_BIN to the davy binary or DAVY_URL to the address of a running centre, or give --mock');
if (binary && !existsSync(binary)) stop(`${binary} is missing: cargo build -p davy`);
if (!existsSync(browserPath)) stop(`${browserPath} is missing: install Debian's package \`chromium\`, or set DAVY_CHROMIUM`);
if (shots) mkdirSync(shots, { recursive: true });

const work = mkdtempSync(join(tmpdir(), 'davy-browser-'));
const children = [];
// A test that breaks off leaves nothing running.
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
let passed = 0;
let failed = 0;

/** One check. A failure is told and counted, and the rest goes on. */
async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (why) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(why?.message ?? why).split('\n').slice(0, 6).join('\n      ')}`);
    if (shots && page) await page.screenshot({ path: join(shots, `failed-${failed}.png`) }).catch(() => undefined);
  }
}
function must(held, what) {
  if (!held) throw new Error(what);
}

let dist = null;
/** Starts the mock with the console as it stands, built here. */
async function mock(...args) {
  if (!dist) {
    if (!existsSync(join(consoleDir, 'node_modules'))) run('npm', ['ci'], consoleDir);
    dist = join(work, 'dist');
    run('node', ['build.mjs', '--outdir', dist], consoleDir);
  }
  const child = spawn(process.execPath, [join(consoleDir, 'mock.mjs'), '--dist', dist, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('mock: ')) return line.slice(6);
  }
  throw new Error('the mock did not start');
}
function run(command, args, cwd) {
  const done = spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}
function stop(why) {
  console.error(`browser test: ${why}`);
  process.exit(2);
}

/** The demo, on a port and a folder that stay the same when it is started again. */
let demo = null;
async function product(port) {
  const child = spawn(binary, ['demo', '--listen', `127.0.0.1:${port}`, '--data-dir', join(work, 'data')], { stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  let said = '';
  child.stderr.on('data', (chunk) => { said = (said + chunk).slice(-4000); });
  const url = `http://127.0.0.1:${port}`;
  const until = Date.now() + DEADLINE;
  for (;;) {
    const up = await fetch(`${url}/api/v1/site`).then((r) => r.ok, () => false);
    if (up) break;
    if (child.exitCode !== null || Date.now() > until) throw new Error(`the demo did not start: ${said}`);
    await pause(100);
  }
  demo = { child, port, url };
  return url;
}
const pause = (ms) => new Promise((next) => setTimeout(next, ms));
const freePort = () => new Promise((found) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => found(port));
  });
});
/** Holds again and again until it does: what a page and the centre say of one moment may differ by one. */
async function until(what, holds) {
  const deadline = Date.now() + DEADLINE;
  for (;;) {
    const told = await holds();
    if (told === true) return;
    must(Date.now() < deadline, `${what}: ${told}`);
    await pause(200);
  }
}

const centre = mocked ? await mock() : binary ? await product(await freePort()) : process.env.DAVY_URL.replace(/\/$/, '');
const trouble = (what) => fetch(`${centre}/mock/${what}`, { method: 'POST' });
const api = async (path) => (await fetch(`${centre}/api/v1/${path}`)).json();
const cable = await wire(centre);
const browser = await chromium.launch({ executablePath: browserPath, args: FLAGS });

/** What no page may do: ask another host, break the content policy, throw. */
const strangers = [];
const faults = [];
let quiet = false;
async function open(width, height, path, options = {}) {
  const context = await browser.newContext({ viewport: { width, height }, ...options });
  await context.addInitScript((actor) => localStorage.setItem('davy.actor', actor), ACTOR);
  const opened = await context.newPage();
  opened.setDefaultTimeout(DEADLINE);
  const origin = new URL(options.base ?? cable.url).origin;
  opened.on('request', (r) => new URL(r.url()).origin !== origin && strangers.push(r.url()));
  opened.on('pageerror', (e) => faults.push(e.message));
  opened.on('console', (m) => m.type() === 'error' && !quiet && faults.push(`${m.text()} ${m.location().url}`));
  await opened.goto(`${options.base ?? cable.url}/${path}`);
  return opened;
}
const live = (p) => p.waitForSelector('html[data-link=live]', { state: 'attached' });
const lost = (p) => p.waitForSelector('html[data-link=lost]', { state: 'attached' });
const shot = async (p, name) => shots && p.screenshot({ path: join(shots, `${mocked ? 'mock-' : ''}${name}.png`) });
const attr = (p, selector, name) => p.locator(selector).getAttribute(name);
/** All rows that are drawn. */
const rows = (p) => p.$$eval('.line', (list) => list.map((l) => ({ key: l.dataset.key, occurrence: l.dataset.occurrence, label: l.dataset.label, tag: l.dataset.tag, ackable: !!l.querySelector('.ack:enabled') })));

/** The centre's journal since this test began, in its order. */
const journal = [];
let read_to = (await api('alarms')).seq;
async function readJournal() {
  for (;;) {
    const { records, center_seq } = await api(`journal?after=${read_to}&limit=1000`);
    if (records.length === 0) return journal;
    journal.push(...records);
    read_to = center_seq.at(-1);
  }
}
/** Waits until the centre's own journal says who acknowledged this occurrence. */
async function acknowledged(id) {
  let ack;
  await until(`no record of the journal says that ${id} was acknowledged`, async () => {
    ack = (await readJournal()).find((r) => r.cause === 'ack' && r.occurrence === id);
    return ack !== undefined;
  });
  return ack;
}
/** Waits until the page no longer offers to acknowledge this occurrence. */
const seenAcknowledged = (p, id) => p.waitForFunction((o) => {
  const row = document.querySelector(`.line[data-occurrence="${o}"]`);
  return !row || !['UNACK', 'RTN_UNACK', 'LATCH_UNACK'].includes(row.dataset.label);
}, id);
/** Waits for an occurrence that can be acknowledged and is none of these. Not one of a lost view:
 *  the loss of its whole source may mask it while it is looked at. */
async function fresh(p, not) {
  const handle = await p.waitForFunction((seen) => {
    for (const l of document.querySelectorAll('.line')) {
      const { occurrence, label } = l.dataset;
      if (occurrence && label === 'UNACK' && !l.querySelector('.sym.mL') && !seen.includes(occurrence) && l.querySelector('.ack:enabled')) return { occurrence, tag: l.dataset.tag, key: l.dataset.key };
    }
    return null;
  }, [...not], { polling: 100 });
  return handle.jsonValue();
}
/** Values that are shown, and how many of them are struck. */
const struck = (p) => p.evaluate(() => {
  let all = 0;
  let through = 0;
  for (const value of document.querySelectorAll('main .val.live:not(.nothing) b')) {
    if (value.getClientRects().length === 0) continue;
    all += 1;
    if (getComputedStyle(value).textDecorationLine.includes('line-through')) through += 1;
  }
  return { all, through };
});
/** Notes when each new alarm's row is on the screen: a page of its own, tall enough for all of them. */
async function watchRows() {
  const p = await open(1600, 4000, '?lang=zh&theme=light#/alarms', { base: centre });
  await live(p);
  await p.evaluate(() => {
    const seen = new Map();
    window.seenRows = seen;
    const look = () => {
      const now = [...document.querySelectorAll('.line[data-label=UNACK]')].map((l) => l.dataset.occurrence).filter((o) => o && !seen.has(o));
      for (const o of now) seen.set(o, null);
      // Behind the next frame: painted.
      if (now.length > 0) requestAnimationFrame(() => setTimeout(() => now.forEach((o) => seen.set(o, Date.now()))));
    };
    new MutationObserver(look).observe(document.querySelector('#rows'), { subtree: true, childList: true, attributes: true, attributeFilter: ['data-occurrence', 'data-label'] });
    look();
  });
  return { page: p, since: Date.now() };
}
/** From the transition's record to its row, in ms, for every alarm since the watch began. */
async function latencies({ page: p, since }) {
  const shown = new Map(await p.evaluate(() => [...window.seenRows]));
  const found = [];
  for (const r of await readJournal()) {
    const at = shown.get(r.occurrence);
    if (r.to !== 'UNACK' || r.cause !== 'condition' || !at || r.recorded_at / 1e6 < since) continue;
    found.push(at - r.recorded_at / 1e6);
    shown.delete(r.occurrence);
  }
  return found.sort((a, b) => a - b);
}
let watched = false;
async function measured() {
  if (!watch || watched) return;
  watched = true;
  const enough = Date.now() + 60_000;
  let found = await latencies(watch);
  while (found.length < 10 && Date.now() < enough) {
    await pause(500);
    found = await latencies(watch);
  }
  const at = (share) => found[Math.min(found.length - 1, Math.floor(found.length * share))]?.toFixed(0) ?? '–';
  told.push(`transition recorded → row on the page: ${found.length} alarms, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, worst ${at(1)} ms`);
  await watch.page.context().close();
}
const overflow = (p) => p.evaluate(() => ({ x: document.documentElement.scrollWidth - innerWidth, y: document.documentElement.scrollHeight - innerHeight }));

const began = Date.now();
/** What was measured: told at the end, never asserted. */
const told = [];
const watch = mocked ? null : await watchRows();
let page = await open(1920, 1080, '?lang=zh&theme=light#/alarms');
await check('the page comes alive', () => live(page));

const before = new Set((await api('alarms')).alarms.map((a) => a.occurrence));
let first;
await check('an alarm appears without a reload', async () => {
  if (mocked) await trouble('trip');
  first = await fresh(page, before);
  await shot(page, 'alarm-appears');
});

await check('it is acknowledged with the keyboard, by name, and the record says so', async () => {
  must(first, 'no alarm appeared');
  await page.keyboard.press('/');
  await page.keyboard.type(first.tag);
  await page.keyboard.press('Escape');
  await page.waitForFunction((tag) => [...document.querySelectorAll('.line')].every((l) => l.dataset.tag.includes(tag)), first.tag);
  // Selection is by alarm, not by place: what is acknowledged is what the drawer shows.
  // The drawer has followed a key before the next is pressed: no press is meant for another row.
  let presses = 0;
  await until('the drawer does not show the alarm that was chosen', async () => {
    await page.keyboard.press(presses++ % 12 === 0 ? 'Home' : 'j');
    return page.waitForFunction(() => {
      const { sel } = document.querySelector('.drawer').dataset;
      return sel !== undefined && sel === new URLSearchParams(location.hash.split('?')[1]).get('sel') && { sel };
    }, undefined, { timeout: 2000 }).then(async (at) => (await at.jsonValue()).sel === first.key, () => false);
  });
  await page.keyboard.press('a');
  const ack = await acknowledged(first.occurrence);
  must(ack.actor === ACTOR, `the record names ${ack.actor}`);
  await seenAcknowledged(page, first.occurrence);
});

await check('its drawer explains why, and has the record', async () => {
  await page.goto(`${cable.url}/?lang=zh&theme=light#/alarms?sel=${encodeURIComponent(first.key)}&tab=record`);
  await live(page);
  const standing = (await api('alarms')).alarms.some((a) => `${a.owner} ${a.alarm}` === first.key);
  if (standing) await page.waitForSelector('.drawer .record li, .drawer p.dim');
  await page.keyboard.press('e');
  await shot(page, 'drawer');
});

await check('the drawer shows the guidance of the site, step by step', async () => {
  const guided = () => api('alarms').then(({ alarms }) => alarms.find((a) => a.guidance && a.label !== 'NORMAL'));
  await until('no alarm has guidance', async () => (await guided()) !== undefined);
  const a = await guided();
  await page.goto(`${cable.url}/?lang=zh&theme=light#/alarms?sel=${encodeURIComponent(`${a.owner} ${a.alarm}`)}`);
  await live(page);
  await page.waitForSelector(`.guidance[data-guidance="${a.guidance}"] li`);
  const shown = await page.textContent('.guidance');
  const { text } = await api(`guidance/${a.guidance}`);
  for (const step of text.matchAll(/^\d+\. (.+)$/gm)) must(shown.includes(step[1]), `the step is missing: ${step[1]}`);
  must(!shown.includes('**') && !shown.includes('#'), 'the Markdown is shown raw');
  await shot(page, 'guidance');
});

await check('an alarm without guidance says so, and is counted', async () => {
  const bare = () => api('alarms').then(({ alarms }) => alarms.find((a) => !a.guidance && a.label !== 'NORMAL' && !a.masked));
  await until('every alarm has guidance', async () => (await bare()) !== undefined);
  const a = await bare();
  await page.goto(`${cable.url}/?lang=zh&theme=light#/alarms?sel=${encodeURIComponent(`${a.owner} ${a.alarm}`)}`);
  await live(page);
  await page.waitForFunction(() => document.querySelector('.drawer .body')?.textContent?.includes('这条规则没有处置卡') && /\d+ 条无处置卡/.test(document.querySelector('.shown')?.textContent ?? ''));
});

await check('another is acknowledged by its button', async () => {
  await page.goto(`${cable.url}/?lang=zh&theme=light#/alarms`);
  await live(page);
  const next = await fresh(page, [first?.occurrence ?? '']);
  // A row that has just moved refuses the press: it is pressed again, as a person would.
  await page.waitForFunction((o) => {
    const row = document.querySelector(`.line[data-occurrence="${o}"]`);
    const button = row?.querySelector('.ack:enabled');
    if (button) button.click();
    return !button;
  }, next.occurrence, { polling: 500 });
  const ack = await acknowledged(next.occurrence);
  must(ack.actor === ACTOR, `the record names ${ack.actor}`);
  await seenAcknowledged(page, next.occurrence);
});

if (mocked) {
  await check('a stale acknowledgement is refused, with the reason', async () => {
    await trouble('stale-acks');
    try {
      const row = await fresh(page, []);
      await page.evaluate((key) => [...document.querySelectorAll('.line')].find((l) => l.dataset.key === key)?.click(), row.key);
      await page.waitForSelector(`.drawer[data-sel="${row.key}"]`);
      await page.keyboard.press('a');
      await page.waitForFunction(() => document.querySelector('.drawer .reason')?.textContent?.includes('那一次已经结束'));
    } finally {
      await trouble('stale-acks');
    }
  });
  await check('a new alarm is told to a screen reader', async () => {
    await page.waitForFunction(() => document.querySelector('#say-now')?.textContent !== '' || document.querySelector('#say-soon')?.textContent !== '');
  });
}

await check('language and theme change by a switch', async () => {
  await page.click('#lang');
  await page.waitForSelector('html[lang=en]', { state: 'attached' });
  must((await page.textContent('nav a.on')).includes('Alarms'), 'the pages are not named in English');
  const theme = await attr(page, 'html', 'data-theme');
  await page.keyboard.press('t');
  await page.waitForFunction((was) => document.documentElement.dataset.theme !== was, theme);
  await shot(page, 'alarms-en-dark');
  await page.click('#lang');
  await page.waitForSelector('html[lang=zh-CN]', { state: 'attached' });
  await page.keyboard.press('t');
});

if (mocked) {
  await check('priority 1 is acknowledged by ⇧A only with its drawer open', async () => {
    await page.goto(`${cable.url}/?lang=zh&theme=light#/overview`);
    await live(page);
    await trouble('trip-one');
    await page.waitForSelector('#banner .top .m1');
    const mine = async () => (await api('alarms')).alarms.filter((a) => a.priority === 1 && a.needs_ack).map((a) => a.occurrence);
    const standing = await mine();
    // Pressed until it has stood for its second; the first press that counts opens the drawer.
    await page.waitForFunction(() => {
      document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'A', shiftKey: true, bubbles: true }));
      return location.hash.startsWith('#/alarms') && location.hash.includes('sel=');
    }, undefined, { polling: 300 });
    for (const id of standing) must(!(await api(`occurrences/${id}`)).records.some((r) => r.cause === 'ack'), 'it was acknowledged unseen');
    await page.waitForSelector('.drawer[data-sel] .hero .m1, .drawer[data-sel] .hero .mL');
    const key = await attr(page, '.drawer', 'data-sel');
    const { occurrence } = (await api('alarms')).alarms.find((a) => `${a.owner} ${a.alarm}` === key);
    const pressing = page.waitForFunction((o) => {
      document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'A', shiftKey: true, bubbles: true }));
      const row = document.querySelector(`.line[data-occurrence="${o}"]`);
      return !row || row.dataset.label === 'ACKED';
    }, occurrence, { polling: 300 });
    pressing.catch(() => undefined); // told by the await below, where it comes to that
    must((await acknowledged(occurrence)).actor === ACTOR, 'the record does not name the operator');
    await pressing;
  });
}

const site = await api('site');
await check('each hazard source has its tile, in the order of the plan', async () => {
  await page.goto(`${cable.url}/?lang=zh&theme=light#/overview`);
  await live(page);
  await page.waitForSelector('.tile .val');
  const tiles = await page.$$eval('.tile', (list) => list.map((x) => x.dataset.hazard).filter((x) => x !== ''));
  must(JSON.stringify(tiles) === JSON.stringify(site.hazards.map((h) => h.id)), `tiles are ${tiles}`);
  await shot(page, 'overview-light');
});

await check('a tile with anything that does not protect never reads plain normal', async () => {
  await page.waitForSelector('.protecting li');
  await until('a tile and the list of the centre disagree', async () => {
    const items = (await api('not-protecting')).items;
    const tiles = await page.$$eval('.tile', (list) => list.map((x) => [x.dataset.hazard, x.querySelector('.state').textContent]));
    for (const [hazard, text] of tiles) {
      const open = items.filter((i) => (i.hazard ?? '') === hazard).length;
      if (open === 0 ? text.includes('未保护') : text.includes('✓') || !text.includes(`${open} 项未保护`)) return `${hazard} reads ${text} with ${open}`;
    }
    return true;
  });
});

await check('nothing moves when values change', async () => {
  const places = () => page.$$eval('#banner, .tile, .tile .point, .mini, .side .panel', (list) => list.map((x) => { const r = x.getBoundingClientRect(); return [r.x, r.y, r.width, r.height].map(Math.round).join(); }).join(' '));
  const was = await places();
  const texts = () => page.$$eval('.tile .val', (list) => list.map((x) => x.textContent).join());
  for (let changes = 0; changes < 4; changes += 1) {
    const before = await texts();
    await page.waitForFunction((t) => [...document.querySelectorAll('.tile .val')].map((x) => x.textContent).join() !== t, before);
    must((await places()) === was, 'something moved');
  }
});

await check('a point has a trend with its line, its limits and a table', async () => {
  const points = (await api('points')).points;
  const p = points.find((x) => typeof x.value === 'number' && x.limits?.h != null && x.quality === 192) ?? points.find((x) => typeof x.value === 'number') ?? points[0];
  await page.goto(`${cable.url}/?lang=zh&theme=light#/point/${encodeURIComponent(p.tag)}?w=2`);
  await live(page);
  await page.waitForSelector('.trend .chart[data-ready=yes] canvas');
  // The pen's own colour stands on the canvas: the line has been drawn.
  await page.waitForFunction(() => {
    const canvas = document.querySelector('.trend canvas');
    const pen = getComputedStyle(document.documentElement).getPropertyValue('--pen1').trim();
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(pen.slice(i, i + 2), 16));
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4) if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 12) n += 1;
    return n > 20;
  }, undefined, { polling: 300 });
  await page.keyboard.press('-');
  await page.waitForFunction(() => location.hash.includes('w=10'));
  await shot(page, 'point-light');
  await page.keyboard.press('v');
  await page.waitForSelector('.rows-table tbody tr');
  await page.keyboard.press('v');
});

if (!mocked) {
  await check('an English reader understands every row', async () => {
    const p = await open(1920, 2400, '?lang=en&theme=light#/alarms');
    await live(p);
    await p.waitForSelector('.line');
    // What the site itself wrote stays as it is: names of points, of hazard sources, of gateways.
    const own = [...(await api('points')).points.map((x) => x.description), ...site.hazards.map((h) => h.name), ...site.gateways.map((g) => g.name)].filter(Boolean).sort((a, b) => b.length - a.length);
    const foreign = (selector) => p.$$eval(selector, (list, names) => list.map((x) => names.reduce((text, n) => text.replaceAll(n, ''), x.textContent)).filter((text) => /\p{Script=Han}/u.test(text)), own);
    for (const selector of ['.line .text-cell', '.line .state-cell', '.line .prio', '.line .value-cell', '#banner .top']) must((await foreign(selector)).length === 0, (await foreign(selector))[0]);
    await shot(p, 'alarms-en-light');
    await p.goto(`${cable.url}/?lang=en&theme=light#/overview`);
    await live(p);
    await p.waitForSelector('.protecting li');
    for (const selector of ['.protecting li', '.gateways li', '.tile .state', '.tile .fact']) must((await foreign(selector)).length === 0, (await foreign(selector))[0]);
    await p.context().close();
  });
}

for (const [width, height] of [[1920, 1080], [1366, 768]]) {
  await check(`no page scrolls at ${width} × ${height}`, async () => {
    for (const lang of ['zh', 'en']) {
      for (const hash of ['#/overview', '#/alarms', '#/point']) {
        const p = await open(width, height, `?lang=${lang}&theme=dark${hash}`);
        await live(p);
        await p.waitForSelector('main > *');
        const over = await overflow(p);
        must(over.x <= 0 && over.y <= 0, `${lang} ${hash} overflows by ${JSON.stringify(over)}`);
        await shot(p, `${hash.slice(2)}-${lang}-dark-${width}`);
        await p.context().close();
      }
    }
  });
}

await check('a phone keeps state, time and acknowledgement', async () => {
  const p = await open(390, 844, '?lang=zh&theme=dark#/alarms', { deviceScaleFactor: 2, hasTouch: true });
  await live(p);
  await fresh(p, []);
  const shown = await p.$$eval('.line', (list) => ['.state-cell', '.time-cell', '.text-cell', '.value-cell', '.ack'].map((s) => list.some((l) => (l.querySelector(s)?.getClientRects().length ?? 0) > 0)));
  must(shown.every(Boolean), `hidden: ${shown}`);
  must((await overflow(p)).x <= 0, 'the phone page is wider than the phone');
  const small = await p.$$eval('button.ack', (list) => list.filter((b) => b.getClientRects().length && b.getBoundingClientRect().height < 43.5).length);
  must(small === 0, `${small} targets are smaller than 44 px`);
  await shot(p, 'alarms-phone');
  await p.context().close();
});

await check('the page asks no other host, throws nothing and holds its content policy', async () => {
  must(strangers.length === 0, `asked ${strangers[0]}`);
  must(faults.length === 0, faults[0]);
  const policy = (await fetch(`${centre}/`)).headers.get('content-security-policy') ?? '';
  must(policy.includes("default-src 'self'"), 'the centre sends no content policy `default-src \'self\'`');
});

// ---- the link ----

quiet = true; // a cut cable makes the browser log its failed requests
page = await open(1920, 1080, '?lang=zh&theme=light#/overview');
await live(page);
await page.waitForSelector('.tile .val');
// The worker that keeps the page must stand before the cable is cut.
await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));

async function allStruck(p) {
  await lost(p);
  await p.waitForSelector('#lost');
  await p.waitForFunction(() => [...document.querySelectorAll('main .val.live:not(.nothing) b')].every((b) => getComputedStyle(b).textDecorationLine.includes('line-through')));
  const { all, through } = await struck(p);
  must(all > 0 && all === through, `${through} of ${all} values are struck`);
}

await check('a cut cable strikes every value and counts the silence', async () => {
  const cut_at = Date.now();
  cable.cut();
  await allStruck(page);
  told.push(`cable cut → all values struck: ${((Date.now() - cut_at) / 1000).toFixed(1)} s`);
  await page.waitForFunction(() => document.querySelectorAll('main .bar .pointer').length === 0 || [...document.querySelectorAll('main .bar .pointer')].every((x) => getComputedStyle(x).display === 'none'));
  const age = await page.textContent('.lost-age');
  await page.waitForFunction((was) => document.querySelector('.lost-age')?.textContent !== was, age);
  must((await page.textContent('#lost')).includes('连接中断'), 'the bar does not say it');
  await shot(page, 'lost-overview');
});

await check('acknowledging is locked meanwhile, with the reason', async () => {
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.waitForSelector('.table');
  must((await page.$$('.line .ack:enabled')).length === 0, 'a button is not locked');
  await page.keyboard.press('j');
  await page.keyboard.press('a');
  await page.waitForFunction(() => document.querySelector('#toast.on')?.textContent?.includes('连接中断'));
  await shot(page, 'lost-alarms');
});

await check('a reload while the centre is away says so too', async () => {
  await page.reload();
  await lost(page);
  must((await page.textContent('#lost')).includes('连接中断'), 'the reloaded page does not say it');
  must((await struck(page)).all === 0, 'the reloaded page shows values');
  await shot(page, 'lost-reloaded');
});

await check('it comes back by itself, and only with everything read anew', async () => {
  cable.mend();
  await live(page);
  must((await page.$$('#lost')).length === 0, 'the bar still stands');
  await page.goto(`${cable.url}/?lang=zh&theme=light#/overview`);
  await live(page);
  await page.waitForSelector('.tile .val.good');
  const { all, through } = await struck(page);
  must(all > through, 'no value is believed');
});

await check('a peer that hangs behind a living socket is a loss', async () => {
  cable.hang();
  await allStruck(page);
  cable.mend();
  await live(page);
});

if (mocked) {
  await check('an engine that stands still behind a living stream is a loss', async () => {
    await trouble('freeze');
    await allStruck(page);
    must((await page.textContent('#lost')).includes('引擎'), 'the bar does not name the engine');
    await trouble('thaw');
    await live(page);
  });
  await check('a gateway without a tick strikes its own points and no others', async () => {
    await trouble('gateway-silent');
    await page.waitForFunction(() => [...document.querySelectorAll('.tile[data-hazard=DC7] .point .val')].every((v) => v.classList.contains('struck')));
    must((await page.$$('.tile[data-hazard=TF3] .point .val.good')).length > 0, 'points of another gateway are struck');
    must(!(await page.textContent('.tile[data-hazard=DC7] .state')).includes('✓'), 'the tile reads normal');
    await shot(page, 'gateway-silent');
    await trouble('gateway-back');
    await page.waitForSelector('.tile[data-hazard=DC7] .point .val.good');
  });
}

if (binary) {
  await check('a centre that was killed comes back to the page by itself, whole', async () => {
    const standing = (await api('alarms')).alarms.filter((a) => a.needs_ack && !a.masked);
    must(standing.length > 0, 'nothing is unacknowledged');
    // The page of the watch goes through the loss too: what it saw is told before.
    await measured();
    demo.child.kill('SIGKILL');
    await allStruck(page);
    await shot(page, 'centre-killed');
    const from = Date.now();
    await product(demo.port);
    await live(page);
    told.push(`centre started again → page live: ${((Date.now() - from) / 1000).toFixed(1)} s`);
    must((await page.$$('#lost')).length === 0, 'the bar still stands');
    await page.waitForSelector('.tile .val.good');
    // What stood unacknowledged stands so still, in the centre and on the page.
    const after = new Map((await api('alarms')).alarms.map((a) => [`${a.owner} ${a.alarm}`, a]));
    for (const a of standing) must(after.get(`${a.owner} ${a.alarm}`)?.needs_ack, `${a.alarm} is gone`);
    await page.goto(`${cable.url}/?lang=zh&theme=light#/alarms?seg=unacked`);
    await live(page);
    await until('the page lists another number than the centre', async () => {
      const alarms = (await api('alarms')).alarms.filter((a) => a.needs_ack && !a.masked && !['SHELVED', 'SUPPRESSED', 'OUT_OF_SERVICE'].includes(a.label)).length;
      const shown = Number(await attr(page, '.table', 'aria-rowcount'));
      return shown === alarms || `${shown} of ${alarms}`;
    });
  });
}
await page.context().close();

await measured();

// ---- ten thousand rows ----

const many = await mock('--alarms', '10000');
page = await open(1920, 1080, '?lang=zh&theme=light#/alarms', { base: many });
await check('of ten thousand rows only those that can be seen are in the page', async () => {
  await live(page);
  await page.waitForFunction(() => Number(document.querySelector('.table')?.getAttribute('aria-rowcount')) >= 10_000);
  const total = Number(await attr(page, '.table', 'aria-rowcount'));
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    await page.$eval('#rows', (r, s) => { r.scrollTop = (r.scrollHeight - r.clientHeight) * s; }, share);
    await page.waitForFunction(([s, n]) => {
      const list = [...document.querySelectorAll('.line')].map((l) => Number(l.getAttribute('aria-rowindex')));
      const near = 1 + s * (n - 25);
      return list.some((i) => Math.abs(i - near) < 40);
    }, [share, total]);
    const drawn = (await page.$$('.line')).length;
    must(drawn > 10 && drawn < 80, `${drawn} rows are in the page`);
  }
  const last = await page.$$eval('.line', (list) => Math.max(...list.map((l) => Number(l.getAttribute('aria-rowindex')))));
  must(last >= total - 1, `the last row is ${last} of ${total}`);
});

await check('neither scroll nor selection jumps when an alarm comes', async () => {
  await page.$eval('#rows', (r) => { r.scrollTop = r.scrollHeight / 2; });
  await page.waitForFunction(() => [...document.querySelectorAll('.line')].some((l) => Math.abs(Number(l.getAttribute('aria-rowindex')) - 5000) < 60));
  const at = () => page.evaluate(() => {
    const edge = document.querySelector('#rows').getBoundingClientRect().top;
    const top = [...document.querySelectorAll('.line')].map((l) => [l.getBoundingClientRect().top - edge, l.dataset.key]).filter(([y]) => y >= 0).sort((a, b) => a[0] - b[0])[0];
    return { key: top[1], y: Math.round(top[0]) };
  });
  const { key } = await at();
  await page.evaluate((k) => [...document.querySelectorAll('.line')].find((l) => l.dataset.key === k)?.click(), key);
  await page.waitForSelector(`.drawer[data-sel="${key}"]`);
  const was = await at();
  const total = Number(await attr(page, '.table', 'aria-rowcount'));
  await fetch(`${many}/mock/trip`, { method: 'POST' });
  await page.waitForFunction((n) => Number(document.querySelector('.table').getAttribute('aria-rowcount')) > n, total);
  await page.waitForFunction((k) => [...document.querySelectorAll('.line')].some((l) => l.dataset.key === k), key);
  const now = await at();
  must(now.key === was.key && Math.abs(now.y - was.y) <= 1, `was ${JSON.stringify(was)}, is ${JSON.stringify(now)}`);
  must((await attr(page, '.drawer', 'data-sel')) === key, 'the selection jumped');
  await shot(page, 'rows-10000');
});

await browser.close();
cable.close();
// The demo commits and flushes before it goes: its folder goes after it.
await Promise.all(children.map(async (child) => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill();
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await once(child, 'exit');
  clearTimeout(late);
}));
rmSync(work, { recursive: true, force: true });
for (const line of told) console.log(`told  ${line}`);
console.log(`${passed} passed, ${failed} failed, ${((Date.now() - began) / 1000).toFixed(0)} s`);
process.exit(failed === 0 ? 0 : 1);
