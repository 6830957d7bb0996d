// The page's side of the worker: filters that run in this browser.
let worker, count = 0;
const waiting = new Map();  // by number: what to call with the answer

function call(method, request, transfer = []) {
  if (!worker) {
    worker = new Worker('/page/worker.js');
    worker.onmessage = ({data: {id, result, error}}) => {
      const {resolve, reject} = waiting.get(id);
      waiting.delete(id);
      if (error) reject(Object.assign(new Error(error.message), {key: error.key}));
      else resolve(result);
    };
    worker.onerror = (event) => {  // out of memory, or a browser too old for it
      for (const {reject} of waiting.values()) reject(new Error(event.message || 'The worker has ended.'));
      waiting.clear();
      worker.terminate();
      worker = undefined;
    };
  }
  return new Promise((resolve, reject) => {
    waiting.set(++count, {resolve, reject});
    worker.postMessage({id: count, method, request}, transfer);
  });
}

// As of filter.js.
export const warm = (request) => call('warm', request);
export const translate = (request) => call('translate', request, [request.bitmap]);
