// Where the page is: `#/overview`, `#/alarms?seg=unacked&p=1&sel=…`, `#/point/LT-101?w=60`.
// All that a colleague needs to see the same is in the address.
import { changed } from './live/topics';

export type PageName = 'overview' | 'alarms' | 'point';
export interface Route { page: PageName; tag: string; query: URLSearchParams }

export function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [page = '', ...rest] = path.split('/');
  let tag = rest.join('/');
  try {
    tag = decodeURIComponent(tag);
  } catch {
    // A broken escape stays as it was typed; no point will have that tag.
  }
  const known: PageName = page === 'alarms' || page === 'point' ? page : 'overview';
  return { page: known, tag: known === 'point' ? tag : '', query: new URLSearchParams(query) };
}

export function href(page: PageName, query: Record<string, string> = {}, tag = ''): string {
  const q = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== ''));
  const path = page === 'point' && tag ? `point/${encodeURIComponent(tag)}` : page;
  return `#/${path}${q.size ? `?${q.toString()}` : ''}`;
}

let route: Route = parse(globalThis.location?.hash ?? '');
export const here = (): Route => route;

/** Goes to a page; Back leads here again. */
export function go(to: string): void {
  if (location.hash === to) return;
  history.pushState(null, '', to);
  moved();
}

/** Changes the query of this page in place: filters and selection are no history. */
export function refine(change: Record<string, string>): void {
  const query = new URLSearchParams(route.query);
  for (const [k, v] of Object.entries(change)) {
    if (v === '') query.delete(k);
    else query.set(k, v);
  }
  history.replaceState(null, '', href(route.page, Object.fromEntries(query), route.tag));
  moved();
}

function moved(): void {
  route = parse(location.hash);
  changed('route');
}

if ('location' in globalThis) {
  addEventListener('popstate', moved);
  addEventListener('hashchange', moved);
}
