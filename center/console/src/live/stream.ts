// The page's one connection: full fetches, the event stream, and the watch over both. Every way
// back from a loss goes through a full fetch; `link.ts` decides what is live.
import { get, type AlarmView, type Beat, type CommandState, type Gateway, type NotProtecting, type Point, type SampleRow, type Site } from '../api';
import { t } from '../prefs';
import { say } from '../say';
import { heardNew } from '../sound';
import { heardTime, setZone } from '../time';
import { isUnacked } from '../alarm';
import { settle } from './commands';
import { link, plant, putAlarm, putBeat, putGateway, putSamples, setAlarms, setGateways, setPoints, setProtecting } from './plant';
import { changed, subscribe } from './topics';

const LOOK_MS = 200;
/** With no beat for longer, the stream is thrown away and opened anew. */
const REOPEN_MS = 4000;

let source: EventSource | null = null;
let opened_at = 0;
let syncing = false;
/** Set where another full fetch is wanted while one runs. */
let again = false;
let held: (() => void)[] = [];
let phase = '';

export function connect(): void {
  open();
  setInterval(look, LOOK_MS);
  // A tab that slept wakes to the truth, not to its last picture.
  document.addEventListener('visibilitychange', look);
  addEventListener('online', open);
  setInterval(() => changed('second'), 1000);
  // No event tells of the list of what does not protect: it follows alarms and gateways, and time.
  let due: ReturnType<typeof setTimeout> | undefined;
  const soon = (): void => {
    due ??= setTimeout(() => {
      due = undefined;
      void readProtecting();
    }, 500);
  };
  subscribe('alarms', soon);
  setInterval(soon, 5000);
}

function open(): void {
  source?.close();
  opened_at = performance.now();
  const es = new EventSource('/api/v1/stream');
  source = es;
  const on = <T>(name: string, handle: (data: T, id: number) => void): void => {
    es.addEventListener(name, (event) => {
      if (source !== es) return;
      const message = event as MessageEvent<string>;
      let data: T;
      try {
        data = JSON.parse(message.data) as T;
      } catch {
        console.error(`stream: ${name} is not JSON`);
        link.resync(performance.now());
        void sync();
        return;
      }
      const id = message.lastEventId === '' ? NaN : Number(message.lastEventId);
      if (syncing) held.push(() => handle(data, id));
      else handle(data, id);
    });
  };
  es.addEventListener('beat', (event) => {
    // Never held back: a beat is about now.
    if (source !== es) return;
    try {
      const beat = JSON.parse((event as MessageEvent<string>).data) as Beat;
      heardTime(beat.at);
      putBeat(beat);
      look();
    } catch {
      console.error('stream: beat is not JSON');
    }
  });
  on<AlarmView>('transition', (a, id) => {
    // What the full fetch already held is not told again.
    if (!a.provisional && id <= read_seq) return;
    putAlarm(a);
    if (a.to === 'UNACK' && a.from !== 'UNACK') heardOnce(a);
    if (a.command_id) settle(a.command_id, 'applied', null);
  });
  on<{ rows: SampleRow[] }>('samples', (s) => putSamples(s.rows));
  on<Gateway>('gateway', putGateway);
  on<CommandState>('command', (c) => settle(c.id, c.state, c.why));
  es.addEventListener('resync', () => {
    if (source !== es) return;
    link.resync(performance.now());
    void sync();
  });
  // The browser resumes its own stream with Last-Event-ID; one that was opened anew cannot.
  es.addEventListener('open', () => {
    if (source !== es) return;
    if (plant.read) link.resync(performance.now());
    void sync();
  }, { once: true });
}

let read_seq = -1;

/** Occurrences that have been sounded and said, so that a provisional copy and its sealed record
 *  are one alarm, and one that came during a loss is not missed. */
const heard = new Set<string>();
function heardOnce(a: AlarmView): void {
  const name = `${a.occurrence || `${a.owner} ${a.seq}`} ${a.annunciated_at ?? ''}`;
  if (!isUnacked(a) || heard.has(name)) return;
  heard.add(name);
  if (heard.size > 50_000) heard.delete(heard.values().next().value as string);
  if (plant.read) heardNew(a);
}

async function readProtecting(): Promise<void> {
  try {
    setProtecting((await get<{ items: NotProtecting[] }>('not-protecting')).items);
  } catch {
    setProtecting(null);
  }
}

/** Reads everything anew. Events that come meanwhile wait, and are applied behind it. */
export async function sync(): Promise<void> {
  if (syncing) {
    again = true;
    return;
  }
  syncing = true;
  const began = performance.now();
  try {
    const [site, points, alarms, gateways] = await Promise.all([
      get<Site>('site'),
      get<{ points: Point[] }>('points'),
      get<{ seq: number; alarms: AlarmView[] }>('alarms'),
      get<{ gateways: Gateway[] }>('gateways'),
      readProtecting(),
    ]);
    setZone(site.zone);
    plant.site = site;
    setPoints(points.points);
    setAlarms(alarms.alarms);
    read_seq = alarms.seq;
    setGateways(gateways.gateways);
    for (const a of alarms.alarms) heardOnce(a);
    plant.read = true;
    changed('site');
    const waiting = held;
    held = [];
    syncing = false;
    for (const apply of waiting) apply();
    link.synced(performance.now(), began);
  } catch (why) {
    console.warn('full fetch failed:', why);
    held = [];
    again = false;
    syncing = false;
    link.resync(performance.now());
    retry ??= setTimeout(() => {
      retry = undefined;
      void sync();
    }, 1000);
    return;
  }
  look();
  if (again) {
    again = false;
    void sync();
  }
}
let retry: ReturnType<typeof setTimeout> | undefined;

/** Looks whether what is shown is live, marks the page, and mends what can be mended. */
function look(): void {
  const now = performance.now();
  const view = link.view(now);
  if (view.phase === 'lost') {
    if (link.beat_age(now) > REOPEN_MS && now - opened_at > REOPEN_MS) open();
    if (source?.readyState === EventSource.CLOSED && now - opened_at > 1000) open();
    // Beats are back: what is missing is the full fetch.
    if (view.why === 'resync' && !syncing && retry === undefined) void sync();
  } else if (source?.readyState === EventSource.CLOSED && now - opened_at > 1000) open();
  const seen = `${view.phase} ${view.why}`;
  if (seen === phase) return;
  const was = phase;
  phase = seen;
  document.documentElement.dataset.link = view.phase;
  if (view.phase === 'lost' && !was.startsWith('lost')) say(t('link.say.lost'), true);
  if (view.phase === 'live' && was.startsWith('lost')) say(t('link.say.back'), true);
  changed('link');
}
