"""Pictures and their labels as they lie in a folder: a table, CelebA's attribute file, or class folders."""

import csv
import dataclasses
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kgan.data.sources import Source
from kgan.errors import UserError
from kgan.labels import Group
from kgan.pictures import images
from kgan.settings import choice

CELEBA_TESTS = 1999  # as many as the official code keeps back
FLAGS = {"1", "0", "-1", ""}  # there, not there in two spellings, not known


@dataclasses.dataclass
class Labelling:
    """One collection of pictures and where its labels stand.

    Attributes:
      folder: inside the data's root; "" is the root itself. It names the set.
      layout:
        "csv": `table` has a column `file` and a column a group; an empty cell is unknown. A column of nothing but 1
          and 0 or -1 is a flag. A column `split` says train or test; without it every tenth row is a test picture.
        "celeba": list_attr_celeba.txt, all of whose columns are flags. Test pictures are the official code's.
        "folders": a folder of pictures a class, in `train` and `test`, or in the folder itself, and then every tenth
          picture of a class is a test picture. They are one group, named `groups` or "class".
      images: the folder of the pictures that a table names.
      table: "" is labels.csv or list_attr_celeba.txt.
      groups: columns that are used, all where empty. "hair=Black_Hair|Blond_Hair|Brown_Hair" makes one group of flags,
        of which a target has one.
    """

    folder: str = ""
    layout: str = choice("csv", "celeba", "folders")
    images: str = "images"
    table: str = ""
    groups: tuple[str, ...] = ()


Answers = dict[str, tuple[str, ...]]  # what is known of a picture: by group the value, or which of the flags hold


@dataclasses.dataclass
class LabelledPictures:
    """One collection of pictures, and what its labels say of each of them.

    Attributes:
      groups: with all values that occur.
      train_answers, test_answers: by index of the source.
    """

    groups: tuple[Group, ...]
    train: Source
    test: Source
    train_answers: list[Answers]
    test_answers: list[Answers]


class Row(NamedTuple):
    """What a table says of a picture.

    Attributes:
      where: what people call the row: its table and line.
      file: the picture's name.
    """

    where: str
    file: str
    answers: Answers


def read(root: Path, labelling: Labelling) -> LabelledPictures:
    """The collection in the folder `root`; a `UserError` that names what is not as `labelling` says."""
    return {"csv": _table, "celeba": _celeba, "folders": _folders}[labelling.layout](root, labelling)


def _table(root: Path, labelling: Labelling) -> LabelledPictures:
    """A CSV file and a folder of pictures."""
    table = root / (labelling.table or "labels.csv")
    lines = list(csv_rows(table))
    columns = [name for name in lines[0][1] if name not in ("file", "split")]
    groups = _groups(labelling, columns, table, lambda name: {cells[name] for _, cells in lines} <= FLAGS)
    rows = [Row(f"{table}, line {line}", cells["file"], _answers(cells, groups)) for line, cells in lines]
    paths = _paths(root / labelling.images, rows, table)
    split = [cells.get("split") or ("test" if i % 10 == 9 else "train") for i, (_, cells) in enumerate(lines)]
    for row, word in zip(rows, split, strict=True):
        if word not in ("train", "test"):
            raise UserError(f"{row.where}: split is train or test, not {word!r}.")
    return _split(root, list(groups), paths, [row.answers for row in rows], [word == "test" for word in split])


def csv_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row; a `UserError` where there is none, or one has other columns."""
    text = text_of(table, "a CSV file with a column 'file' and a column a group of labels")
    rows = csv.reader(io.StringIO(text, newline=""))
    header = [cell.strip() for cell in next(rows, [])]
    if "file" not in header:
        raise UserError(f"{table} has no column 'file': its columns are {', '.join(header) or 'none'}.")
    empty = True
    for cells in filter(None, rows):
        empty = False
        if len(cells) != len(header):
            raise UserError(f"{table}, line {rows.line_num}: {len(cells)} cells, and there are {len(header)} columns.")
        yield rows.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    if empty:
        raise UserError(f"{table} has a header and no rows: each picture needs one.")


def _celeba(root: Path, labelling: Labelling) -> LabelledPictures:
    """CelebA's attribute file: how many, the names of the attributes, and a line a picture with 1 or -1 for each."""
    table = root / (labelling.table or "list_attr_celeba.txt")
    lines = [line.split() for line in text_of(table, "CelebA's attributes").splitlines()]
    if len(lines) < 3 or lines[0] != [str(len(lines) - 2)]:
        raise UserError(f"{table} should hold the number of its pictures, the attributes' names, and a line a picture.")
    columns = lines[1]
    groups = _groups(labelling, columns, table, lambda _: True)
    rows = []
    for number, (file, *cells) in enumerate(lines[2:], 3):
        if len(cells) != len(columns) or not {"1", "-1"}.issuperset(cells):
            raise UserError(
                f"{table}, line {number}: {file} should have 1 or -1 for each of {len(columns)} attributes."
            )
        answers = _answers(dict(zip(columns, cells, strict=True)), groups)
        rows.append(Row(f"{table}, line {number}", file, answers))
    paths = _paths(root / labelling.images, rows, table)
    tests = set(celeba_order(len(rows))[: min(CELEBA_TESTS, len(rows) // 10)])
    return _split(root, list(groups), paths, [row.answers for row in rows], [i in tests for i in range(len(rows))])


def celeba_order(count: int) -> list[int]:
    """The rows from whose beginning the official code takes its test pictures."""
    order = list(range(count))
    random.Random(1234).shuffle(order)
    return order


def _folders(root: Path, labelling: Labelling) -> LabelledPictures:
    """Folders of pictures, one a class."""
    if not root.is_dir():
        raise UserError(f"There is no folder {root}: a folder of pictures for each class was looked for.")
    halves = [root / "train", root / "test"] if (root / "train").is_dir() else [root]
    names = sorted(path.name for path in halves[0].iterdir() if path.is_dir())
    if len(names) < 2:
        raise UserError(f"{halves[0]} holds {len(names)} folders: at least two classes are needed, each in its folder.")
    group = Group(labelling.groups[0] if labelling.groups else "class", tuple(names))
    paths: list[Path] = []
    answers: list[Answers] = []
    tests: list[bool] = []
    for half in halves:
        for name in names:
            pictures = images.find(half / name)
            if not pictures:
                raise UserError(f"{half / name} holds no pictures: {', '.join(images.SUFFIXES)} files were looked for.")
            paths += pictures
            answers += [{group.name: (name,)}] * len(pictures)
            tests += [half.name == "test" if len(halves) > 1 else i % 10 == 9 for i in range(len(pictures))]
    return _split(root, [group], paths, answers, tests)


def text_of(table: Path, what: str) -> str:
    """The text of a file; a `UserError` that says `what` was looked for where it is missing, or is no UTF-8."""
    if not table.is_file():
        raise UserError(f"There is no file {table}: {what} was looked for.")
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{table} is no text in UTF-8: save it as such.") from error


def _groups(
    labelling: Labelling, columns: list[str], table: Path, is_flag: Callable[[str], bool]
) -> dict[Group, tuple[str, ...]]:
    """The groups that are used, and the columns of each; those that are no flags have no values yet."""
    groups: dict[Group, tuple[str, ...]] = {}
    for text in labelling.groups or tuple(columns):
        name, equals, joined = text.partition("=")
        named = tuple(joined.split("|")) if equals else (name,)
        for column in named:
            if column not in columns:
                raise UserError(f"{table} has no column {column!r}: there are {', '.join(columns) or 'none'}.")
            if equals and len(named) < 2:
                raise UserError(f"{text!r} is no group of flags: write {column} alone, or several with | between.")
            if equals and not is_flag(column):
                raise UserError(f"{table}: the column {column} is no flag, since it holds more than 1 and 0 or -1.")
        values = named if equals else ("yes",) if is_flag(name) else ()
        groups[Group(name, values, flags=bool(values))] = named
    if not groups:
        raise UserError(f"{table} labels nothing: it has no column beside 'file'.")
    return groups


def _answers(cells: dict[str, str], groups: dict[Group, tuple[str, ...]]) -> Answers:
    """What the cells of a row, by column, say of each group; a group with an empty cell is left out."""
    answers = {}
    for group, columns in groups.items():
        own = [cells[column] for column in columns]
        if all(own):
            flags = tuple(value for value, cell in zip(group.values, own, strict=False) if cell == "1")
            answers[group.name] = flags if group.flags else (own[0],)
    return answers


def _paths(folder: Path, rows: list[Row], table: Path) -> list[Path]:
    """The picture of each row; a `UserError` that names a row without picture, or pictures without row."""
    paths = {path.name: path for path in images.find(folder)}
    lines: dict[str, str] = {}
    for where, file, _ in rows:
        if file not in paths:
            raise UserError(f"{where} labels {file or 'no file'}, and there is no picture {folder / file}.")
        if file in lines:
            raise UserError(f"{where} labels {file}, which {lines[file]} labels already.")
        lines[file] = where
    if stray := sorted(paths.keys() - lines.keys()):
        more = f" and {len(stray) - 3} others" if len(stray) > 3 else ""
        have = "have" if len(stray) > 1 else "has"
        raise UserError(f"{', '.join(stray[:3])}{more} in {folder} {have} no row in {table}: add it, or move it away.")
    return [paths[row.file] for row in rows]


def _split(
    root: Path, groups: list[Group], paths: list[Path], answers: list[Answers], tests: list[bool]
) -> LabelledPictures:
    """Part pictures and answers by whether each is for tests, and give the groups all values that occur.

    Where none is for tests, the training pictures are.
    """
    train = [i for i, test in enumerate(tests) if not test]
    halves = {"train": train, "test": [i for i, test in enumerate(tests) if test] or train}
    filled = []
    for group in groups:
        counts = Counter(value for i in train for value in answers[i].get(group.name, ()))
        values = group.values or tuple(sorted({value for each in answers for value in each.get(group.name, ())}))
        if len(values) < 2 and not group.flags:
            raise UserError(f"{root}: {group.name} is {' and '.join(values) or 'unknown'} in all pictures: no choice.")
        for value in values:
            if not counts[value]:
                name = group.name if values == ("yes",) else f"{group.name}={value}"
                raise UserError(f"{root}: not one training picture has {name}. Add some, or take that value out.")
        filled.append(dataclasses.replace(group, values=values))
    source = {half: Source(str(root), [paths[i] for i in rows], _picture) for half, rows in halves.items()}
    parts = {half: [answers[i] for i in rows] for half, rows in halves.items()}
    return LabelledPictures(tuple(filled), source["train"], source["test"], parts["train"], parts["test"])


def _picture(item: Path, least: int) -> np.ndarray:
    return images.read(item, least=least)
