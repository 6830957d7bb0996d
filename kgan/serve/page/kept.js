// What is kept for times without a network: offline.js keeps all that a page fetches which it controls.
import {DETECTOR, files} from './runtime.js';

let controlled;

export function begin() {
  const workers = navigator.serviceWorker;  // on https and localhost alone
  if (!workers) return;
  controlled = new Promise((resolve) => {
    if (workers.controller) resolve();
    else workers.addEventListener('controllerchange', resolve, {once: true});
  });
  workers.register('/page/offline.js', {scope: '/'}).catch((error) => console.info(`Nothing is kept: ${error.message}`));
}

// Fetches what a filter needs to run here.
export async function keepFilter({card, model}) {
  await keep([card, model, DETECTOR, ...await files().catch(() => [])]);
}

// Fetches files, so that they are kept, when nothing else is to be done.
export async function keep(addresses) {
  if (!controlled || navigator.connection?.saveData) return;
  await controlled;
  (window.requestIdleCallback ?? setTimeout)(async () => {
    try {
      for (const address of addresses) await (await fetch(address)).arrayBuffer();
    } catch {
      // The network is gone already: what was kept before is there.
    }
  });
}
