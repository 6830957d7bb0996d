// Finding faces, cutting them out as the training pictures were cut, and blending them back: what kgan/pictures/faces.py
// does, in a browser, with the same BlazeFace file.
//
// A face is {box: [left, top, right, bottom], score, points: [[x, y], ...]} in pixels of the picture: the points are both
// eyes, nose tip, mouth and both ears.
import {cut, picture, resize, toFloat, warp} from './pixels.js';

const INPUT = 128;  // the side of the detector's input
const THRESHOLD = 0.75;  // a cat's face reaches 0.6
const OVERLAP = 0.3;  // boxes that share more than this (intersection over union) are one face
const MARGIN = 0.125;  // of the detector's input, on each side
const SMALLEST_TILE = 192;  // pixels
const CROP = 1.55;  // sides of the box: the square in which faces lie as in selfie2anime
const FEATHER = 0.2;  // of the crop's side: the width of the soft edge when it is blended back

// The detector's 896 anchors [x, y] in [0, 1]: 16 x 16 cells with two each, then 8 x 8 with six, row by row.
const ANCHORS = [[16, 2], [8, 6]].flatMap(([cells, repeats]) =>
  Array.from({length: cells * cells * repeats}, (_, i) => {
    const cell = Math.floor(i / repeats);
    return [(cell % cells + 0.5) / cells, (Math.floor(cell / cells) + 0.5) / cells];
  }));

export const center = ({box: [left, top, right, bottom]}) => [(left + right) / 2, (top + bottom) / 2];
export const side = ({box: [left, top, right, bottom]}) => Math.max(right - left, bottom - top);
export const angle = ({points: [[x0, y0], [x1, y1]]}) => Math.atan2(y1 - y0, x1 - x0);

// The faces of a picture, the largest first: in the whole picture, else with a margin, else in smaller and smaller tiles.
// A second look at each face's surroundings places it more finely. `detector` is a compiled BlazeFace.
export async function find(image, detector) {
  let faces = merge(await detect(image, detector));
  if (!faces.length) faces = merge(await detect(image, detector, MARGIN));
  for (let tile = Math.min(image.width, image.height); !faces.length && tile >= SMALLEST_TILE; tile >>= 1) {
    for (const top of starts(image.height, tile)) {
      for (const left of starts(image.width, tile)) faces.push(...await detectIn(image, detector, left, top, tile));
    }
    faces = merge(faces);
  }
  const closer = [];
  for (const face of faces) closer.push(await closeUp(image, detector, face));
  return closer.sort((a, b) => side(b) - side(a));
}

// Where tiles begin that cover a side evenly and overlap by half at least.
function starts(length, tile) {
  if (length <= tile) return [0];
  const gaps = Math.ceil((length - tile) / (tile - (tile >> 1)));
  return Array.from({length: gaps + 1}, (_, i) => Math.round(i * (length - tile) / gaps));
}

// A face as the detector sees it in a tile twice its size.
async function closeUp(image, detector, face) {
  const tile = Math.round(2 * side(face)), [x, y] = center(face);
  if (tile >= Math.min(image.width, image.height)) return face;
  const left = Math.min(Math.max(0, Math.round(x - tile / 2)), image.width - tile);
  const top = Math.min(Math.max(0, Math.round(y - tile / 2)), image.height - tile);
  const faces = merge(await detectIn(image, detector, left, top, tile));
  return faces.find((other) => overlap(other, face) > OVERLAP) ?? face;
}

// The faces of one tile, in the picture's pixels; those cut by the tile are left to its neighbour.
async function detectIn(image, detector, left, top, tile) {
  const faces = await detect(cut(image, left, top, tile, tile), detector);
  const whole = faces.filter(({box}) => Math.min(box[0], box[1]) >= 0 && Math.max(box[2], box[3]) <= tile);
  return whole.map(({box, score, points}) => ({
    box: [box[0] + left, box[1] + top, box[2] + left, box[3] + top],
    score,
    points: points.map(([x, y]) => [x + left, y + top]),
  }));
}

// One pass of the detector: every box above the threshold, overlapping ones not merged. `margin` is the share of its
// input that stays black on each side.
async function detect(image, detector, margin = 0) {
  const scale = INPUT * (1 - 2 * margin) / Math.max(image.width, image.height);
  const width = Math.max(1, Math.round(image.width * scale)), height = Math.max(1, Math.round(image.height * scale));
  const left = (INPUT - width) >> 1, top = (INPUT - height) >> 1;
  const square = picture(INPUT, INPUT), small = resize(image, width, height);
  for (let y = 0; y < height; y++) {
    square.data.set(small.data.subarray(4 * y * width, 4 * (y + 1) * width), 4 * ((top + y) * INPUT + left));
  }
  const {regressors, classificators} = await detector.run([toFloat(square)]);
  const faces = [];
  for (const [k, logit] of classificators.data.entries()) {
    const score = 1 / (1 + Math.exp(-Math.min(Math.max(logit, -100), 100)));
    if (score < THRESHOLD) continue;
    const value = regressors.data.subarray(16 * k, 16 * (k + 1));
    const place = (i) => [  // the i-th of centre, (size) and six points
      (value[2 * i] + ANCHORS[k][0] * INPUT - left) * image.width / width,
      (value[2 * i + 1] + ANCHORS[k][1] * INPUT - top) * image.height / height,
    ];
    const [x, y] = place(0), w = value[2] * image.width / width, h = value[3] * image.height / height;
    faces.push({box: [x - w / 2, y - h / 2, x + w / 2, y + h / 2], score, points: [2, 3, 4, 5, 6, 7].map(place)});
  }
  return faces;
}

// One face for each group of boxes that overlap its best one: their mean, weighted by score.
function merge(faces) {
  let rest = [...faces].sort((a, b) => b.score - a.score);
  const people = [];
  while (rest.length) {
    const best = rest[0], group = rest.filter((face) => face === best || overlap(face, best) > OVERLAP);
    rest = rest.filter((face) => !group.includes(face));
    const total = group.reduce((sum, {score}) => sum + score, 0);
    const mean = (number) => group.reduce((sum, face) => sum + face.score * number(face), 0) / total;
    people.push({
      box: best.box.map((_, i) => mean(({box}) => box[i])),
      score: best.score,
      points: best.points.map((point, i) => point.map((_, j) => mean(({points}) => points[i][j]))),
    });
  }
  return people;
}

// Intersection over union of two boxes.
function overlap({box: a}, {box: b}) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(0, width) * Math.max(0, height);
  return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both);
}

// The square of 1.55 box sides around a face, turned so that the eyes are level, `size` pixels a side.
export function crop(image, face, size) {
  const detail = Math.max(size, Math.round(CROP * side(face)));  // turned at full detail, then shrunk
  return resize(warp(image, toPicture(face, detail), detail, detail), size, size);
}

// Puts a filtered crop back, with a soft edge; `photo` is changed.
export function blend(photo, filtered, face) {
  const detail = Math.max(1, Math.min(filtered.width, Math.round(CROP * side(face))));
  const small = resize(filtered, detail, detail), matrix = toPicture(face, detail);
  const corners = [[0, 0], [detail, 0], [0, detail], [detail, detail]].map(([x, y]) =>
    matrix.map(([a, b, c]) => a * x + b * y + c));
  const bounds = (i, length) => [
    Math.max(0, Math.floor(Math.min(...corners.map((corner) => corner[i])))),
    Math.min(length, Math.ceil(Math.max(...corners.map((corner) => corner[i])))),
  ];
  const [left, right] = bounds(0, photo.width), [top, bottom] = bounds(1, photo.height);
  const [[a, b, c], [d, e, f]] = inverse(matrix);
  const back = [[a, b, c + a * left + b * top], [d, e, f + d * left + e * top]];
  const inside = warp(small, back, right - left, bottom - top);
  const ramp = (x) => {  // 0 at the crop's edge, smoothly to 1
    const t = Math.min(Math.max(Math.min(x, detail - x) / (FEATHER * detail), 0), 1);
    return t * t * (3 - 2 * t);
  };
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const share = ramp(a * (x + 0.5) + b * (y + 0.5) + c) * ramp(d * (x + 0.5) + e * (y + 0.5) + f);
      const to = 4 * (y * photo.width + x), from = 4 * ((y - top) * (right - left) + x - left);
      for (let k = 0; k < 3; k++) {
        photo.data[to + k] += share * (inside.data[from + k] - photo.data[to + k]);
      }
    }
  }
  return photo;
}

// [2][3]: (x, y, 1) in a crop of `size` pixels a side to (x, y) in the picture.
function toPicture(face, size) {
  const step = CROP * side(face) / size, turn = angle(face), [x, y] = center(face);
  const cos = step * Math.cos(turn), sin = step * Math.sin(turn);
  return [[cos, -sin, x - (cos - sin) * size / 2], [sin, cos, y - (sin + cos) * size / 2]];
}

function inverse([[a, b, c], [d, e, f]]) {
  const determinant = a * e - b * d;
  const [p, q, r, s] = [e / determinant, -b / determinant, -d / determinant, a / determinant];
  return [[p, q, -p * c - q * f], [r, s, -r * c - s * f]];
}
