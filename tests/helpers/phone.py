"""What kgan makes of some pictures, written for the Java tests of android_demo: arrays and goldens.json.

By hand, in tests/: `python -m helpers.phone FOLDER`, then `mvn -f ../android_demo/pom.xml test -Dgolden=FOLDER`. And
`python -m helpers.phone FILE.png` writes what a phone with the included filter should draw.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters import included, loading, photos
from kgan.filters.card import Card
from kgan.filters.loading import Filter
from kgan.pictures import faces, images, tiling

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ["onesided_selfie2anime", "stargan_animefaces_utkface"]


def _load_make_apk() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_apk", ROOT / "android_demo/make_apk.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_apk = _load_make_apk()


def skip_without_tools() -> None:
    """Skip the test where a tool of `make apk` is missing."""
    missing = [tool for tool in make_apk.TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: apt install {' '.join(sorted(set(make_apk.TOOLS.values())))}")


def astronaut() -> np.ndarray:
    """The photo of a face that is in the documents, uint8 [320, 320, 3]."""
    sheet = images.read(ROOT / "docs/onesided.png")
    return np.ascontiguousarray(sheet[:, : len(sheet)])


class Goldens:
    """A folder of arrays, and what goldens.json says of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[str, Any] = {}
        self._count = 0

    def array(self, array: np.ndarray) -> str:
        """Write an array; returns its file's name."""
        assert array.dtype in (np.uint8, np.float32)
        self._count += 1
        np.save(self.folder / f"{self._count}.npy", np.ascontiguousarray(array))
        return f"{self._count}.npy"

    def add(self, name: str, **golden: Any) -> None:
        self.values.setdefault(name, []).append(golden)

    def write(self) -> None:
        (self.folder / "goldens.json").write_text(json.dumps(self.values))


def halved(image: np.ndarray) -> np.ndarray:
    """The network that both sides have, float32."""
    return image * np.float32(-0.5) + np.float32(0.25)


def filter_of(height: int, width: int) -> Filter:
    return Filter(halved, Card(size=(height, width), crop="face"))


def write(folder: Path) -> None:
    """Write all goldens."""
    goldens, random = Goldens(folder), np.random.default_rng(0)
    photo = astronaut()
    noise = random.integers(0, 256, (61, 83, 3), np.uint8)
    _values(goldens, random)
    for image in (photo, noise):
        for size in ((128, 128), (64, 100), (300, 20), (1, 1), (image.shape[0], 7), (200, image.shape[1])):
            goldens.add("resize", image=goldens.array(image), result=goldens.array(images.resize(image, size)))
    _faces(goldens, random, photo)
    _tiles(goldens)
    _translate(goldens, photo, noise)
    _labels(goldens)
    _models(goldens)
    goldens.write()


def read(folder: Path) -> dict[str, Any]:
    """goldens.json."""
    values: dict[str, Any] = json.loads((folder / "goldens.json").read_text())
    return values


def _values(goldens: Goldens, random: np.random.Generator) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    floats = images.to_float(levels)
    goldens.values["values"] = {"image": goldens.array(levels), "floats": goldens.array(floats)}
    halves = (np.arange(0, 768, dtype=np.float32).reshape(16, 16, 3) / 3 + np.float32(0.5)) / np.float32(127.5) - 1
    floats = np.concatenate([halves, random.uniform(-1.5, 1.5, (64, 16, 3)).astype(np.float32)])
    goldens.values["levels"] = {
        "image": goldens.array(images.to_uint8(floats)),
        "floats": goldens.array(floats),
    }


def _faces(goldens: Goldens, random: np.random.Generator, photo: np.ndarray) -> None:
    """The astronaut, and faces of any size and lean, some across the picture's edge."""
    height, width = photo.shape[:2]
    people = faces.find(photo)
    for _ in range(12):
        x, y, side = random.uniform(0, width), random.uniform(0, height), random.uniform(20, 180)
        angle = random.uniform(-np.pi, np.pi)
        across, down = side / 4 * np.cos(angle), side / 4 * np.sin(angle)
        eyes = ((x - across, y - down), (x + across, y + down))
        people.append(faces.Face((x - side / 2, y - side / 2, x + side / 2, y + side / 2.2), 1.0, eyes + eyes[:1] * 4))
    for face in people:
        size = int(random.choice([64, 128, 99]))
        crop = faces.crop(photo, face, size)
        filtered = images.to_uint8(halved(images.to_float(crop)))
        goldens.add(
            "faces",
            image=goldens.array(photo),
            box=face.box,
            points=np.ravel(face.points).tolist(),
            crop=goldens.array(crop),
            filtered=goldens.array(filtered),
            blended=goldens.array(faces.blend(photo, filtered, face)),
        )


def _tiles(goldens: Goldens) -> None:
    for length, tile, overlap in ((100, 128, 32), (128, 128, 32), (129, 128, 32), (1000, 128, 32), (577, 64, 16)):
        weights = tiling.weights(length, tile, overlap)
        starts = tiling.starts(length, tile, overlap)
        goldens.add("tiles", length=length, tile=tile, overlap=overlap, starts=starts, weights=goldens.array(weights))


def _translate(goldens: Goldens, photo: np.ndarray, noise: np.ndarray) -> None:
    """Whole pictures, with all that BlazeFace was asked and answered on the way."""
    half = images.resize(photo, (photo.shape[0] // 2, photo.shape[1] // 2))
    far = np.full((700, 900, 3), 90, np.uint8)  # in which the face is found in a tile alone
    far[380:460, 700:780] = images.resize(np.ascontiguousarray(photo[34:120, 97:183]), (80, 80))
    close = np.ascontiguousarray(photo[49:105, 112:168])  # which the face fills: found with a margin
    for image in (photo, half, far, close):
        _add(goldens, image, 128, 128, "FACES", lambda f, image: photos.translate(f, image, paste=True)[0])
    _add(goldens, photo, 64, 64, "CENTER", lambda f, image: photos.translate(f, image, crop="center")[0])
    for image, height, width in ((photo, 128, 128), (noise, 64, 96), (noise, 128, 128)):
        _add(goldens, image, height, width, "WHOLE", lambda f, image: photos.translate(f, image, crop="none")[0])
    tall = np.ascontiguousarray(photo[:, :50])
    for image in (photo, tall):
        _add(goldens, image, 128, 128, "TILES", _tiled)


def _tiled(picture_filter: Filter, image: np.ndarray) -> np.ndarray:
    def fitted(tile: np.ndarray) -> np.ndarray:
        return photos._fitted(picture_filter, tile, (128, 128))

    return tiling.tiled(fitted, image, 128, 32)


def _add(
    goldens: Goldens,
    image: np.ndarray,
    height: int,
    width: int,
    part: str,
    translate: Callable[[Filter, np.ndarray], np.ndarray],
) -> None:
    detections = []
    run = faces._run

    def recorded(square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        regressors, logits = run(square)
        arrays = {"square": square, "regressors": regressors, "logits": logits}
        detections.append({name: goldens.array(array) for name, array in arrays.items()})
        return regressors, logits

    with mock.patch.object(faces, "_run", recorded):
        result = translate(filter_of(height, width), image)
    if part == "FACES":
        _decoded(goldens, image, detections[0])
    goldens.add(
        "translate",
        image=goldens.array(image),
        height=height,
        width=width,
        part=part,
        detections=detections,
        result=goldens.array(result),
    )


def _decoded(goldens: Goldens, image: np.ndarray, first: dict[str, str]) -> None:
    """What one pass over the picture sees, from the detector's numbers."""
    height, width = image.shape[:2]
    scale = faces.INPUT / max(height, width)
    rows, columns = round(height * scale), round(width * scale)
    goldens.add(
        "decode",
        regressors=first["regressors"],
        logits=first["logits"],
        left=(faces.INPUT - columns) // 2,
        top=(faces.INPUT - rows) // 2,
        zoom=[width / columns, height / rows],
        faces=[
            {"box": face.box, "points": np.ravel(face.points).tolist(), "score": face.score}
            for face in faces.merge(faces.detect(image))
        ],
    )


def _labels(goldens: Goldens) -> None:
    path = cards.path_of(_tflite("stargan_animefaces_utkface"))
    card = cards.read(path.with_suffix(".tflite"))
    assert card and card.labels
    for words in ("hair=blonde", "hair=blue,eyes=red", " age_bin = 30-39 , gender=male", "animefaces.hair=aqua"):
        goldens.add("labels", card=str(path), words=words, vector=goldens.array(card.labels.vector(words)))
    for words in ("", "hair", "hair=bald", "hair=blue,gender=male", "nose=long", "hair=blue,hair=red"):
        with pytest.raises(UserError):
            card.labels.vector(words)
        goldens.add("labels", card=str(path), words=words, refused=True)


def _models(goldens: Goldens) -> None:
    for name in BUNDLED:
        path = _tflite(name)
        card = cards.checked(path)
        assert card and card.size
        label = card.labels.width if card.labels else 0
        goldens.add("models", model=str(path), card=str(cards.path_of(path)), height=card.size[0], label=label)
    goldens.values["detector"] = str(faces.MODEL)
    goldens.values["custom"] = "custom.tflite"
    (goldens.folder / "custom.tflite").write_bytes(custom_model())


def _tflite(name: str) -> Path:
    path = included.tflite(name)
    assert path
    return path


def custom_model() -> bytes:
    """A model of one operation that TensorFlow Lite does not have, "Flipped"."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"Flipped"
    tensors = []
    for name in (b"image", b"result"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, [1, 8, 8, 3], schema.TensorType.FLOAT32
        tensors.append(tensor)
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0], [1]
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [1], [operator]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def golden_image() -> np.ndarray:
    """What the included filter draws of all of the sample photo, uint8 [128, 128, 3]."""
    (image,) = photos.translate(loading.load(_tflite(BUNDLED[0])), astronaut(), crop="none")
    return image


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if target.suffix == ".png":
        target.parent.mkdir(parents=True, exist_ok=True)
        images.write(target, golden_image())
    else:
        write(target)
