// Earcons: one for each priority and one for loss of view, generated, repeated until silenced or
// acknowledged. A console that cannot sound says so and counts as muted.
import { isBlind, isUnacked, markOf, type Mark } from './alarm';
import type { AlarmView } from './api';
import { announce } from './say';
import { link, rows } from './live/plant';
import { changed, subscribe } from './live/topics';

/** Notes in Hz, the length of each and the pause behind it in seconds, the pause between repeats.
 *  Fundamentals of neighbours lie more than a fifth apart; rhythm tells them apart as well. */
interface Earcon { notes: number[]; note_s: number; rest_s: number; again_s: number }
const EARCONS: Record<Mark | 'link', Earcon> = {
  1: { notes: [830, 1050, 830, 1050, 830, 1050], note_s: 0.1, rest_s: 0.04, again_s: 1.6 },
  2: { notes: [620, 620, 620], note_s: 0.16, rest_s: 0.09, again_s: 2.6 },
  3: { notes: [460, 370], note_s: 0.24, rest_s: 0.06, again_s: 5 },
  4: { notes: [280], note_s: 0.3, rest_s: 0, again_s: 10 },
  L: { notes: [220, 262, 220, 262], note_s: 0.22, rest_s: 0.02, again_s: 3.4 },
  link: { notes: [196, 147], note_s: 0.45, rest_s: 0.05, again_s: 4 },
};
const SILENCE_MS = 120_000;
/** Partials with their loudness: small loudspeakers carry the upper ones. */
const PARTIALS: readonly [number, number][] = [[1, 0.5], [2, 0.25], [3, 0.15], [4, 0.08]];

let context: AudioContext | null = null;
let silent_until = 0;
let next_at = 0;
/** Occurrences that an operator here has acknowledged: their sound ends with the key press. */
const answered = new Set<string>();

export type SoundState = 'on' | 'silenced' | 'blocked' | 'none';
export function soundState(): SoundState {
  if (!context) return 'none';
  if (context.state !== 'running') return 'blocked';
  return performance.now() < silent_until ? 'silenced' : 'on';
}
export const silentLeft = (): number => Math.max(0, silent_until - performance.now());
/** Whether a new alarm would not be heard here. */
export const isMute = (): boolean => soundState() !== 'on';

/** Starts with sound on where the browser allows it; elsewhere the first key or click allows it. */
export function startSound(): void {
  try {
    context = new AudioContext();
  } catch {
    return;
  }
  context.addEventListener('statechange', () => changed('sound'));
  const wake = (): void => {
    if (context?.state === 'suspended') void context.resume().catch(() => undefined);
  };
  for (const kind of ['pointerdown', 'keydown'] as const) addEventListener(kind, wake, { capture: true });
  wake();
  setInterval(sound, 200);
  subscribe('alarms', sound);
}

export function allowSound(): void {
  void context?.resume().then(() => play(EARCONS[4])).catch(() => undefined);
}

/** Silences this console for two minutes. Not an acknowledgement; a new alarm ends it. */
export function silence(): void {
  silent_until = performance.now() + SILENCE_MS;
  changed('sound');
}

/** An operator answered this occurrence: it need not go on sounding while the gateway decides. */
export function silencedBy(occurrence: string): void {
  answered.add(occurrence);
  if (answered.size > 512) answered.delete(answered.values().next().value as string);
}

/** The answer was refused: it sounds again. */
export const soundAgain = (occurrence: string): boolean => answered.delete(occurrence);

/** A new annunciation: it is said, and it ends the silence. */
export function heardNew(a: AlarmView): void {
  answered.delete(a.occurrence);
  silent_until = 0;
  next_at = 0;
  announce(a);
  changed('sound');
}

function sound(): void {
  if (soundState() !== 'on' || performance.now() < next_at) return;
  const lost = link.view(performance.now()).phase === 'lost';
  // rows() is sorted by urgency: unacknowledged first, the worst of them first.
  const first = rows().find((r) => isUnacked(r.a) && !answered.has(r.a.occurrence));
  const earcon = lost ? EARCONS.link : first ? EARCONS[isBlind(first.a) ? 'L' : markOf(first.a)] : null;
  if (!earcon) return;
  const length_s = earcon.notes.length * (earcon.note_s + earcon.rest_s);
  next_at = performance.now() + (length_s + earcon.again_s) * 1000;
  play(earcon);
}

function play(earcon: Earcon): void {
  if (!context) return;
  let at = context.currentTime + 0.02;
  for (const note of earcon.notes) {
    const out = context.createGain();
    out.gain.setValueAtTime(0, at);
    out.gain.linearRampToValueAtTime(0.3, at + 0.012);
    out.gain.setValueAtTime(0.3, at + earcon.note_s - 0.03);
    out.gain.linearRampToValueAtTime(0, at + earcon.note_s);
    out.connect(context.destination);
    for (const [multiple, loudness] of PARTIALS) {
      const partial = context.createGain();
      partial.gain.value = loudness;
      const tone = context.createOscillator();
      tone.frequency.value = note * multiple;
      tone.connect(partial).connect(out);
      tone.start(at);
      tone.stop(at + earcon.note_s + 0.02);
    }
    at += earcon.note_s + earcon.rest_s;
  }
}
