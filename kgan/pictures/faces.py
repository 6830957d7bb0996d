"""Finding faces, cutting them out as the training pictures were cut, and blending them back.

The detector is BlazeFace, short range (https://arxiv.org/abs/1907.05047; the file is MediaPipe's, see
assets/ATTRIBUTION.md), run by LiteRT: the same file serves Python, browser and phone. It sees a picture
shrunk to 128 x 128 and misses what is small there, so a picture in which it finds none is searched again in tiles.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from kgan.litert import Model
from kgan.pictures import images
from kgan.pictures.tiling import starts

MODEL = Path(__file__).parents[1] / "assets" / "blazeface_short_range.tflite"
INPUT = 128  # the side of the detector's input
THRESHOLD = 0.75  # a cat's face reaches 0.6
OVERLAP = 0.3  # boxes that share more than this (intersection over union) are one face
MARGIN = 0.125  # of the detector's input, on each side
SMALLEST_TILE = 192  # pixels; faces below about 40 pixels are not worth a filter
CROP = 1.55  # sides of the box: the square in which faces lie as in selfie2anime
FEATHER = 0.2  # of the crop's side: the width of the soft edge when it is blended back


@dataclasses.dataclass(frozen=True)
class Face:
    """One face, in pixels of the picture: x to the right, y down, (0, 0) the outer corner of the first pixel.

    Attributes:
      box: left, top, right, bottom; it may reach outside the picture.
      score: in [0, 1].
      points: six (x, y): the eye on the left of an upright picture, the other eye, nose tip, mouth, and the ears in
        the order of the eyes.
    """

    box: tuple[float, float, float, float]
    score: float
    points: tuple[tuple[float, float], ...]

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the box's middle."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    @property
    def side(self) -> float:
        """The longer side of the box."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def angle(self) -> float:
        """Lean of the head in radians: the angle from the x axis (down is positive) to the line through the eyes."""
        (x0, y0), (x1, y1) = self.points[:2]
        return math.atan2(y1 - y0, x1 - x0)


def find(image: np.ndarray) -> list[Face]:
    """The faces in uint8 [H, W, 3], the largest first.

    Where the whole picture shows none, it is looked at with a margin (for a face that fills it), then in square tiles
    that overlap by half: of the shorter side first, then of half of it and so on, until some tile shows a face. A
    second look at each face's surroundings places its box and eyes more finely.
    """
    faces = merge(detect(image)) or merge(detect(image, MARGIN))
    tile = min(image.shape[:2])
    while not faces and tile >= SMALLEST_TILE:
        faces = merge([face for place in _tiles(image, tile) for face in _detect_in(image, *place, tile)])
        tile //= 2
    return sorted((_closer(image, face) for face in faces), key=lambda face: face.side, reverse=True)


def _tiles(image: np.ndarray, tile: int) -> list[tuple[int, int]]:
    """(top, left) of the square tiles that cover a picture and overlap by half."""
    height, width = image.shape[:2]
    return [(top, left) for top in starts(height, tile, tile // 2) for left in starts(width, tile, tile // 2)]


def _closer(image: np.ndarray, face: Face) -> Face:
    """A face as the detector sees it in a tile twice its size (the astronaut's eyes: 2 degrees off rather than 8)."""
    height, width = image.shape[:2]
    tile = round(2 * face.side)
    if tile >= min(height, width):
        return face
    left = min(max(0, round(face.center[0] - tile / 2)), width - tile)
    top = min(max(0, round(face.center[1] - tile / 2)), height - tile)
    faces = merge(_detect_in(image, top, left, tile))
    return next((other for other in faces if overlap(other, face) > OVERLAP), face)


def _detect_in(image: np.ndarray, top: int, left: int, tile: int) -> list[Face]:
    """The faces of one tile, in the picture's pixels; those cut by the tile are left to its neighbour."""
    whole = [
        face
        for face in detect(image[top : top + tile, left : left + tile])
        if min(face.box[:2]) >= 0 and max(face.box[2:]) <= tile
    ]
    return [
        Face(
            (face.box[0] + left, face.box[1] + top, face.box[2] + left, face.box[3] + top),
            face.score,
            tuple((x + left, y + top) for x, y in face.points),
        )
        for face in whole
    ]


def detect(image: np.ndarray, margin: float = 0) -> list[Face]:
    """One pass of the detector over uint8 [H, W, 3]: every box above the threshold, overlapping ones not merged.

    `margin` is the share of the detector's input that stays black on each side of the picture.
    """
    height, width = image.shape[:2]
    scale = INPUT * (1 - 2 * margin) / max(height, width)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (INPUT - shape[0]) // 2, (INPUT - shape[1]) // 2
    square = np.zeros((INPUT, INPUT, 3), np.uint8)
    square[top : top + shape[0], left : left + shape[1]] = images.resize(image, shape)

    regressors, logits = _run(images.to_float(square))
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))
    likely = scores >= THRESHOLD
    values, scores = regressors[likely].reshape(-1, 8, 2), scores[likely]  # centre, (width, height), six points
    values[:, [0, 2, 3, 4, 5, 6, 7]] += anchors()[likely][:, None] * INPUT
    offset, zoom = np.array([left, top]), np.array([width / shape[1], height / shape[0]])
    places, sizes = (values - offset) * zoom, values[:, 1] * zoom
    return [
        Face(
            (*(place[0] - size / 2).tolist(), *(place[0] + size / 2).tolist()),
            float(score),
            tuple((float(x), float(y)) for x, y in place[2:]),
        )
        for place, size, score in zip(places, sizes, scores, strict=True)
    ]


@functools.cache
def _detector() -> Model:
    return Model(MODEL, threads=1)


def _run(square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [128, 128, 3] in [-1, 1] to regressors [896, 16] in pixels of it and logits [896]."""
    detector = _detector()
    results = detector({detector.inputs[0]["index"]: square[None]})
    outputs = {output["name"]: results[output["index"]] for output in detector.outputs}
    return outputs["regressors"][0], outputs["classificators"][0, :, 0]


@functools.cache
def anchors() -> np.ndarray:
    """The detector's 896 anchors (x, y) in [0, 1]: 16 x 16 cells with two each, then 8 x 8 with six, row by row."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        y, x = np.mgrid[:cells, :cells].reshape(2, -1)
        grids.append(np.repeat(np.stack([x, y], axis=-1) + 0.5, repeats, axis=0) / cells)
    return np.concatenate(grids).astype(np.float32)


def merge(faces: Sequence[Face]) -> list[Face]:
    """One face for each group of boxes that overlap its best one: their mean, weighted by score; the best first."""
    rest = sorted(faces, key=lambda face: face.score, reverse=True)
    people = []
    while rest:
        group = [face for face in rest if face is rest[0] or overlap(face, rest[0]) > OVERLAP]
        rest = [face for face in rest if face not in group]
        scores = [face.score for face in group]
        left, top, right, bottom = np.average([face.box for face in group], axis=0, weights=scores).tolist()
        points = np.average([face.points for face in group], axis=0, weights=scores).tolist()
        people.append(Face((left, top, right, bottom), scores[0], tuple((x, y) for x, y in points)))
    return people


def overlap(one: Face, other: Face) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    height = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    intersection = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one.box, other.box)]
    return intersection / (sum(areas) - intersection)


def crop(image: np.ndarray, face: Face, size: int) -> np.ndarray:
    """Cut a face out as the training pictures were cut: uint8 [size, size, 3].

    The square of 1.55 box sides around the box's centre, turned so that the eyes are level; what lies outside the
    picture is its reflection.
    """
    detail = max(size, round(CROP * face.side))  # turned at full detail, then shrunk with antialiasing
    matrix = _to_picture(face, detail)
    low, high = _bounds(matrix, detail)
    low, high = low - 2, high + 2  # what bicubic sampling reaches for
    columns, rows = _reflected(low[0], high[0], image.shape[1]), _reflected(low[1], high[1], image.shape[0])
    matrix[:, 2] -= low
    return images.resize(_warp(image[rows[:, None], columns], matrix, (detail, detail)), (size, size))


def blend(photo: np.ndarray, filtered: np.ndarray, face: Face) -> np.ndarray:
    """Put a filtered crop [size, size, 3] back where `crop` took it out, with a soft edge.

    Args:
      photo: uint8 [H, W, 3]; it is not changed.
      filtered: uint8 [size, size, 3].
      face: as given to `crop`.
    """
    height, width = photo.shape[:2]
    detail = max(1, min(filtered.shape[0], round(CROP * face.side)))  # shrunk, with antialiasing, before it is turned
    matrix = _to_picture(face, detail)
    (left, top), (right, bottom) = np.clip(_bounds(matrix, detail), 0, (width, height))
    inverse = _to_crop(matrix, int(left), int(top))

    edge = np.clip(np.minimum(np.arange(detail) + 0.5, detail - 0.5 - np.arange(detail)) / (FEATHER * detail), 0, 1)
    edge = (edge * edge * (3 - 2 * edge)).astype(np.float32)  # 0 at the crop's edge, smoothly to 1
    share = _warp(np.outer(edge, edge), inverse, (bottom - top, right - left))[..., None]
    inside = _warp(images.resize(filtered, (detail, detail)), inverse, (bottom - top, right - left))
    result = photo.copy()
    below = result[top:bottom, left:right]
    below[:] = np.clip(np.round(below * (1 - share) + inside * share), 0, 255)
    return result


def _to_picture(face: Face, size: int) -> np.ndarray:
    """[2, 3]: (x, y, 1) in a crop of `size` pixels a side to (x, y) in the picture.

    It and the two functions below use plus, minus, times, division and roots alone, whose last bits are the same in
    every language: the phone cuts and blends to the same byte.
    """
    step = CROP * face.side / size
    (x0, y0), (x1, y1) = face.points[:2]
    x, y = x1 - x0, y1 - y0
    distance = math.sqrt(x * x + y * y)
    cos, sin = (step * (x / distance), step * (y / distance)) if distance else (step, 0.0)
    half, (left, top) = size / 2, face.center
    return np.array([[cos, -sin, left - (cos * half - sin * half)], [sin, cos, top - (sin * half + cos * half)]])


def _to_crop(matrix: np.ndarray, left: int, top: int) -> np.ndarray:
    """The inverse of `_to_picture`'s matrix, for a part of the picture that begins at (left, top)."""
    (cos, _, x), (sin, _, y) = matrix.tolist()
    square = cos * cos + sin * sin
    cos, sin, x, y = cos / square, sin / square, left - x, top - y
    return np.array([[cos, sin, cos * x + sin * y], [-sin, cos, cos * y - sin * x]])


def _bounds(matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The corners (x, y), in whole pixels of the picture, of the rectangle around a crop of `size` pixels a side."""
    across, down, origin = matrix[:, 0] * size, matrix[:, 1] * size, matrix[:, 2]
    low = origin + np.minimum(0, across) + np.minimum(0, down)
    high = origin + np.maximum(0, across) + np.maximum(0, down)
    return np.floor(low).astype(int), np.ceil(high).astype(int)


def _reflected(low: int, high: int, length: int) -> np.ndarray:
    """The pixels low..high-1 of a side, those outside [0, length) mirrored at its ends as often as needed."""
    place = np.arange(low, high) % (2 * length)
    return np.minimum(place, 2 * length - 1 - place)


def _warp(image: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sample `image` bicubically at matrix @ (x, y, 1) for each pixel of the result, [*shape, ...]; outside it is 0."""
    data, size = matrix.ravel().tolist(), (int(shape[1]), int(shape[0]))
    return np.asarray(Image.fromarray(image).transform(size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC))
