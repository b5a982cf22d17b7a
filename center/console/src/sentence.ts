// What an alarm says, in either language. The engine writes its sentence in the site's language,
// with the value of that moment in it; a page that shows the live value beside it builds its own
// from the fields of the record. A sentence that a rule brings along is the site's: it stays.
import type { AlarmView, NotProtecting } from './api';
import { word, wordOr, type Lang, type Word } from './words';

export type Said = Pick<AlarmView, 'owner' | 'alarm' | 'rule' | 'kind' | 'tag' | 'level' | 'text' | 'description'>;

/** The centre's own engine: its points are the gateways. */
const CENTRE = 'center';
/** What the engine says behind the name of a point; `{v}` is the value of that moment. */
const PHRASES: readonly Word[] = ['said.suspected', 'said.unseen', 'said.stuck', 'said.stale', 'said.bad', 'said.loss_of_view', 'said.bypass'];
const SOURCE: readonly Word[] = ['said.source.down', 'said.source.clock', 'said.source.storm'];

interface Phrase { key: Word; v: string }

/** The engine's sentence taken apart; null where a rule brought its own. */
function phraseOf(a: Said): Phrase | null {
  const { text, tag } = a;
  if (!text.startsWith(`${tag} `)) return null;
  for (const key of PHRASES) {
    const [before = '', after] = word('zh', key).split('{v}');
    if (after === undefined ? text.endsWith(` ${before}`) : text.includes(` ${before}`)) {
      return { key, v: after === undefined ? '' : text.slice(text.indexOf(` ${before}`) + before.length + 1) };
    }
  }
  const sign = a.level === 'l' || a.level === 'll' ? '≤' : '≥';
  const said = limitKey(a);
  const head = a.description ? `${tag} ${a.description} ` : `${tag} `;
  if (!said || !text.startsWith(head)) return null;
  const v = text.slice(head.length);
  // A comparison that holds, or the limit in brackets beside the value.
  const [open = ''] = word('zh', 'said.beside').split('{v}');
  const engines = v.includes(` ${sign} ${word('zh', said)} `) || v.includes(`${open}${word('zh', said)} `);
  return engines ? { key: said, v } : null;
}

const limitKey = (a: Said): Word | null => (['ll', 'l', 'h', 'hh', 'hhh'].includes(a.level) ? (`limit.${a.level}` as Word) : null);

/** A part of a process: `system/journal/on`, `system/plan/gw-1/on`. */
function partText(lang: Lang, a: Said): string {
  const part = a.alarm.split('/').slice(1, -1).join('/');
  if (part === 'startup') return word(lang, 'said.startup');
  if (part === 'flood') return word(lang, 'said.flood');
  if (part.startsWith('plan/')) return word(lang, 'said.plan', { n: part.slice(5) });
  return word(lang, 'said.part', { n: wordOr(lang, `part.${part}`, part) });
}

/** Kinds that derive something: an English reader is told which, and the level where it has one. */
const DERIVED: readonly string[] = [
  'deviation', 'rate', 'discrepancy', 'discrete', 'redundant', 'vote', 'count', 'aggregate',
  'mass_balance', 'time_to_limit', 'sequence', 'expression',
];

function derived(lang: Lang, a: Said): string {
  const head = a.description ? `${a.tag} ${a.description} ` : `${a.tag} `;
  if (lang === 'zh' && a.text.startsWith(head)) return a.text.slice(head.length);
  if (lang === 'zh') return a.text;
  const what = wordOr(lang, `kind.${a.kind}`, a.kind);
  if (a.level === 'on') return what;
  if (a.level === 'bad') return word(lang, 'said.inputs', { what });
  return word(lang, 'said.of', { what, n: wordOr(lang, `level.${a.level}`, a.level) });
}

/** A trip group; what came first stands behind the colon, in names that need no translation. */
function firstOut(lang: Lang, a: Said): string {
  if (lang === 'zh') return a.text;
  return word(lang, 'said.group', { n: a.tag });
}

/** What is wrong, in a few words and without the name of the point. */
export function brief(lang: Lang, a: Said): string {
  if (a.owner === CENTRE && a.kind === 'stale') return word(lang, 'said.gateway');
  if (a.rule === 'source') {
    const key = SOURCE.find((k) => word('zh', k, { n: a.tag }) === a.text);
    return key ? word(lang, key, { n: a.tag }) : a.text;
  }
  if (a.rule === 'system') return partText(lang, a);
  if (a.kind === 'first_out') return firstOut(lang, a);
  if (DERIVED.includes(a.kind)) return derived(lang, a);
  const phrase = phraseOf(a);
  if (!phrase) return lang === 'zh' ? a.text : `${a.text} (${wordOr(lang, `level.${a.level}`, a.level)})`;
  if (phrase.key.startsWith('limit.')) return word(lang, `level.${a.level}` as Word);
  return word(lang, `${phrase.key}.brief` as Word);
}

/** Whether `brief` needs the name of the point before it. */
const named = (a: Said): boolean =>
  a.rule !== 'source' && a.rule !== 'system' && a.kind !== 'first_out'
  && (DERIVED.includes(a.kind) || phraseOf(a) !== null || a.owner === CENTRE);

/** Name and complaint apart: where room is short the name gives way, never the complaint. */
export function apart(lang: Lang, a: Said): { name: string; what: string } {
  const what = brief(lang, a);
  if (!named(a)) return { name: what.includes(a.tag) || a.rule === 'source' || a.rule === 'system' ? '' : a.tag, what };
  return { name: [a.tag, a.description].filter(Boolean).join(' '), what };
}

/** What it is about and what is wrong, for a list that has the tag in a column of its own. */
export function headline(lang: Lang, a: Said): string {
  if (!named(a)) return brief(lang, a);
  return `${a.description || a.tag} ${brief(lang, a)}`;
}

/** With the tag: for a line that stands alone. */
export function line(lang: Lang, a: Said): string {
  const { name, what } = apart(lang, a);
  return name ? `${name} ${what}` : what;
}

/** The engine's whole sentence, with the value of that moment. */
export function whole(lang: Lang, a: Said): string {
  if (lang === 'zh') return a.text;
  const phrase = phraseOf(a);
  if (!phrase || !named(a) || a.owner === CENTRE || DERIVED.includes(a.kind)) return line(lang, a);
  const head = [a.tag, a.description].filter(Boolean).join(' ');
  if (phrase.key.startsWith('limit.')) {
    const [open = '', close = ''] = word('zh', 'said.beside').split('{v}');
    const [value = '', limit] = measured(lang, phrase.v).replace(word('zh', phrase.key), word(lang, phrase.key)).split(open);
    return `${head} ${value}${limit === undefined ? '' : word(lang, 'said.beside', { v: limit.slice(0, -close.length) })}`;
  }
  return `${head} ${word(lang, phrase.key, { v: measured(lang, phrase.v) })}`;
}

const measured = (lang: Lang, v: string): string => v.replace(word('zh', 'said.nothing'), word(lang, 'said.nothing'));

/** An entry of the list of what does not protect. `alarm` is the alarm that it speaks of, if any. */
export function uncovered(lang: Lang, i: NotProtecting, alarm: Said | undefined): string {
  if (alarm) return line(lang, alarm);
  const tag = i.tag ?? '';
  if (i.kind === 'gateway') return word(lang, 'said.gateway.blind', { n: i.gateway ?? '' });
  const kind = wordOr(lang, `np.${i.kind}`, i.kind);
  if (lang === 'zh' && i.alarm) return i.text || kind;
  if (i.kind === 'journal' || i.kind === 'plan_differs') return lang === 'zh' && i.text ? i.text : word(lang, 'said.of', { what: kind, n: i.gateway || i.owner || '' });
  // The text of a point is its description.
  const about = [tag, i.alarm ? '' : i.text.startsWith(`${tag} `) ? i.text.slice(tag.length + 1) : i.text].filter(Boolean).join(' ');
  return about ? `${about} ${kind}` : kind;
}
