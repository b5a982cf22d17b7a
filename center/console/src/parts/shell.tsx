// What stands around every page: head, banner, pages, foot, and the words for a screen reader.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { MARKS } from '../alarm';
import { link, plant } from '../live/plant';
import { useTopics } from '../live/topics';
import { actorNow, setActor, swapLanguage, swapTheme, t } from '../prefs';
import { href, type PageName } from '../router';
import { toastNow } from '../say';
import { allowSound, silentLeft, soundState } from '../sound';
import { clock, day, nowMs, span } from '../time';
import { Banner, silenceHere } from './banner';
import { startKeys } from './keys';
import { Sym } from './symbol';

const ICONS: Record<PageName, string> = {
  overview: 'M3 4h8v7H3zM13 4h8v7h-8zM3 13h8v7H3zM13 13h8v7h-8z',
  alarms: 'M12 3.5 21.5 20h-19zM12 9.5v5M12 16.6v1.2',
  point: 'M3.5 3v17.5H21M6.5 16l4-6 4 3 6-8',
};
const CHORDS: Record<PageName, string> = { overview: 'g o', alarms: 'g a', point: 'g p' };

export function Shell({ page, children }: { page: PageName; children: ComponentChildren }) {
  useTopics('prefs', 'site', 'link');
  const [help, setHelp] = useState(false);
  useEffect(() => startKeys(() => setHelp(true)), []);
  return (
    <>
      <Patterns />
      <div id="frame">
        <Head onHelp={() => setHelp(true)} />
        <Banner />
        <nav aria-label={t('pages')}>
          {(Object.keys(ICONS) as PageName[]).map((p) => (
            <a key={p} href={href(p)} class={p === page ? 'on' : ''} aria-current={p === page ? 'page' : undefined} title={CHORDS[p]}>
              <svg viewBox="0 0 24 24" aria-hidden="true"><path d={ICONS[p]} /></svg>
              {t(`page.${p}`)}
            </a>
          ))}
        </nav>
        <main id="main" tabIndex={-1}>{children}</main>
        <Foot page={page} />
      </div>
      <Toast />
      <Help open={help} onClose={() => setHelp(false)} />
      <div id="say-now" class="sr" aria-live="assertive" />
      <div id="say-soon" class="sr" aria-live="polite" />
    </>
  );
}

/** The hatch that means "not trusted", wherever an svg needs it. */
function Patterns() {
  return (
    <svg class="patterns" width="0" height="0" aria-hidden="true">
      <pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <path d="M0 0V5" class="hatch-line" />
      </pattern>
    </svg>
  );
}

function Head({ onHelp }: { onHelp: () => void }) {
  useTopics('second', 'sound', 'link', 'site', 'prefs', 'gateways');
  const [asking, setAsking] = useState(false);
  const now = performance.now();
  const view = link.view(now);
  const sound = soundState();
  const at = nowMs() * 1e6;
  return (
    <header>
      <span class="prod">{t('product')}</span>
      <span class="site opt">{plant.site?.name ?? ''}</span>
      <span class="grow" />
      <span class="chip beat" id="link" data-phase={view.phase}>
        <i class={view.phase === 'live' ? 'dot' : 'dot off'} />
        {view.phase === 'live' ? t('link.live', { n: (link.beat_age(now) / 1000).toFixed(1) })
          : view.phase === 'starting' ? t('link.starting')
          : t('link.lost', { n: span(now - view.since) })}
      </span>
      <button type="button" class={`tool sound ${sound}`} id="sound" onClick={() => (sound === 'blocked' ? allowSound() : silenceHere())}>
        <span aria-hidden="true">♪</span>{' '}
        {sound === 'on' ? t('sound.on') : sound === 'silenced' ? t('sound.silenced', { n: span(silentLeft()) }) : t(`sound.${sound}`)}
      </button>
      <button type="button" class="tool" id="actor" title={t('operator.ask')} onClick={() => setAsking(true)}><span class="desk">{t('operator')} · </span>{actorNow()}</button>
      <button type="button" class="tool" title={`${t('theme')} (t)`} aria-label={t('theme')} onClick={swapTheme}>◐</button>
      <button type="button" class="tool" id="lang" onClick={swapLanguage}>{t('language')}</button>
      <button type="button" class="tool desk" title={`${t('keys')} (?)`} aria-label={t('keys')} onClick={onHelp}>?</button>
      <span class="clock"><small>{day(at)}</small><b>{clock(at)}</b></span>
      {asking && <AskActor onClose={() => setAsking(false)} />}
    </header>
  );
}

function AskActor({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [name, setName] = useState(actorNow());
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose}>
      <form method="dialog" onSubmit={() => setActor(name)}>
        <h2>{t('operator.ask')}</h2>
        <div class="body">
          <label>{t('operator')}<br /><input class="field" maxLength={64} value={name} onInput={(e) => setName(e.currentTarget.value)} /></label>
          <p class="dim">{t('operator.note')}</p>
        </div>
        <div class="foot">
          <button type="button" class="btn" onClick={() => dialog.current?.close()}>{t('cancel')} <kbd>Esc</kbd></button>
          <button type="submit" class="btn main">{t('save')}</button>
        </div>
      </form>
    </dialog>
  );
}

function Help({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
  }, [open]);
  const keys = [
    ['g o / g a / g p', t('help.pages')], ['j k / ↓ ↑', t('help.move')], ['a', t('help.ack')], ['⇧A', t('help.ack_first')],
    ['m', t('help.silence')], ['e', t('help.why')], ['1 2 3', t('help.tabs')], ['/', t('help.filter')], ['Enter', t('help.enter')],
    ['+ −', t('help.window')], ['← →', t('help.cursor')], ['v', t('help.table')], ['[ ]', t('help.neighbour')], ['t', t('help.theme')], ['?', t('help.help')],
  ] as const;
  return (
    <dialog ref={dialog} onClose={onClose}>
      <form method="dialog">
        <h2>{t('keys')}</h2>
        <div class="body keys">{keys.map(([k, what]) => [<kbd key={k}>{k}</kbd>, <span key={`${k} `}>{what}</span>])}</div>
        <div class="foot"><button type="submit" class="btn main">{t('close')} <kbd>Esc</kbd></button></div>
      </form>
    </dialog>
  );
}

function Foot({ page }: { page: PageName }) {
  useTopics('prefs');
  return (
    <footer>
      {page === 'alarms'
        ? <span>{t('list.keys')}</span>
        : [
          MARKS.map((m) => <span key={m} class="pair"><Sym mark={m} size={15} />{t(`mark.${m}`)}</span>),
          <span key="legend" class="ell">{t('legend')}</span>,
        ]}
      <span class="grow" />
      <span>{plant.site ? `davy ${plant.site.version} · ${plant.site.plan_rev}` : ''}</span>
    </footer>
  );
}

function Toast() {
  useTopics('toast');
  return <div id="toast" role="status" class={performance.now() < toastNow.until ? 'on' : ''}>{toastNow.text}</div>;
}
