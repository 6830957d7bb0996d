// Runs `.tflite` files in this browser with LiteRT.js, in a page or in a worker.
const FOLDER = new URL('./vendor/litert-2.5.3/', import.meta.url).href;
const SAME = 40;  // dB: what the graphics processor must reach against WebAssembly to be used

let litert, threads;

// Loads LiteRT.js once: with threads where pages may share memory, which takes the headers COOP and COEP.
async function library() {
  litert ??= (async () => {
    const module = await import(`${FOLDER}litert.js`);
    for (threads of globalThis.crossOriginIsolated ? [true, false] : [false]) {
      // A worker's own address is not the script's: both files beside it are named here.
      self.Module = {
        locateFile: (file) => FOLDER + file,
        mainScriptUrlOrBlob: `${FOLDER}litert_wasm_threaded_internal.js`,
      };
      try {
        await module.loadLiteRt(FOLDER, {threads});
        return module;
      } catch (error) {
        if (!threads) throw error;
      }
    }
  })();
  litert.catch(() => { litert = undefined; });  // so that a second try is possible once the network is back
  return litert;
}

// A model on one accelerator.
class Compiled {
  constructor(module, model, place) {
    [this.module, this.model, this.place] = [module, model, place];
    this.inputs = model.getInputDetails().map(({name, shape}) => ({name, shape: [...shape]}));
  }

  // Float32Arrays in the order of `inputs` to {name: {shape, data: Float32Array}}.
  async run(arrays) {
    const tensors = arrays.map((array, i) => new this.module.Tensor(array, this.inputs[i].shape));
    let outputs = [];
    try {
      outputs = await this.model.run(tensors);
      const names = this.model.getOutputDetails();
      const results = {};
      for (const [i, tensor] of outputs.entries()) {
        results[names[i].name] = {shape: [...names[i].shape], data: await tensor.data()};
      }
      return results;
    } finally {
      for (const tensor of [...tensors, ...outputs]) tensor.delete();
    }
  }

  delete() {
    this.model.delete();
  }
}

// Compiles the bytes of a `.tflite` for WebAssembly.
export async function compile(bytes) {
  const module = await library();
  const model = await module.loadAndCompile(bytes, {accelerator: 'wasm'});
  return new Compiled(module, model, threads ? 'threads' : 'wasm');
}

// Compiles for the graphics processor too, and keeps that where it takes the whole model, draws the same picture of
// some noise as WebAssembly does, and takes less time. Many phones' processors compute in 16 bits, in which some
// networks overflow: only a comparison can tell.
export async function compileFastest(bytes) {
  const module = await library();
  const safe = await compile(bytes);
  if (!module.getWebGpuDevice()) return safe;
  let fast;
  try {
    fast = new Compiled(module, await module.loadAndCompile(bytes, {accelerator: 'webgpu'}), 'webgpu');
    if (fast.model.isFullyAccelerated && await isSameAndFaster(fast, safe)) {
      safe.delete();
      return fast;
    }
  } catch (error) {
    console.info(`The graphics processor is not used: ${error.message ?? error}`);
  }
  fast?.delete();
  return safe;
}

async function isSameAndFaster(fast, safe) {
  const arrays = safe.inputs.map(({shape}) => noise(shape.reduce((a, b) => a * b)));
  const times = [], results = [];
  for (const model of [fast, safe]) {
    await model.run(arrays);  // the first run compiles what later ones use
    const start = performance.now();
    results.push(Object.values(await model.run(arrays))[0].data);
    times.push(performance.now() - start);
  }
  return times[0] < times[1] && psnr(...results) >= SAME;
}

// Values in [-1, 1], the same ones each time.
function noise(length) {
  let state = 1;
  return Float32Array.from({length}, () => (state = state * 48271 % 2147483647) / 1073741823.5 - 1);
}

// In dB at peak 2, of values in [-1, 1]; NaN where either holds one.
export function psnr(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return 10 * Math.log10(4 * a.length / sum);
}
