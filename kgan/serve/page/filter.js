// Runs a filter over a photo in this browser, as kgan/filters/photos.py does it on the server.
import * as faces from './faces.js';
import {centerSquare, fromFloat, picture, read, reflected, resize, toFloat} from './pixels.js';
import {compile, compileFastest} from './runtime.js';

const DETECTOR = '/v1/assets/blazeface';
const models = new Map();  // by address; compiled once

// What went wrong, by a key of strings.js.
export class Refusal extends Error {
  constructor(key) {
    super(key);
    this.key = key;
  }
}

async function open(address, make) {
  if (!models.has(address)) {
    const model = bytes(address).then(make);
    models.set(address, model);
    model.catch(() => models.delete(address));
  }
  return models.get(address);
}

async function bytes(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Refusal('noModel');
  return new Uint8Array(await response.arrayBuffer());
}

const detector = () => open(DETECTOR, compile);

// Of a file, each input's share of the arrays: a picture has four dimensions, a label two.
function arrays(inputs, pixels, label) {
  return inputs.map(({shape}) => shape.length === 4 ? pixels : Float32Array.from(label));
}

const generator = (address) => open(address, compileFastest);

// Loads what a filter needs, so that it runs later without a network.
export async function warm({model}) {
  await Promise.all([generator(model), detector()]);
}

// Filters a photo.
//
//   bitmap: an ImageBitmap, which is closed.
//   model: the address of the `.tflite`.
//   crop: "face", "center" or "none".
//   paste: blend the faces back into the photo.
//   label: the numbers of a label, or null.
//
// Returns {before, after, place, milliseconds, people}: pictures of one size, where the network ran, how long everything
// took, and how many faces there are.
export async function translate({bitmap, model, crop, paste, label}) {
  const photo = read(bitmap);
  bitmap.close();
  const network = await generator(model);
  const finder = crop === 'face' ? await detector() : null;
  const start = performance.now();
  const [, height, width] = network.inputs.find(({shape}) => shape.length === 4).shape;
  const draw = async (image) => {
    const results = await network.run(arrays(network.inputs, toFloat(image), label));
    return fromFloat(Object.values(results)[0].data, width, height);
  };
  const answer = (before, after, people = 0) =>
    ({before, after, place: network.place, milliseconds: performance.now() - start, people});

  if (crop === 'none') return answer(photo, await fitted(photo, width, height, draw));
  if (crop === 'center') {
    const square = centerSquare(photo);
    return answer(square, await draw(resize(square, width, height)));
  }
  const people = await faces.find(photo, finder);
  if (!people.length) throw new Refusal('noFace');
  if (!paste) {
    const detail = Math.max(width, Math.min(1024, Math.round(1.55 * faces.side(people[0]))));
    return answer(faces.crop(photo, people[0], detail), await draw(faces.crop(photo, people[0], width)), people.length);
  }
  const result = picture(photo.width, photo.height, photo.data.slice());
  for (const face of people) faces.blend(result, await draw(faces.crop(photo, face, width)), face);
  return answer(photo, result, people.length);
}

// Fits a picture into the only size that a file takes, keeping its aspect; what is left is filled with its reflection,
// and cut off the result again.
async function fitted(photo, width, height, draw) {
  const scale = Math.min(width / photo.width, height / photo.height);
  const w = Math.max(1, Math.round(photo.width * scale)), h = Math.max(1, Math.round(photo.height * scale));
  const part = (image, wide, high) => {
    const result = picture(wide, high), from = new Uint32Array(image.data.buffer), to = new Uint32Array(result.data.buffer);
    for (let y = 0; y < high; y++) {
      const row = reflected(y, image.height) * image.width;
      for (let x = 0; x < wide; x++) to[y * wide + x] = from[row + reflected(x, image.width)];
    }
    return result;
  };
  return part(await draw(part(resize(photo, w, h), width, height)), w, h);
}
