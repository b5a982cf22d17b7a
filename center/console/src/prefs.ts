// What this console remembers for itself: language, theme, operator's name. The URL wins
// (`?lang=en&theme=dark`), then what was chosen here before, then the browser.
import { word, type Fill, type Lang, type Word } from './words';
import { changed } from './live/topics';

function recall(key: string): string | null {
  try {
    return localStorage.getItem(`davy.${key}`);
  } catch {
    return null; // storage may be blocked: then nothing is remembered
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(`davy.${key}`, value);
  } catch {
    // see recall
  }
}

const asked = new URLSearchParams(globalThis.location?.search ?? '');
const one = <T extends string>(allowed: readonly T[], ...candidates: (string | null)[]): T | undefined =>
  candidates.find((c): c is T => allowed.includes(c as T)) as T | undefined;

let lang: Lang = one(['zh', 'en'] as const, asked.get('lang'), recall('lang')) ?? 'zh';
let theme: 'light' | 'dark' = one(['light', 'dark'] as const, asked.get('theme'), recall('theme'))
  ?? (globalThis.matchMedia?.('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
let actor = recall('actor') ?? 'operator-1';

function apply(): void {
  const html = document.documentElement;
  html.lang = lang === 'zh' ? 'zh-CN' : 'en';
  html.dataset.theme = theme;
}
if (globalThis.document) apply();

export const t = (key: Word, fill?: Fill): string => word(lang, key, fill);
export const language = (): Lang => lang;
export const themeNow = (): string => theme;
export const actorNow = (): string => actor;

/** The URL must not go on saying what was changed by hand. */
function forget(key: string): void {
  const url = new URL(location.href);
  if (!url.searchParams.has(key)) return;
  url.searchParams.delete(key);
  history.replaceState(null, '', url);
}

export function swapLanguage(): void {
  lang = lang === 'zh' ? 'en' : 'zh';
  keep('lang', lang);
  forget('lang');
  apply();
  changed('prefs');
}

export function swapTheme(): void {
  theme = theme === 'dark' ? 'light' : 'dark';
  keep('theme', theme);
  forget('theme');
  apply();
  changed('prefs');
}

export function setActor(name: string): void {
  actor = name.trim().slice(0, 64) || 'operator-1';
  keep('actor', actor);
  changed('prefs');
}
