"""What lies in a folder: the pictures, and a count of everything else with what can be done about it."""

from __future__ import annotations

import contextlib
import functools
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageFile

from kgan.errors import UserError

FILMS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".mts")
PROGRAMS = ("EPS", "MPEG")  # the first runs Ghostscript, the second is recognized and never decoded
# What systems and programs put beside people's files, where no dot hides it.
SYSTEM = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r"),
    *("@eadir", "#recycle", "@recycle", "$recycle.bin", "recycler", "system volume information", "lost+found"),
    *("__pycache__", "network trash folder", "temporary items"),
}
HEIC = (".heic", ".heif", ".hif")
HINTS = {
    **dict.fromkeys(HEIC, "pip install pillow-heif"),
    **dict.fromkeys(FILMS, "a film: ffmpeg -i FILM frames/%06d.png makes pictures of it"),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"), "raw: develop to JPEG or TIFF"),
    **dict.fromkeys((".svg", ".pdf", ".eps", ".ps", ".ai"), "a drawing: export it as PNG"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".rar", ".7z"), "unpack it"),
    ".jxl": "convert to PNG",
    "folder": "only what lies directly in here is read: move the pictures up, or name that folder",
    "dangling link": "what it leads to is gone",
    "pipe or device": "no file",
    "without a suffix": "rename a picture to .jpg or what it is",
}


@functools.cache
def formats() -> tuple[str, ...]:
    """The names of the kinds of pictures that Pillow decodes here by itself; HEIF where pillow-heif is installed."""
    Image.init()
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    stubs = [
        name
        for name, (factory, _) in Image.OPEN.items()
        if isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)
    ]
    return tuple(name for name in Image.OPEN if name not in (*stubs, *PROGRAMS))


@functools.cache
def suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of the files that are taken for pictures."""
    kinds = {*formats(), "MPO"}  # an MPO is a JPEG with further pictures behind it
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds)


def hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or a system's own."""
    return name.startswith(".") or name.lower() in SYSTEM


@dataclass(frozen=True)
class Listing:
    """What lies directly in a folder.

    Attributes:
      pictures: sorted by name.
      others: by kind (".heic", "folder"), the names of all else.
    """

    folder: Path
    pictures: list[Path]
    others: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.folder}: {counted(len(self.pictures), 'picture')}.{self.left_out}"

    @property
    def left_out(self) -> str:
        """The sentence about all that is no picture, with a space before it; empty where there is nothing else."""
        if not self.others:
            return ""
        kinds = []
        for kind, names in sorted(self.others.items(), key=lambda item: -len(item[1])):
            name = names[0] if len(names) == 1 and not kind.startswith("hidden") else ""
            remarks = "; ".join(filter(None, (name, HINTS.get(kind, ""))))
            what = kind if kind.startswith((".", "hidden", "without")) or len(names) == 1 else plural(kind)
            kinds.append(f"{len(names)} {what}{f' ({remarks})' if remarks else ''}")
        return f" Left out: {', '.join(kinds)}."

    def none(self) -> UserError:
        """The error for a folder that should hold pictures and holds none."""
        return UserError(
            f"{self.folder} holds no pictures: files such as .jpg, .png, .webp, .avif or .tiff were looked for "
            f"directly in it.{self.left_out}"
        )


def counted(count: int, what: str) -> str:
    """ "1 picture", "2,000 pictures"."""
    return f"{count:,} {what if count == 1 else plural(what)}"


def plural(what: str) -> str:
    """The plural of a noun, or of "pipe or device"."""
    return " or ".join(f"{word}s" for word in what.split(" or "))


def look(folder: str | Path) -> Listing:
    """Look at everything directly in a folder; a `UserError` where the folder is missing or cannot be read."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: a folder with .jpg, .png or other pictures was looked for.")
    pictures: list[Path] = []
    others: dict[str, list[str]] = {}
    for path in _entries(folder):
        kind = _kind(path)
        if kind:
            others.setdefault(kind, []).append(path.name)
        else:
            pictures.append(path)
    return Listing(folder, pictures, others)


def subfolders(folder: Path) -> list[Path]:
    """The folders directly in a folder, sorted by name, without hidden ones and systems' own."""
    return [path for path in _entries(folder) if path.is_dir() and not hidden(path.name)]


def tree(folder: Path) -> Iterator[Listing]:
    """The listings of a folder and of all folders below it; links are not followed."""
    yield look(folder)
    for path in subfolders(folder):
        if not path.is_symlink():
            yield from tree(path)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be read: {error.strerror}.") from None


def _kind(path: Path) -> str:
    """What a file is where it is no picture; empty for a picture."""
    if hidden(path.name):
        return "hidden or system's own"
    try:
        mode = path.stat().st_mode
    except OSError:
        return "dangling link" if path.is_symlink() else "file that cannot be looked at"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return "pipe or device"
    suffix = path.suffix.lower()
    return "" if suffix in suffixes() else suffix or "without a suffix"
