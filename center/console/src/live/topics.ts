// Who hears of what. A change is told at most once in the topic's interval, so that a flood of
// 10,000 alarms costs a page ten drawings a second, and not ten thousand.
import { useEffect, useState } from 'preact/hooks';

const INTERVAL_MS = {
  alarms: 80, values: 100, gateways: 200, protecting: 0, link: 0, commands: 0, site: 0, prefs: 0, route: 0, sound: 0, second: 0, toast: 0,
} as const;
export type Topic = keyof typeof INTERVAL_MS;

const listeners = new Map<Topic, Set<() => void>>();
const told = new Map<Topic, number>();
const waiting = new Set<Topic>();

export function subscribe(topic: Topic, listener: () => void): () => void {
  const set = listeners.get(topic) ?? new Set();
  listeners.set(topic, set);
  set.add(listener);
  return () => set.delete(listener);
}

export function changed(topic: Topic): void {
  if (waiting.has(topic)) return;
  waiting.add(topic);
  const since = performance.now() - (told.get(topic) ?? -Infinity);
  setTimeout(() => {
    waiting.delete(topic);
    told.set(topic, performance.now());
    for (const listener of [...(listeners.get(topic) ?? [])]) listener();
  }, Math.max(0, INTERVAL_MS[topic] - since));
}

/** Draws the component again when one of these changes. */
export function useTopics(...topics: Topic[]): void {
  const [, draw] = useState(0);
  useEffect(() => {
    const stop = topics.map((topic) => subscribe(topic, () => draw((n) => n + 1)));
    return () => stop.forEach((f) => f());
  }, []);
}
