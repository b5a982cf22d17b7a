// Words to the screen reader and to the foot of the page. New alarms are collected for half a
// second, so that a flood is one sentence and not ten thousand.
import { isBlind, markOf } from './alarm';
import type { AlarmView } from './api';
import { language, t } from './prefs';
import { line } from './sentence';
import { changed } from './live/topics';

const BATCH_MS = 500;
const FEW = 3;
const TOAST_MS = 4000;

let waiting: AlarmView[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says a sentence now: assertive cuts in, polite waits its turn. */
export function say(sentence: string, assertive: boolean): void {
  const region = document.getElementById(assertive ? 'say-now' : 'say-soon');
  if (!region) return;
  // A region that says the same words twice is not read twice: each sentence is a new element.
  const line = document.createElement('p');
  line.textContent = sentence;
  region.replaceChildren(line);
}

export function announce(a: AlarmView): void {
  waiting.push(a);
  timer ??= setTimeout(() => {
    timer = undefined;
    const batch = waiting;
    waiting = [];
    const urgent = batch.some((x) => x.priority <= 2 || isBlind(x));
    const one = batch.filter((x) => x.priority === 1);
    const said = batch.length <= FEW ? batch : one.slice(0, FEW);
    const parts = said.map((x) => t('say.alarm', { mark: t(`mark.${markOf(x)}`), text: line(language(), x) }));
    if (batch.length > FEW) parts.unshift(t('say.many', { n: batch.length, one: one.length }));
    say(parts.join('; '), urgent);
  }, BATCH_MS);
}

export const toastNow = { text: '', until: 0 };
export function toast(text: string): void {
  toastNow.text = text;
  toastNow.until = performance.now() + TOAST_MS;
  changed('toast');
  setTimeout(() => changed('toast'), TOAST_MS + 20);
}
