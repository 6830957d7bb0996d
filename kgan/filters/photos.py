"""Running a filter over photos: faces cut out and blended back, large pictures in tiles, whole folders."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from kgan import files
from kgan.errors import UserError
from kgan.filters.card import CROPS
from kgan.filters.loading import Filter, Label
from kgan.pictures import faces, film, folders, images, tiling

SMALLEST_TILE = 64
STALE = 3600.0  # seconds after which an unfinished file beside the results was left by a kill
LARGEST_WHOLE = 2**22  # pixels, of filters that cannot be told where to stop: some 8 GB of memory


def translate(
    picture_filter: Filter,
    image: np.ndarray,
    crop: str = "auto",
    paste: bool = False,
    size: int | None = None,
    tile: int | None = None,
    label: Label | None = None,
    people: Sequence[faces.Face] | None = None,
) -> list[np.ndarray]:
    """Run a filter over one picture.

    Args:
      picture_filter: from `kgan.load(path)`.
      image: uint8 [H, W, 3], or [H, W, 4] with transparency, which the results keep: the filter sees the colours on a
        background of the colour at the edge.
      crop: "face" (every face, cut out and turned upright), "center" (the middle square), "none" (all of it), "auto"
        (as the filter's card says).
      paste: with faces, blend them back into the picture.
      size: side of a crop in pixels; by default what the filter accepts or was trained at.
      tile: where the filter does not stream, pictures with a longer side than this are done in tiles that overlap
        (`kgan.pictures.tiling`), each by its own statistics. A filter that streams needs none. One of a single size
        does larger pictures in tiles of that size where its card says that they give what the whole gives; else the
        whole picture is fitted into it, and the result is as small.
      label: what is to be drawn, "hair=blonde" or numbers, for a filter that takes one.
      people: the faces, as `find_faces` gives them, where they are known.

    Returns:
      The results, uint8 [h, w, 3 or 4]: one a face (the largest first) with crop "face" and no `paste`, else one.

    Raises:
      UserError: no face was found, or the settings do not fit each other or the filter.
    """
    if image.shape[-1] == 4:
        return _with_transparency(picture_filter, image, crop, paste, size, tile, label, people)
    picture_filter = picture_filter.with_label(label)
    crop, side = _plan(picture_filter, crop, paste, size, tile)
    if crop == "none":
        return [_apply(picture_filter, image, tile)]
    if crop == "center":
        return [_apply(picture_filter, images.resize(images.center_square(image), (side, side)), tile)]
    people = find_faces(image) if people is None else people
    if not people:
        raise UserError(
            "No face was found. --crop=center takes the middle square instead, --crop=none the whole picture."
        )
    results = [_apply(picture_filter, faces.crop(image, face, side), tile) for face in people]
    if not paste:
        return results
    for face, result in zip(people, results, strict=True):
        image = faces.blend(image, result, face)
    return [image]


def find_faces(image: np.ndarray) -> list[faces.Face]:
    """The faces in uint8 [H, W, 3 or 4], the largest first."""
    return faces.find(images.on_edge_colour(image) if image.shape[-1] == 4 else image)


def _with_transparency(
    picture_filter: Filter,
    image: np.ndarray,
    crop: str,
    paste: bool,
    size: int | None,
    tile: int | None,
    label: Label | None,
    people: Sequence[faces.Face] | None,
) -> list[np.ndarray]:
    """Filter the colours of uint8 [H, W, 4], then put the transparency back that was cut as they were."""
    colour, alpha = images.on_edge_colour(image), np.ascontiguousarray(image[..., 3])
    crop, side = _plan(picture_filter, crop, paste, size, tile)
    if crop == "face" and people is None:
        people = faces.find(colour)
    results = translate(picture_filter, colour, crop, paste, size, tile, label, people)
    alphas = [alpha]
    if crop == "center":
        alphas = [np.ascontiguousarray(images.center_square(alpha))]
    elif crop == "face" and not paste:
        alphas = [faces.crop(alpha, face, side) for face in people or ()]
    pairs = zip(results, alphas, strict=True)
    return [np.dstack([result, images.resize(alpha, result.shape[:2])]) for result, alpha in pairs]


def _plan(picture_filter: Filter, crop: str, paste: bool, size: int | None, tile: int | None) -> tuple[str, int]:
    """Check the settings of `translate` against each other and the filter; the crop without "auto", and its side."""
    crop = picture_filter.card.crop if crop == "auto" else crop
    if crop not in CROPS:
        raise UserError(f"--crop={crop} is unknown: it is one of auto, {', '.join(CROPS)}.")
    if paste and crop != "face":
        raise UserError(f"--paste blends faces back into the photo, so it needs --crop=face, not --crop={crop}.")
    if tile is not None and tile < SMALLEST_TILE:
        raise UserError(f"--tile={tile} is too small: tiles have at least {SMALLEST_TILE} pixels a side.")
    if size is not None and crop == "none":
        raise UserError("--size is the side of a crop: it needs --crop=face or --crop=center.")
    if size is not None and size < 1:
        raise UserError(f"--size={size} is no size: it counts pixels, such as 256.")
    if picture_filter.size:
        height, width = picture_filter.size
        if size not in (None, height, width):
            raise UserError(f"--size={size} does not fit: this filter accepts {width} x {height} pixels only.")
        return crop, max(height, width)
    return crop, size or picture_filter.card.image_size


def _apply(picture_filter: Filter, image: np.ndarray, tile: int | None) -> np.ndarray:
    """Filter uint8 [H, W, 3]: fitted where the filter takes one size only, in tiles where that is the only way."""
    height, width = image.shape[:2]
    if picture_filter.size:
        tiles, (rows, columns) = picture_filter.card.tiles, picture_filter.size
        if tiles is None or height < rows or width < columns:
            return _fitted(picture_filter, image, picture_filter.size)
        margin, unit = tiles
        added = [(0, -side % unit) for side in (height, width)]
        whole = np.pad(image, (*added, (0, 0)), mode="reflect")
        return tiling.exact(picture_filter, whole, picture_filter.size, margin, unit)[:height, :width]
    if picture_filter.streams:
        return picture_filter(image)
    if tile is not None and max(height, width) > tile:
        return tiling.tiled(picture_filter, image, tile, overlap=tile // 4)
    if height * width > LARGEST_WHOLE:
        raise UserError(
            f"The picture has {width} x {height} pixels, and this filter takes {LARGEST_WHOLE} at once, since its file "
            "does not show how it could be done bit by bit. Use the .keras file that it was made of, or a smaller "
            "picture, or --tile=1024: in tiles, each by its own statistics, so that seams may be seen."
        )
    return picture_filter(image)


def _fitted(picture_filter: Filter, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fit a picture into `size`, keeping its aspect; fill up with its reflection, and cut that off the result again."""
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    fitted = images.resize(image, (height, width))
    filled = np.pad(fitted, ((0, size[0] - height), (0, size[1] - width), (0, 0)), mode="symmetric")
    return picture_filter(filled)[:height, :width]


@dataclasses.dataclass
class Summary:
    """What came of a folder: the files written, and for each picture skipped the sentence that says why."""

    written: list[Path] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)


def translate_files(
    picture_filter: Filter,
    source: str | Path,
    output: str | Path,
    crop: str = "auto",
    paste: bool = False,
    size: int | None = None,
    tile: int | None = None,
    label: Label | None = None,
    max_megapixels: float = images.MEGAPIXELS,
) -> Summary:
    """Run a filter over a file, or over each picture directly in a folder, and write what it gives.

    All frames of an animation are filtered and written as one, and so are all pages of a TIFF.

    Args:
      picture_filter, crop, paste, size, tile, label: as in `translate`.
      source: a picture or a folder.
      output: a folder (made where missing), or for one picture also the file to write. In a folder crops are named
        after their picture with the suffix .png, whole photos exactly as it where its kind can be written.
      max_megapixels: that a picture may have.

    Raises:
      UserError: as `translate`, naming the file; in a folder such pictures are named on stderr and skipped, and it is
        an error only where none is left.
    """
    source, output = Path(source), Path(output)
    picture_filter.with_label(label)  # a mistake is told before any picture is read
    crop, _ = _plan(picture_filter, crop, paste, size, tile)
    whole = paste or crop == "none"

    def results(path: Path, image: np.ndarray) -> list[np.ndarray]:
        try:
            return translate(picture_filter, image, crop, paste, size, tile, label)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def work(path: Path, name: Callable[[bool], Path], taken: Collection[Path]) -> list[Path]:
        """Filter one file, write what it gives where `name` says for one that moves or not, and return the files."""
        moving = film.animation(path, max_megapixels)
        target = name(moving is not None)
        if moving is None:
            pictures = results(path, images.read(path, most=max_megapixels, transparent=True))
            return _write(pictures, _free(target, path, len(pictures), taken))
        moving.check(target.suffix)
        if crop == "face" and not paste:
            raise UserError(
                f"{path} has {len(moving.frames)} frames, of which faces are not cut out: --paste keeps them."
            )
        frames, durations = zip(*_frames(moving, lambda image: results(path, image), paste), strict=True)
        (target,) = _free(target, path, 1, taken)
        with _writing(target):
            film.write_animation(target, frames, durations, moving.plays)
        return [target]

    files.sweep(output.parent if _is_file(output) else output, older=STALE)
    if not source.is_dir():

        def beside(moving: bool) -> Path:
            return _file_for(source, output, whole or moving)

        _file_for(source, output, whole)  # a mistake is told before the file is read
        return Summary(written=work(source, beside, ()))

    listing = folders.look(source)
    paths = listing.pictures
    if not paths:
        raise listing.none()
    print(listing)
    if _is_file(output):
        raise UserError(f"--output={output} is a file: the pictures of a folder need a folder.")
    if output.resolve() == source.resolve():
        raise UserError(f"--output={output} is where the photos lie, which could be overwritten: name another folder.")
    summary, bug = Summary(), None
    for path in tqdm(paths, desc="translate", unit="picture"):

        def inside(moving: bool, path: Path = path) -> Path:
            keep = (whole or moving) and path.suffix.lower() in images.SUFFIXES
            return output / (path.name if keep else f"{path.stem}.png")

        try:
            summary.written += work(path, inside, summary.written)
        except UserError as error:
            sentence = str(error)
        except MemoryError:
            sentence = f"{path}: there is not enough memory for it."
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            bug, sentence = error, f"{path}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        else:
            continue
        summary.skipped.append(sentence)
        tqdm.write(f"Skipped. {sentence}", file=sys.stderr)
    if not summary.written:
        if bug:
            raise bug
        raise UserError(f"Not one of the {len(paths)} pictures in {source} could be translated. {summary.skipped[0]}")
    return summary


def _frames(
    moving: film.Animation, results: Callable[[np.ndarray], list[np.ndarray]], paste: bool
) -> Iterator[tuple[np.ndarray, int]]:
    """The filtered frames and their durations; with `paste` frames without a face stay, but not all of them."""
    errors = []
    for image, duration in moving:
        try:
            (frame,) = results(image)
        except UserError as error:
            errors.append(error)
            if not paste:
                raise
            frame = image
        yield frame, duration
    if len(errors) == len(moving.frames):
        raise errors[0]


def _is_file(output: Path) -> bool:
    """Whether `output` names a picture, or a film, rather than a folder."""
    kinds = (*Image.registered_extensions(), *folders.FILMS)
    return output.is_file() or (output.suffix.lower() in kinds and not output.is_dir())


def _file_for(source: Path, output: Path, whole: bool) -> Path:
    """Where the result of one file goes: `output` where it names a file, else a file in that folder."""
    same_kind = whole and source.suffix.lower() in images.SUFFIXES
    target = output if _is_file(output) else output / (source.name if same_kind else f"{source.stem}.png")
    if target.suffix.lower() not in images.SUFFIXES:
        raise UserError(f"--output={output} cannot be written: pictures end in {', '.join(images.SUFFIXES)}.")
    return target


def _free(target: Path, source: Path, count: int, taken: Collection[Path]) -> list[Path]:
    """The files for `count` results: none of those that are `taken`, nor the photo itself."""
    targets = _numbered(target, count)
    if not set(targets).isdisjoint(taken):  # photo.jpg and photo.png: the second is photo.png.png
        targets = _numbered(target.with_name(f"{source.name}.png"), count)
    if source.resolve() in [path.resolve() for path in targets]:
        raise UserError(f"--output={target} would overwrite the photo itself: name another file or folder.")
    return targets


def _numbered(target: Path, count: int) -> list[Path]:
    """The files for `count` pictures: photo.png for one, photo_1.png, photo_2.png ... for several."""
    if count == 1:
        return [target]
    return [target.with_stem(f"{target.stem}_{number}") for number in range(1, count + 1)]


def _write(pictures: list[np.ndarray], targets: list[Path]) -> list[Path]:
    """Write each picture to its file; returns the files."""
    for picture, target in zip(pictures, targets, strict=True):
        with _writing(target):
            images.write(target, picture)
    return targets


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """A `UserError` where a file cannot be written, for any reason but a full disk, which ends everything."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"{target} cannot be written: {error.strerror}.") from error
