"""Films from frames, an animated GIF or with the program ffmpeg an MP4; and animations, read and written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from kgan import files
from kgan.errors import UserError
from kgan.pictures import folders, images

RATE = 30  # frames a second
SUFFIXES = (".gif", ".mp4")
MOVING = (".gif", ".webp", ".png", ".apng", ".avif")  # what an animation is written as
PAGES = (".tif", ".tiff")
FRAMES = 10  # times the pixels that one picture may have are allowed to all frames together, which are held at once


@dataclass(frozen=True)
class Animation:
    """The frames of a file, which are decoded one after the other.

    Attributes:
      path: of the file.
      frames: numbers of the frames in the file.
      paged: they are pages that stand beside each other, not in time.
      plays: how often it is shown, 0 for without end.
      most: megapixels that a frame may have.
    """

    path: Path
    frames: Sequence[int]
    paged: bool
    plays: int
    most: float

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        """Each frame, uint8 [H, W, 3] or with transparency [H, W, 4], and the milliseconds for which it is shown."""
        with images.opened(self.path, str(self.path), self.most) as image:
            for number in self.frames:
                image.seek(number)
                images.check_size(image, str(self.path), self.most)
                yield images.array_of(image, transparent=True), round(image.info.get("duration", 0))

    def check(self, suffix: str) -> None:
        """A `UserError` unless files with this suffix hold it."""
        what, kinds = ("page", PAGES) if self.paged else ("frame", MOVING)
        if suffix.lower() not in kinds:
            raise UserError(
                f"{self.path} has {len(self.frames)} {what}s, which a {suffix or 'file without a suffix'} cannot hold: "
                f"name a {' or '.join(kinds)}."
            )


def animation(path: str | Path, most: float = images.MEGAPIXELS) -> Animation | None:
    """What moves in a file, or its pages where it is a TIFF; None where it is a single picture.

    Raises:
      UserError: the file cannot be read, or has more than ten times `most` megapixels in all frames.
    """
    path = Path(path)
    if path.suffix.lower() in folders.FILMS and path.is_file():
        raise UserError(
            f"{path} is a film, and films are not read: ffmpeg -i {path.name} frames/%06d.png makes pictures."
        )
    with images.opened(path, str(path), most) as image:
        if image.format not in (*images.ANIMATED, images.PAGED) or not getattr(image, "is_animated", False):
            return None
        numbers = list(range(bool(getattr(image, "default_image", False)), getattr(image, "n_frames", 1)))
        paged = image.format == images.PAGED
        if paged:
            numbers = [number for number in numbers if not _reduced(image, number)]
            image.seek(0)
        if len(numbers) < 2:
            return None
        if image.width * image.height * len(numbers) > FRAMES * most * 1e6:
            raise UserError(
                f"{path} has {len(numbers)} frames of {image.width} x {image.height} pixels, more than {FRAMES} times "
                f"{most:g} megapixels: --max_megapixels allows more."
            )
        plays = int(image.info.get("loop", -1 if image.format == "GIF" else 0))
        if image.format == "GIF" and plays:  # which counts repetitions, and says nothing of a film that has none
            plays = max(1, plays + 1)
        return Animation(path, numbers, paged, plays, most)


def _reduced(image: Image.Image, number: int) -> bool:
    """Whether a page of a TIFF is another one in a smaller size, as for a preview."""
    image.seek(number)
    return number > 0 and bool(getattr(image, "tag_v2", {}).get(254, 0) & 1)


def write_animation(path: Path, frames: Sequence[np.ndarray], durations: Sequence[int], plays: int) -> None:
    """Write frames as a file that moves, or as a TIFF of pages; the suffix says which.

    Args:
      path: ends in one of MOVING or PAGES.
      frames: uint8 [H, W, 3 or 4].
      durations: milliseconds for which each is shown.
      plays: how often it is shown, 0 for without end.
    """
    suffix = path.suffix.lower()
    transparent = any(frame.shape[-1] == 4 for frame in frames)
    if transparent:
        frames = [
            frame if frame.shape[-1] == 4 else np.dstack([frame, np.full_like(frame[..., 0], 255)]) for frame in frames
        ]
    options: dict[str, int | list[int] | bool] = {}
    if suffix not in PAGES:
        options["duration"] = list(durations)
    if suffix == ".gif":
        options |= {"disposal": 2} if transparent else {}
        options |= {} if plays == 1 else {"loop": plays and plays - 1}
    elif suffix in (".png", ".apng", ".webp"):
        options["loop"] = plays
        if suffix != ".webp" and transparent:
            options |= {"disposal": 1, "blend": 0}
    files.write_bytes(path, images.save(frames, suffix, images.srgb_profile(), **options))


def write(path: Path, frames: Iterator[np.ndarray]) -> None:
    """Write a .gif, or with ffmpeg a .mp4, at 30 frames a second.

    Args:
      path: its suffix says which.
      frames: uint8 [H, W, 3], all of one size.

    Raises:
      UserError: .mp4 without ffmpeg on the PATH, or ffmpeg fails.
    """
    if path.suffix.lower() == ".gif":
        first, *others = [Image.fromarray(frame) for frame in frames]
        buffer = BytesIO()
        first.save(buffer, "GIF", save_all=True, append_images=others, duration=1000 / RATE, loop=0)
        files.write_bytes(path, buffer.getvalue())
        return
    program = shutil.which("ffmpeg")
    if not program:
        raise UserError(f"--output={path}: an .mp4 needs the program ffmpeg, which is not there; a .gif needs nothing.")
    pictures = list(frames)
    size = "x".join(map(str, pictures[0].shape[1::-1]))
    with files.replacing(path) as temporary:
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(RATE), "-i", "-"]
        film = ["-pix_fmt", "yuv420p", "-f", "mp4", str(temporary)]
        process = subprocess.run(
            [program, "-loglevel", "error", "-y", *raw, *film],
            input=b"".join(map(bytes, pictures)),
            capture_output=True,
        )
        if process.returncode:
            raise UserError(f"ffmpeg could not write {path}: {process.stderr.decode(errors='replace').strip()}")
