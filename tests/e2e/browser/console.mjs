// The console in a real browser. Against a running centre:
//   DAVY_URL=http://127.0.0.1:8080 node console.mjs
// against the console's own mock of the API:
//   node console.mjs --mock
// DAVY_SHOTS=DIR takes screenshots; DAVY_CHROMIUM names another browser than /usr/bin/chromium.
// A centre must raise alarms by itself while this waits (`davy demo` does). The list of 10,000 rows
// is always the mock's. Nothing here asserts a time: it waits for events, with a generous deadline.
// Ends with `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
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

if (!mocked && !process.env.DAVY_URL) stop('set DAVY_URL to the address of a running centre, or give --mock');
if (!existsSync(browserPath)) stop(`${browserPath} is missing: install Debian's package \`chromium\`, or set DAVY_CHROMIUM`);
if (shots) mkdirSync(shots, { recursive: true });

const work = mkdtempSync(join(tmpdir(), 'davy-browser-'));
const children = [];
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

const centre = mocked ? await mock() : process.env.DAVY_URL.replace(/\/$/, '');
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

/** Waits until the centre's own record says who acknowledged this occurrence. */
async function acknowledged(id) {
  const until = Date.now() + DEADLINE;
  for (;;) {
    const told = await api(`occurrences/${encodeURIComponent(id)}`);
    const ack = told.records?.find((r) => r.cause === 'ack' && r.occurrence === id);
    if (ack) return ack;
    must(Date.now() < until, `no record says that ${id} was acknowledged`);
    await new Promise((next) => setTimeout(next, 100));
  }
}
/** Waits until the page no longer offers to acknowledge this occurrence. */
const seenAcknowledged = (p, id) => p.waitForFunction((o) => {
  const row = document.querySelector(`.line[data-occurrence="${o}"]`);
  return !row || !['UNACK', 'RTN_UNACK', 'LATCH_UNACK'].includes(row.dataset.label);
}, id);
/** Waits for an occurrence that can be acknowledged and is none of these. */
async function fresh(p, not) {
  const handle = await p.waitForFunction((seen) => {
    for (const l of document.querySelectorAll('.line')) {
      const { occurrence, label } = l.dataset;
      if (occurrence && label === 'UNACK' && !seen.includes(occurrence) && l.querySelector('.ack:enabled')) return { occurrence, tag: l.dataset.tag, key: l.dataset.key };
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
const overflow = (p) => p.evaluate(() => ({ x: document.documentElement.scrollWidth - innerWidth, y: document.documentElement.scrollHeight - innerHeight }));

let page = await open(1920, 1080, '?lang=zh&theme=light#/alarms?seg=unacked');
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
  for (let i = 0; i < 20; i += 1) {
    await page.keyboard.press('j');
    if (await page.$eval('.drawer', (d, key) => d.dataset.sel === key, first.key)) break;
  }
  must((await attr(page, '.drawer', 'data-sel')) === first.key, 'the drawer does not show the alarm that was chosen');
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
    const row = await fresh(page, []);
    await page.evaluate((key) => [...document.querySelectorAll('.line')].find((l) => l.dataset.key === key)?.click(), row.key);
    await page.keyboard.press('a');
    await page.waitForFunction(() => document.querySelector('.drawer .reason')?.textContent?.includes('那一次已经结束'));
    await trouble('stale-acks');
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
  const tiles = await page.$$eval('.tile', (list) => list.map((x) => [x.dataset.hazard, x.querySelector('.state').textContent]));
  const items = (await api('not-protecting')).items;
  for (const [hazard, text] of tiles) {
    const open = items.filter((i) => (i.hazard ?? '') === hazard).length;
    // The list is read a moment later than the page read its own: only what stands in both counts.
    if (open > 0 && text.includes('✓')) {
      await page.waitForFunction((h) => !document.querySelector(`.tile[data-hazard="${h}"] .state`)?.textContent?.includes('✓'), hazard);
    }
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
  cable.cut();
  await allStruck(page);
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
await page.context().close();

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
for (const child of children) child.kill();
rmSync(work, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
