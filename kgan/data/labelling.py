"""Pictures and their labels as they lie in a folder: a table, CelebA's attribute file, or class folders."""

import csv
import dataclasses
import io
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from kgan.data.sources import Source
from kgan.errors import UserError
from kgan.labels import Group
from kgan.pictures import folders, images
from kgan.settings import choice

CELEBA_TESTS = 1999  # as many as the official code keeps back
FLAGS = {"1", "0", "-1", ""}  # there, not there in two spellings, not known
# What tables call the column of the files, where none is called "file".
FILE_COLUMNS = (
    *(
        "filename",
        "file_name",
        "file name",
        "filepath",
        "file_path",
        "path",
        "image",
        "image_id",
        "imageid",
        "image id",
    ),
    *("image_name", "image_path", "image_file", "img", "img_name", "img_path", "picture", "photo"),
)
# What pandas reads as unknown.
UNKNOWN = {
    *("", "nan", "NaN", "-nan", "-NaN", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NULL", "null", "None"),
    *("1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}
WHOLE = re.compile(r"([+-]?)0*(\d+)(?:\.0*)?")  # a whole number, perhaps with the zeros that pandas puts behind it
ENOUGH = 20  # rows, of which no two have the same, before a column is said to hold no labels


@dataclasses.dataclass
class Labelling:
    """One collection of pictures and where its labels stand.

    Attributes:
      folder: inside the data's root; "" is the root itself. It names the set.
      layout:
        "csv": `table` has a column `file` (or `filename`, `image_id` and the like), which may name folders inside
          `images`, and a column a group; a cell that is empty or what pandas reads as unknown (nan, N/A) is unknown.
          A column of nothing but 1 and 0 or -1 is a flag. A column `split` says train or test; without it every tenth
          row is a test picture. A column without a name that counts the rows, as pandas writes, is left out.
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


def read(root: Path, labelling: Labelling, most: float = images.MEGAPIXELS) -> LabelledPictures:
    """The collection in the folder `root`; a `UserError` that names what is not as `labelling` says.

    A picture may have `most` megapixels.
    """
    pictures = {"csv": _table, "celeba": _celeba, "folders": _folders}[labelling.layout](root, labelling)

    def picture(item: Path, least: int) -> np.ndarray:
        return images.read(item, least=least, most=most)

    pictures.train.read = pictures.test.read = picture
    return pictures


def _table(root: Path, labelling: Labelling) -> LabelledPictures:
    """A CSV file and a folder of pictures."""
    table = root / (labelling.table or "labels.csv")
    lines = list(csv_rows(table))
    columns = [name for name in lines[0][1] if name not in ("file", "split")]
    groups = _groups(labelling, columns, table, lambda name: _not_flag(lines, name))
    _check_columns(table, lines, {column for each in groups.values() for column in each}, bool(labelling.groups))
    rows = [Row(f"{table}, line {line}", cells["file"], _answers(cells, groups)) for line, cells in lines]
    paths, listings = paths_of(root / labelling.images, rows, table)
    if "split" in lines[0][1]:
        split = [cells["split"].lower() for _, cells in lines]
    else:
        split = ["test" if i % 10 == 9 else "train" for i in range(len(lines))]
    for row, word in zip(rows, split, strict=True):
        if word not in ("train", "test"):
            raise UserError(f"{row.where}, column split: it is train or test, not {word!r}.")
    tests = [word == "test" for word in split]
    return _split(root, list(groups), paths, [row.answers for row in rows], tests, listings)


def csv_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row, the files in the column "file", what is unknown empty, 1.0 as 1.

    Columns without a name that count the rows or are empty are left out.

    Raises:
      UserError: there are no rows, no column of files, two columns of one name, or a row has other columns.
    """
    text = text_of(table, "a CSV file with a column 'file' and a column a group of labels")
    first = text.partition("\n")[0]
    delimiter = next((each for each in ",;\t" if each in first), ",")
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        header = [cell.strip() for cell in next(rows, [])]
        body = [(rows.line_num, [cell.strip() for cell in cells]) for cells in rows if any(map(str.strip, cells))]
    except csv.Error as error:
        raise UserError(f"{table} cannot be read as a table: {error}.") from error
    names = _named(table, header)
    if not body:
        raise UserError(f"{table} has a header and no rows: each picture needs one.")
    for line, cells in body:
        if len(cells) != len(header):
            raise UserError(f"{table}, line {line}: {len(cells)} cells, and there are {len(header)} columns.")
    columns = {name: _column([cells[place] for _, cells in body], name) for place, name in enumerate(names)}
    for place, name in enumerate(names):
        if name.startswith("\0"):
            cells = columns.pop(name)
            counts = all(map(str.isdigit, cells)) and [int(cell) - int(cells[0]) for cell in cells] == [
                *range(len(cells))
            ]
            if any(cells) and not counts:
                raise UserError(f"{table}, line 1: column {place + 1} has no name. Give it one, or take it out.")
    for number, (line, _) in enumerate(body):
        yield line, {name: cells[number] for name, cells in columns.items()}


def _named(table: Path, header: list[str]) -> list[str]:
    """The columns' names: that of the files is "file", and those without one begin with a zero character."""
    lower = [name.lower() for name in header]
    file = "file" if "file" in header else next((name for name in ("file", *FILE_COLUMNS) if name in lower), None)
    if file is None:
        raise UserError(
            f"{table} has no column 'file': its columns are {', '.join(header) or 'none'}. Name the one that holds the "
            "pictures' names so."
        )
    place = header.index("file") if "file" in header else lower.index(file)
    names = []
    for number, name in enumerate(header):
        unnamed = not name or re.fullmatch(r"Unnamed: \d+", name)
        names.append("file" if number == place else f"\0{number}" if unnamed else name)
    names = ["split" if name.lower() == "split" else name for name in names]
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{table}, line 1: {count} columns are called {name!r}. Give each a name of its own.")
    return names


def _column(cells: list[str], name: str) -> list[str]:
    """A column's cells, what is unknown as empty, and whole numbers without the zeros behind the point."""
    if name == "file":
        return cells
    cells = ["" if cell in UNKNOWN else cell for cell in cells]
    numbers = [WHOLE.fullmatch(cell) for cell in cells if cell]
    if any("." in cell for cell in cells) and all(numbers):
        cells = [WHOLE.sub(lambda match: match[1].removeprefix("+") + match[2], cell) for cell in cells]
        cells = ["0" if cell == "-0" else cell for cell in cells]
    return cells


def _not_flag(lines: list[tuple[int, dict[str, str]]], column: str) -> str:
    """Where a column holds more than flags: the line and the cell; empty where it holds nothing else."""
    return next((f"line {line}: {cells[column]!r}" for line, cells in lines if cells[column] not in FLAGS), "")


def _check_columns(table: Path, lines: list[tuple[int, dict[str, str]]], used: set[str], chosen: bool) -> None:
    """A `UserError` about a column that was hardly meant as labels; `chosen` where the user named the columns."""
    for column in sorted(used):
        cells = [row[column] for _, row in lines]
        filled = [cell for cell in cells if cell]
        odd = _not_flag(lines, column)
        if odd and {"0", "1"} <= set(filled) and not all(WHOLE.fullmatch(cell) for cell in filled):
            raise UserError(
                f"{table}, column {column}, {odd} is no flag, where others are 1 or 0. Mend it, or leave it empty."
            )
        if not chosen and len(filled) >= ENOUGH and len(set(filled)) == len(filled):
            raise UserError(
                f"{table}, column {column}: each of its {len(filled)} cells is another, so that it labels nothing. "
                "Take it out, or name the columns that are labels, in the first of several sets by "
                "--config.data.sets[0].groups=\"('hair',)\"."
            )


def _celeba(root: Path, labelling: Labelling) -> LabelledPictures:
    """CelebA's attribute file: how many, the names of the attributes, and a line a picture with 1 or -1 for each."""
    table = root / (labelling.table or "list_attr_celeba.txt")
    lines = [line.split() for line in text_of(table, "CelebA's attributes").splitlines()]
    if len(lines) < 3 or lines[0] != [str(len(lines) - 2)]:
        raise UserError(f"{table} should hold the number of its pictures, the attributes' names, and a line a picture.")
    columns = lines[1]
    groups = _groups(labelling, columns, table, lambda _: "")
    rows = []
    for number, (file, *cells) in enumerate(lines[2:], 3):
        if len(cells) != len(columns) or not {"1", "-1"}.issuperset(cells):
            raise UserError(
                f"{table}, line {number}: {file} should have 1 or -1 for each of {len(columns)} attributes."
            )
        answers = _answers(dict(zip(columns, cells, strict=True)), groups)
        rows.append(Row(f"{table}, line {number}", file, answers))
    paths, listings = paths_of(root / labelling.images, rows, table)
    tests = set(celeba_order(len(rows))[: min(CELEBA_TESTS, len(rows) // 10)])
    held = [i in tests for i in range(len(rows))]
    return _split(root, list(groups), paths, [row.answers for row in rows], held, listings)


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
    names = [path.name for path in folders.subfolders(halves[0])]
    if len(names) < 2:
        raise UserError(
            f"{halves[0]} holds {folders.counted(len(names), 'folder')}: at least two classes are needed, "
            "each in its folder."
        )
    group = Group(labelling.groups[0] if labelling.groups else "class", tuple(names))
    paths: list[Path] = []
    answers: list[Answers] = []
    tests: list[bool] = []
    listings: list[folders.Listing] = []
    for half in halves:
        beside = folders.look(half)
        others = {kind: files for kind, files in beside.others.items() if kind != "folder"}
        if beside.pictures:
            others["picture outside of the class folders"] = [path.name for path in beside.pictures]
        if strange := sorted({path.name for path in folders.subfolders(half)} - set(names)):
            others[f"folder of no class in {halves[0].name}"] = strange
        listings.append(folders.Listing(half, [], others))
        for name in names:
            listings.append(folders.look(half / name))
            pictures = listings[-1].pictures
            if not pictures:
                raise listings[-1].none()
            paths += pictures
            answers += [{group.name: (name,)}] * len(pictures)
            tests += [half.name == "test" if len(halves) > 1 else i % 10 == 9 for i in range(len(pictures))]
    return _split(root, [group], paths, answers, tests, listings)


def text_of(table: Path, what: str) -> str:
    """The text of a file; a `UserError` that says `what` was looked for where it is missing, or is no UTF-8."""
    if not table.is_file():
        raise UserError(f"There is no file {table}: {what} was looked for.")
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{table} is no text in UTF-8: save it as such.") from error


def _groups(
    labelling: Labelling, columns: list[str], table: Path, not_flag: Callable[[str], str]
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
            if equals and not_flag(column):
                raise UserError(
                    f"{table}: the column {column} is no flag, since it holds more than 1 and 0 or -1; "
                    f"{not_flag(column)}."
                )
        values = named if equals else () if not_flag(name) else ("yes",)
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


def paths_of(folder: Path, rows: list[Row], table: Path) -> tuple[list[Path], list[folders.Listing]]:
    """The picture of each row, and the listings of the folders that hold them.

    A row names a picture's path below `folder`, or as much of its end as no other picture has, with or without suffix.

    Raises:
      UserError: a row without picture, or with several; a picture without row in a folder that holds others.
    """
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder}: it should hold the pictures that {table} names. Another folder, for "
            "the first of several sets: --config.data.sets[0].images=NAME, or . for the table's own."
        )
    listings = list(folders.tree(folder))
    ends: dict[str, list[Path]] = {}  # the pictures by every end of their paths
    for path in (path for listing in listings for path in listing.pictures):
        parts = (folder.name, *path.relative_to(folder).parts)
        for start in range(len(parts)):
            end = PurePosixPath(*parts[start:])
            for name in {str(end), str(end.with_suffix(""))}:
                ends.setdefault(name, []).append(path)
    paths: list[Path] = []
    lines: dict[Path, str] = {}
    for where, file, _ in rows:
        name = str(PurePosixPath(file.replace("\\", "/")))
        exact = folder / name
        candidates = [exact] if exact in ends.get(exact.name, ()) else ends.get(name, [])
        if not file or not candidates:
            raise UserError(f"{where} labels {file or 'no file'}, and there is no picture {folder / file}.")
        if len(candidates) > 1:
            raise UserError(f"{where} labels {file}, which may be {candidates[0]} or {candidates[1]}: name its folder.")
        (path,) = candidates
        if path in lines:
            raise UserError(f"{where} labels {file}, which {lines[path]} labels already.")
        lines[path] = where
        paths.append(path)
    used = {path.parent for path in paths}
    listings = [listing for listing in listings if listing.folder in used]
    if stray := [str(path.relative_to(folder)) for each in listings for path in each.pictures if path not in lines]:
        more = f" and {len(stray) - 3} others" if len(stray) > 3 else ""
        have = "have" if len(stray) > 1 else "has"
        raise UserError(f"{', '.join(stray[:3])}{more} in {folder} {have} no row in {table}: add it, or move it away.")
    for listing in listings:  # folders whose pictures are used are not left out
        names = [
            name
            for name in listing.others.get("folder", ())
            if not any((listing.folder / name) in (p, *p.parents) for p in used)
        ]
        listing.others.pop("folder", None)
        if names:
            listing.others["folder"] = names
    return paths, listings


def _split(
    root: Path,
    groups: list[Group],
    paths: list[Path],
    answers: list[Answers],
    tests: list[bool],
    listings: list[folders.Listing],
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
    source = {
        half: Source(str(root), [paths[i] for i in rows], lambda item, least: images.read(item, least=least))
        for half, rows in halves.items()
    }
    source["train"].listings = listings
    parts = {half: [answers[i] for i in rows] for half, rows in halves.items()}
    return LabelledPictures(tuple(filled), source["train"], source["test"], parts["train"], parts["test"])
