// The worker that runs filters, so that the page never stands still. A classic one: LiteRT.js loads its WebAssembly by
// importScripts, which module workers lack.
const filter = import('./filter.js');

self.onmessage = async ({data: {id, method, request}}) => {
  try {
    const result = await (await filter)[method](request);
    const buffers = [result?.before, result?.after].filter(Boolean).map(({data}) => data.buffer);
    self.postMessage({id, result}, buffers);
  } catch (error) {
    self.postMessage({id, error: {key: error.key, message: String(error.message ?? error)}});
  }
};
