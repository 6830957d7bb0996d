"""Films from frames: an animated GIF, or with the program ffmpeg an MP4."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from kgan import files
from kgan.errors import UserError

RATE = 30  # frames a second
SUFFIXES = (".gif", ".mp4")


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
