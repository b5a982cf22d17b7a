// Acknowledgements under way. The page never changes an alarm by itself: it sends, shows
// "pending", and waits for the stream to say what became of it.
import { ackRefusal } from '../alarm';
import { freshKey, get, post, Refused, type AlarmView, type CommandState } from '../api';
import { actorNow, language, t } from '../prefs';
import { say, toast } from '../say';
import { silencedBy, soundAgain } from '../sound';
import { line } from '../sentence';
import { wordOr } from '../words';
import { link } from './plant';
import { changed } from './topics';

export interface Pending { command: string | null; text: string; asked_at: number }

const pending = new Map<string, Pending>();
/** Outcomes that came before the answer to the request did, by command. */
const outcomes = new Map<string, CommandState>();
/** What a person still has to read: the last refusal, by occurrence. */
const refusals = new Map<string, string>();
const KEEP = 256;

export const pendingOf = (occurrence: string): Pending | undefined => pending.get(occurrence);
export const refusalOf = (occurrence: string): string | undefined => refusals.get(occurrence);

export const whyText = (why: string | null): string => wordOr(language(), `why.${why ?? ''}`, why ?? '?');

/** A refusal in the operator's words; the centre's own where the page has none for it. */
function refusedText(why: Refused): string {
  if (why.status === 404) return t('why.unknown_occurrence');
  if (why.status === 503) return t('why.unavailable');
  return [why.message, why.remedy].filter(Boolean).join(' — ');
}

/** Acknowledges one occurrence. Once for however many presses while it is under way. */
export async function acknowledge(a: AlarmView): Promise<void> {
  const no = ackRefusal(a, link.view(performance.now()).phase !== 'live');
  if (no) return toast(t(no));
  if (pending.has(a.occurrence)) return toast(t('ack.waiting'));
  const mine: Pending = { command: null, text: line(language(), a), asked_at: performance.now() };
  pending.set(a.occurrence, mine);
  refusals.delete(a.occurrence);
  silencedBy(a.occurrence);
  changed('commands');
  try {
    const { command_id } = await post<{ command_id: string }>(`occurrences/${encodeURIComponent(a.occurrence)}/ack`, {
      reason: '', idempotency_key: freshKey(), actor: actorNow(),
    });
    mine.command = command_id;
    const early = outcomes.get(command_id);
    if (early) finish(a.occurrence, mine, early.state, early.why);
    else toast(t('ack.sent'));
    watch(a.occurrence, mine);
  } catch (why) {
    refuse(a.occurrence, why instanceof Refused ? refusedText(why) : t('why.unreachable'));
  }
  changed('commands');
}

/** The stream says what became of a command. */
export function settle(id: string, state: CommandState['state'], why: string | null): void {
  if (state === 'pending') return;
  outcomes.set(id, { id, state, why });
  if (outcomes.size > KEEP) outcomes.delete(outcomes.keys().next().value as string);
  for (const [occurrence, p] of pending) if (p.command === id) finish(occurrence, p, state, why);
}

function finish(occurrence: string, p: Pending, state: CommandState['state'], why: string | null): void {
  if (pending.get(occurrence) !== p) return;
  if (state === 'applied') {
    pending.delete(occurrence);
    toast(t('ack.done', { n: p.text }));
    say(t('ack.done', { n: p.text }), false);
  } else refuse(occurrence, whyText(why));
  changed('commands');
}

function refuse(occurrence: string, why: string): void {
  pending.delete(occurrence);
  soundAgain(occurrence);
  refusals.set(occurrence, why);
  if (refusals.size > KEEP) refusals.delete(refusals.keys().next().value as string);
  toast(t('ack.refused', { n: why }));
  say(t('ack.refused', { n: why }), true);
  changed('commands');
}

/** An outcome that was told while the stream was away is asked for. */
function watch(occurrence: string, p: Pending): void {
  const timer = setInterval(() => {
    if (pending.get(occurrence) !== p || p.command === null) return clearInterval(timer);
    get<CommandState>(`commands/${encodeURIComponent(p.command)}`)
      .then((c) => settle(c.id, c.state, c.why))
      .catch(() => undefined);
  }, 3000);
}
