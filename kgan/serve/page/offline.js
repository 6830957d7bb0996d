// The service worker: keeps what the page has fetched, so that it works without a network. The newest is taken wherever
// the server answers. Photos are posted, and what is posted is never kept.
const KEPT = 'kgan-1';
const PAGE = ['', 'page/page.css', 'page/icon.svg', 'page/astronaut.webp', 'page/worker.js', ...[
  'camera', 'canvas', 'faces', 'filter', 'kept', 'labels', 'local', 'memory', 'page', 'pixels', 'runtime', 'server',
  'strings',
].map((name) => `page/${name}.js`), 'v1/filters'].map((path) => `/${path}`);

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(PAGE)).then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  const forgotten = caches.keys().then((keys) =>
    Promise.all(keys.filter((key) => key !== KEPT).map((key) => caches.delete(key))));
  event.waitUntil(forgotten.then(() => self.clients.claim()));
});

self.addEventListener('fetch', (event) => {
  const {request} = event, {origin, pathname} = new URL(request.url);
  const ours = pathname === '/' || /^\/(page\/|v1\/filters(\/|$)|v1\/assets\/)/.test(pathname);
  if (request.method === 'GET' && origin === location.origin && ours) event.respondWith(answer(event));
});

async function answer(event) {
  const {request} = event, cache = await caches.open(KEPT);
  const kept = request.url.includes('/vendor/') && await cache.match(request);  // whose folder names its version
  if (kept) return kept;
  try {
    const response = await fetch(request);
    if (response.status === 200) event.waitUntil(cache.put(request, response.clone()).catch(() => {}));  // it may be full
    return response;
  } catch (error) {
    const old = await cache.match(request);
    if (old) return old;
    throw error;
  }
}
