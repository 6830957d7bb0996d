"""Pictures that come in pairs: pix2pix. Side by side in one file, in two folders of equal names, or made from one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kgan.data.reader import Data, Reader
from kgan.data.sources import Source, memory
from kgan.errors import UserError
from kgan.pictures import emoji, folders, images
from kgan.settings import choice
from kgan.types import Batch, Shape, Tensor


@dataclass
class Paired(Data):
    """Batches {"a": [B, H, W, 3], "b": [B, H, W, 3]} of pairs that are cut and mirrored together.

    Attributes:
      root: "emoji:fluent3d:google" means the embedded set, drawn by the first vendor and by the second.
      layout: "side_by_side": files with A in the left half and B in the right one; "folders": two folders in which
        equal names (whatever the suffix) are a pair; "single": each picture with itself, where the system makes its
        own input, as in colorization.
      train, test: inside `root`, the folder of the files, or the folder that holds the folders `a` and `b`. Without a
        test folder the training pictures feed sample sheets.
      a, b: names of the two folders.
      direction: which of the two is given and which is to be made.
      resize: "nearest" gives label maps no colours of their own, "nearest_a" and "nearest_b" that of one side alone.
    """

    layout: str = choice("side_by_side", "folders", "single")
    train: str = "train"
    test: str = "test"
    a: str = "A"
    b: str = "B"
    direction: str = choice("ab", "ba")
    resize: str = choice("bicubic", "nearest", "nearest_a", "nearest_b")

    @property
    def nearest(self) -> tuple[bool, bool]:
        """Whether A and B are resized without mixing colours."""
        return self.resize in ("nearest", "nearest_a"), self.resize in ("nearest", "nearest_b")

    def open(self, size: int, batch_size: int, batches: int, seed: int) -> "PairedReader":
        self.check()
        train, test = self._embedded() or self._files()
        return PairedReader(self, train, test, size, batch_size, batches, seed)

    def _embedded(self) -> tuple[Source, Source] | None:
        if not (vendors := self.vendors(2)):
            return None
        splits = (np.concatenate([emoji.load(vendor, split) for vendor in vendors], -1) for split in ("train", "test"))
        train, test = (memory(f"the embedded emoji by {' and '.join(vendors)}", pairs) for pairs in splits)
        return train, test

    def _files(self) -> tuple[Source, Source]:
        root = Path(self.root).expanduser()
        train = self._source(root / self.train)
        return train, self._source(root / self.test) if (root / self.test).is_dir() else train

    def _source(self, folder: Path) -> Source:
        most = self.max_megapixels
        if self.layout == "folders":
            source = aligned(folder / self.a, folder / self.b, most, self.nearest)
        else:
            source = {"side_by_side": halves, "single": twice}[self.layout](folder, most)
        source.nearest = self.nearest
        return source


class PairedReader(Reader):
    """One stream of pairs, six channels each, so that both sides of a pair share order, crop and flip."""

    def __init__(self, data: Paired, train: Source, test: Source, *arguments: int) -> None:
        super().__init__(data, {"pair": train}, {"pair": test}, *arguments)
        self.names = data.direction  # of the first three channels and of the others

    def _named(self, pairs: Tensor) -> Batch:
        """Pairs [..., 6] as "a" and "b", [..., 3] each."""
        return {self.names[0]: pairs[..., :3], self.names[1]: pairs[..., 3:]}

    def prepare(self, batch: Batch, pictures: Batch | None = None) -> Batch:
        return self._named(super().prepare(batch, pictures)["pair"])

    def validation(self, count: int) -> Batch:
        return self._named(super().validation(count)["pair"])


def halves(folder: Path, most: float = images.MEGAPIXELS) -> Source:
    """Files whose left and right halves are a pair."""

    def read(item: Path, least: int) -> np.ndarray:
        both = images.read(item, most=most)  # whole: a JPEG that is decoded smaller may round its width
        if both.shape[1] < 2 or both.shape[1] % 2:
            raise UserError(f"{item} is {both.shape[1]} pixels wide, which cannot be halved into a pair.")
        left, right = np.split(both, 2, axis=1)
        return np.concatenate([left, right], axis=-1)

    listing = folders.look(folder)
    return Source(str(folder), listing.pictures, read, paired=True, listings=[listing])


def split(folder: str | Path, left: str | Path, right: str | Path) -> None:
    """Write the halves of the files in `folder` into two folders, as PNG under equal names: what evaluation reads."""
    source = halves(Path(folder))
    for path in source.items:
        pair = source.read(path, 0)
        for half, target in ((pair[..., :3], left), (pair[..., 3:], right)):
            images.write(Path(target) / f"{path.stem}.png", half)


def twice(folder: Path, most: float = images.MEGAPIXELS) -> Source:
    """Each picture with itself."""

    def read(item: Path, least: int) -> np.ndarray:
        return np.concatenate([images.read(item, least=least, most=most)] * 2, axis=-1)

    listing = folders.look(folder)
    return Source(str(folder), listing.pictures, read, paired=True, listings=[listing])


def _by_stem(listing: folders.Listing) -> dict[str, Path]:
    """The pictures of a folder by their names without suffix; a `UserError` where two have the same."""
    paths: dict[str, Path] = {}
    for path in listing.pictures:
        if path.stem in paths:
            raise UserError(
                f"{paths[path.stem]} and {path} have the same name but for the suffix: which is the pair's?"
            )
        paths[path.stem] = path
    return paths


def check_aspects(item: tuple[Path, Path], first: Shape, second: Shape) -> None:
    """A `UserError` where two pictures of these heights and widths differ in aspect by more than a pixel."""
    (height, width), (other_height, other_width) = first, second
    if abs(width * other_height - other_width * height) > max(width + height, other_width + other_height):
        raise UserError(
            f"{item[0]} and {item[1]} are no pair: one has {width} x {height} pixels, the other {other_width} x "
            f"{other_height}, which is no larger or smaller picture of the same."
        )


def aligned(a: Path, b: Path, most: float = images.MEGAPIXELS, nearest: tuple[bool, bool] = (False, False)) -> Source:
    """Two folders in which equal names are pairs; a `UserError` that names whatever has no partner.

    Args:
      most: megapixels that a picture may have.
      nearest: whether A and B are resized without mixing colours.
    """
    listings = [folders.look(a), folders.look(b)]
    paths_a, paths_b = map(_by_stem, listings)
    alone = [
        f"{folder / paths[stem].name}"
        for folder, paths, others in ((a, paths_a, paths_b), (b, paths_b, paths_a))
        for stem in sorted(paths.keys() - others.keys())
    ]
    if alone:
        more = f" and {len(alone) - 3} others" if len(alone) > 3 else ""
        have = "have" if len(alone) > 1 else "has"
        raise UserError(
            f"{len(paths_a)} pictures in {a} and {len(paths_b)} in {b} should be pairs of equal names, but "
            f"{', '.join(alone[:3])}{more} {have} no partner: add or remove what differs."
            f"{''.join(f' In {each.folder}:{each.left_out}' for each in listings if each.left_out)}"
        )

    def read(item: tuple[Path, Path], least: int) -> np.ndarray:
        sides = zip(item, nearest, strict=True)
        first, second = (images.read(path, least=0 if own else least, most=most) for path, own in sides)
        if first.shape != second.shape:
            check_aspects(item, first.shape[:2], second.shape[:2])
            second = images.resize(second, first.shape[:2], nearest[1])  # the aspect of A, whose crop B shares
        return np.concatenate([first, second], axis=-1)

    return Source(
        f"{a} with {b}",
        [(paths_a[stem], paths_b[stem]) for stem in sorted(paths_a)],
        read,
        paired=True,
        listings=listings,
    )
