// Keeps the last page that the centre served, so that a reload while the centre is dead shows
// the console saying so, instead of the browser's own error page. The network always comes
// first: an old page is never shown while a new one can be had. Data are never kept.
const PAGE = 'page-1';
const KEPT = ['/', '/app.js', '/app.css'];
const sw = self as unknown as ServiceWorkerGlobalScope;

sw.addEventListener('install', (e) => {
  e.waitUntil(caches.open(PAGE).then((c) => c.addAll(KEPT)).then(() => sw.skipWaiting()));
});

sw.addEventListener('activate', (e) => {
  e.waitUntil(sw.clients.claim());
});

sw.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url);
  if (e.request.method !== 'GET' || url.origin !== sw.location.origin || !KEPT.includes(url.pathname)) return;
  e.respondWith(
    // A centre that hangs is as dead as one that is gone.
    fetch(e.request, { signal: AbortSignal.timeout(3000) })
      .then(async (r) => {
        if (r.ok) await (await caches.open(PAGE)).put(url.pathname, r.clone());
        return r;
      })
      .catch(async () => (await caches.match(url.pathname)) ?? Response.error()),
  );
});
