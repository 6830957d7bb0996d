"""Copies of a training's pictures that are no larger than it needs, and as many as there is room for."""

from __future__ import annotations

import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from kgan.carry.labelled import complete
from kgan.data.labelled import Labelled
from kgan.data.paired import Paired
from kgan.data.reader import Data, Reader
from kgan.errors import UserError
from kgan.pictures import images

SAMPLE = 400  # pictures, from which the size of all is estimated
LEAST = 0.01  # of the training pictures; with so little room there is a mistake


class Way(NamedTuple):
    """How pictures get smaller.

    Attributes:
      quality: of the JPEG; 0 where they stay as they are.
      all: pictures that are small enough become JPEG too.
    """

    quality: int
    all: bool = True


WAYS = (Way(92, all=False), Way(92), Way(86), Way(80))


class Copies:
    """The pictures of a reader as files in another folder, in the same folders and under the same names.

    A picture is made as small as the reader loads it: its shorter side, or that of each half of a pair side by side,
    has `reader.load_size` pixels, whatever `data.fit`. It becomes a JPEG where that takes fewer bytes, and stays the
    file that it is where not, where it is small enough, and where it cannot be read.

    Attributes:
      train: the files of each picture or pair, by stream; empty where they are embedded.
      test: files.
    """

    def __init__(self, data: Data, reader: Reader) -> None:
        self.data, self.side = data, reader.load_size
        self.halves = 2 if isinstance(data, Paired) and data.layout == "side_by_side" else 1
        sources = [pictures.source for pictures in reader.train.values()]
        streams = [[source.files(i) for i in range(len(source.items))] for source in sources]
        self.train = [stream for stream in streams if any(stream)]
        trained = dict.fromkeys(file for stream in self.train for files in stream for file in files)
        tested = [file for source in reader.test.values() for i in range(len(source.items)) for file in source.files(i)]
        self.test = [file for file in dict.fromkeys(tested) if file not in trained]
        self.all = [*trained, *self.test]
        self._stems = Counter(file.with_suffix("") for file in self.all)

    def fill(self, folder: Path, room: int, as_they_are: bool, base: Path | None = None) -> str:
        """Make copies in `folder` that take `room` bytes of a tar, and say in a few words what was done.

        The tar's names begin below `base`, or with the folder's own.

        The first of these that fits: `WAYS` one after the other, then the last of them with fewer training pictures,
        evenly spaced. Where nothing does, two of each stream are there.
        """
        outcome = "no pictures but the embedded ones"
        for way, share in self._attempts(room, as_they_are):
            shutil.rmtree(folder, ignore_errors=True)
            outcome = self._copy(folder, way, share)
            if weight(folder, base or folder.parent) <= room:
                break
        return outcome

    def _attempts(self, room: int, as_they_are: bool) -> Iterator[tuple[Way, float]]:
        """What to try in turn: how pictures get smaller, and which share of the training pictures go in."""
        if as_they_are or not self.train:
            yield from [(Way(0), 1.0)] if self.train else []
            return
        for way in WAYS:
            if self._estimate(self.all, way) <= room:
                yield way, 1.0
        left = room - self._estimate(self.test, way)
        share = min(0.99, left / self._estimate(self.all[: -len(self.test) or None], way))
        while share > LEAST:
            yield way, share
            share *= 0.98
        yield way, 0.0

    def _estimate(self, paths: Sequence[Path], way: Way) -> float:
        """About how many bytes these files take in a tar, judged by some of them."""
        some = paths[:: len(paths) // SAMPLE + 1]
        with ThreadPoolExecutor() as pool:
            sizes = pool.map(lambda path: len(self._smaller(path, way) or b"") or path.stat().st_size, some)
            return sum(tarfile.BLOCKSIZE + _blocks(size) for size in sizes) * len(paths) / max(1, len(some))

    def _copy(self, folder: Path, way: Way, share: float) -> str:
        """Copy all test pictures and a share of the training pictures; returns a few words about them."""
        files = list(self.test)
        for stream in self.train:
            count = min(len(stream), max(2, round(share * len(stream))))
            files += [file for i in range(count) for file in stream[i * len(stream) // count]]
        files = list(dict.fromkeys(files))
        with ThreadPoolExecutor() as pool:
            copies = dict(zip(files, pool.map(lambda path: self._place(path, folder, way), files), strict=True))
        smaller = {path for path, copy in copies.items() if copy.stat().st_size < path.stat().st_size}
        if isinstance(self.data, Labelled):
            for each in self.data.sets:
                complete(Path(self.data.root).expanduser() / each.folder, each, folder / each.folder, copies)
        smaller &= copies.keys()
        some = f"{len(copies):,} of " if len(copies) < len(self.all) else ""
        how = (
            f"{len(smaller):,} of them now JPEG of quality {way.quality}, {self.side} px" if smaller else "as they are"
        )
        return f"{some}{len(self.all):,} pictures ({how})"

    def _place(self, path: Path, folder: Path, way: Way) -> Path:
        """Copy a picture into the same place below `folder`; returns the copy's path."""
        try:
            name = path.relative_to(Path(self.data.root).expanduser())
        except ValueError:
            name = Path("..")
        if ".." in name.parts:
            raise UserError(f"{path} does not lie in data.root={self.data.root}: only what lies there can be copied.")
        small, copy = self._smaller(path, way), folder / name
        if small and copy.suffix.lower() not in (".jpg", ".jpeg"):
            copy = copy.with_suffix(".jpg")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(small or path.read_bytes())
        return copy

    def _smaller(self, path: Path, way: Way) -> bytes | None:
        """A JPEG of fewer bytes, or None: the file is to stay as it is."""
        if not way.quality or (isinstance(self.data, Paired) and any(self.data.nearest)):  # label maps stay exact
            return None
        if self._stems[path.with_suffix("")] > 1:  # another picture would have the JPEG's name
            return None
        try:
            picture = images.read(path, least=0 if self.halves > 1 else 2 * self.side, most=self.data.max_megapixels)
        except UserError:
            return None  # the training will name it too
        height, width = picture.shape[0], picture.shape[1] / self.halves
        scale = min(1.0, self.side / min(height, width))
        if picture.shape[1] % self.halves or (scale == 1 and not way.all):
            return None
        size = round(scale * height), round(scale * width)
        parts = [images.resize(part, size) for part in np.split(picture, self.halves, axis=1)]
        file = BytesIO()
        Image.fromarray(np.concatenate(parts, axis=1)).save(
            file, "JPEG", quality=way.quality, subsampling=0, optimize=True
        )
        return file.getvalue() if file.tell() < path.stat().st_size else None


def weight(folder: Path, base: Path) -> int:
    """How many bytes a tar of `folder` takes, whose members are named from `base` on."""
    total = 2 * tarfile.BLOCKSIZE  # the tar's end
    for path in (folder, *folder.rglob("*")) if folder.is_dir() else ():
        header = len(tarfile.TarInfo(path.relative_to(base).as_posix()).tobuf())
        total += header + (0 if path.is_dir() else _blocks(path.stat().st_size))
    return -(-total // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _blocks(size: int) -> int:
    """What a file of `size` bytes takes in a tar, without its header."""
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
