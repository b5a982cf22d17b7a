// The keyboard. A page adds its own keys while it is shown; keys are off inside inputs, in open
// dialogs and while an input method composes.
import { useEffect } from 'preact/hooks';
import { swapTheme } from '../prefs';
import { go, href, type PageName } from '../router';
import { acknowledgeFirst, silenceHere } from './banner';

export type Keys = Readonly<Record<string, () => void>>;
const PAGES: Readonly<Record<string, PageName>> = { o: 'overview', a: 'alarms', p: 'point' };
const CHORD_MS = 1200;

let page: Keys = {};
let chord_at = -Infinity;

export function useKeys(keys: Keys): void {
  useEffect(() => {
    page = keys;
    return () => {
      if (page === keys) page = {};
    };
  });
}

const typing = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;

export function startKeys(help: () => void): void {
  const everywhere: Keys = { '?': help, t: swapTheme, m: silenceHere, A: acknowledgeFirst };
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || e.defaultPrevented) return;
    if (document.querySelector('dialog[open]')) return;
    if (typing(e.target)) {
      if (e.key === 'Escape') (e.target as HTMLElement).blur();
      return;
    }
    const to = performance.now() - chord_at < CHORD_MS ? PAGES[e.key] : undefined;
    chord_at = -Infinity;
    if (to) {
      e.preventDefault();
      return go(href(to));
    }
    if (e.key === 'g') {
      chord_at = performance.now();
      return;
    }
    // Enter and Space belong to the button that has the focus.
    const onButton = e.target instanceof Element && e.target.closest('button, a') !== null;
    if (onButton && (e.key === 'Enter' || e.key === ' ')) return;
    // Holding a key down moves a selection; it must never acknowledge one alarm after another.
    if (e.repeat && (e.key === 'a' || e.key === 'A')) return;
    const act = everywhere[e.key] ?? page[e.key];
    if (act) {
      e.preventDefault();
      act();
    }
  });
}
