// Pictures as {width, height, data}: RGBA of 8 bits, row by row, as ImageData holds them. Resampled as Pillow does it, so
// that a photo comes out here as it does from `kgan translate`.

export function picture(width, height, data = new Uint8ClampedArray(4 * width * height)) {
  return {width, height, data};
}

// The pixels of an ImageBitmap, transparent ones laid on white.
export function read(bitmap) {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', {willReadFrequently: true});
  context.fillStyle = 'white';
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

// The part of a picture from (left, top) on.
export function cut(image, left, top, width, height) {
  const part = picture(width, height);
  for (let y = 0; y < height; y++) {
    const start = 4 * ((top + y) * image.width + left);
    part.data.set(image.data.subarray(start, start + 4 * width), 4 * y * width);
  }
  return part;
}

export function centerSquare(image) {
  const side = Math.min(image.width, image.height);
  return cut(image, (image.width - side) >> 1, (image.height - side) >> 1, side, side);
}

// Bicubic (a = -0.5), over a wider neighbourhood where it shrinks: first each row, then each column.
export function resize(image, width, height) {
  if (image.width === width && image.height === height) return image;
  const narrow = picture(width, image.height), result = picture(width, height);
  resample(image.data, narrow.data, image.width, width, image.height, 4, 4 * image.width, 4 * width);
  resample(narrow.data, result.data, image.height, height, width, 4 * width, 4, 4);
  return result;
}

// Resamples `lines` lines of `length` pixels to `size`; `step` leads from pixel to pixel, the others from line to line.
function resample(source, target, length, size, lines, step, lineIn, lineOut) {
  const scale = length / size, stretch = Math.max(1, scale);
  for (let i = 0; i < size; i++) {
    const center = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - 2 * stretch + 0.5));
    const high = Math.min(length, Math.trunc(center + 2 * stretch + 0.5));
    const weights = [];
    for (let x = low; x < high; x++) weights.push(bicubic((x + 0.5 - center) / stretch));
    const sum = weights.reduce((a, b) => a + b);
    for (let line = 0; line < lines; line++) {
      let place = line * lineIn + low * step, red = 0, green = 0, blue = 0;
      for (const weight of weights) {
        red += weight * source[place];
        green += weight * source[place + 1];
        blue += weight * source[place + 2];
        place += step;
      }
      set(target, line * lineOut + i * step, red / sum, green / sum, blue / sum);
    }
  }
}

function bicubic(x) {
  x = Math.abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

function set(data, place, red, green, blue) {
  data[place] = red;
  data[place + 1] = green;
  data[place + 2] = blue;
  data[place + 3] = 255;
}

// A picture of which each pixel (x, y) is sampled, bicubically (a = -1), at matrix @ (x, y, 1) in `image`. Beyond its
// edges lies its reflection.
export function warp(image, [[a, b, c], [d, e, f]], width, height) {
  const result = picture(width, height), columns = new Int32Array(4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const u = a * (x + 0.5) + b * (y + 0.5) + c - 0.5, v = d * (x + 0.5) + e * (y + 0.5) + f - 0.5;
      const left = Math.floor(u), top = Math.floor(v), across = sharp(u - left), down = sharp(v - top);
      for (let i = 0; i < 4; i++) columns[i] = reflected(left - 1 + i, image.width);
      let red = 0, green = 0, blue = 0;
      for (let j = 0; j < 4; j++) {
        const row = reflected(top - 1 + j, image.height) * image.width;
        for (let i = 0; i < 4; i++) {
          const place = 4 * (row + columns[i]), weight = across[i] * down[j];
          red += weight * image.data[place];
          green += weight * image.data[place + 1];
          blue += weight * image.data[place + 2];
        }
      }
      // Pillow cuts off what is behind the point here, and rounds it in `resize`.
      set(result.data, 4 * (y * width + x), Math.floor(red), Math.floor(green), Math.floor(blue));
    }
  }
  return result;
}

// The weights of four neighbours at distances 1 + d, d, 1 - d and 2 - d.
function sharp(d) {
  const e = 1 - d;
  return [-d * e * e, 1 - 2 * d * d + d * d * d, 1 - 2 * e * e + e * e * e, -e * d * d];
}

// A pixel's index, mirrored at the ends of [0, length) as often as needed.
export function reflected(index, length) {
  if (index >= 0 && index < length) return index;
  const place = ((index % (2 * length)) + 2 * length) % (2 * length);
  return Math.min(place, 2 * length - 1 - place);
}

// To Float32Array [height * width * 3] in [-1, 1].
export function toFloat({width, height, data}) {
  const values = new Float32Array(3 * width * height);
  for (let i = 0, j = 0; i < values.length; i += 3, j += 4) {
    for (let k = 0; k < 3; k++) values[i + k] = data[j + k] / 127.5 - 1;
  }
  return values;
}

// And back; values outside are clipped.
export function fromFloat(values, width, height) {
  const result = picture(width, height);
  for (let i = 0, j = 0; i < values.length; i += 3, j += 4) {
    set(result.data, j, (values[i] + 1) * 127.5, (values[i + 1] + 1) * 127.5, (values[i + 2] + 1) * 127.5);
  }
  return result;
}
