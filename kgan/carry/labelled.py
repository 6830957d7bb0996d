"""Copies of some pictures of a labelled set, as a set whose training and test pictures are the same ones."""

import csv
import io
import shutil
from pathlib import Path

from kgan.data.labelling import CELEBA_TESTS, Labelling, Row, celeba_order, csv_rows, paths_of, read, text_of
from kgan.errors import UserError


def complete(root: Path, labelling: Labelling, folder: Path, copies: dict[Path, Path]) -> None:
    """Make copies of some of the pictures in `folder` a set like that in `root`: a test picture is one there too.

    Tables stay as they are where all pictures are there under their names. Else the rows that are left get the names of
    the copies; a CSV file says the split of each; CelebA's rows come in the order in which its rule finds the test
    pictures, of which those beyond a tenth go; class folders are parted into `train` and `test`.

    Args:
      root: of the set, which holds files.
      labelling: where its labels stand.
      folder: where the copies lie as the pictures lie in `root`.
      copies: by picture, those of other sets too.

    Raises:
      UserError: the table lies outside of `root`.
    """
    pictures = read(root, labelling)
    train = [path for path in pictures.train.items if path in copies]
    trained = set(train)
    test = [path for path in pictures.test.items if path in copies and path not in trained]
    every = (*pictures.train.items, *pictures.test.items)
    whole = all(path in copies and copies[path].name == path.name for path in every)
    if labelling.layout == "folders":
        if not whole and not (root / "train").is_dir():
            _part(folder, [copies[path] for path in train], [copies[path] for path in test])
        return
    table = Path(labelling.table or ("labels.csv" if labelling.layout == "csv" else "list_attr_celeba.txt"))
    if table.is_absolute() or ".." in table.parts:
        raise UserError(f"The table {table} does not lie in {root}: move it there, where it can travel with it.")
    (folder / table).parent.mkdir(parents=True, exist_ok=True)
    if whole:
        shutil.copyfile(root / table, folder / table)
        return
    rows_of = _csv_of if labelling.layout == "csv" else _celeba_of
    place = folder / labelling.images
    named = {path: path.relative_to(place).as_posix() for path in copies.values() if path.is_relative_to(place)}
    rows = rows_of(root / table, root / labelling.images, copies, train, test, named)
    (folder / table).write_text(rows, encoding="utf-8")


def _csv_of(
    table: Path,
    images: Path,
    copies: dict[Path, Path],
    train: list[Path],
    test: list[Path],
    named: dict[Path, str],
) -> str:
    """The table with the rows of these pictures alone, under the names of their copies, each with its split."""
    splits = dict.fromkeys(train, "train") | dict.fromkeys(test, "test")
    lines = [row for _, row in csv_rows(table)]
    paths = _pictures(images, [row["file"] for row in lines], table)
    kept = [(row, path) for row, path in zip(lines, paths, strict=True) if path in splits]
    rows = [row for row, _ in kept]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]] + ["split"] * ("split" not in rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "file": named[copies[path]], "split": splits[path]} for row, path in kept)
    return text.getvalue()


def _pictures(images: Path, files: list[str], table: Path) -> list[Path]:
    """The pictures in the folder `images` that rows of a table name."""
    return paths_of(images, [Row(str(table), file, {}) for file in files], table)[0]


def _celeba_of(
    table: Path,
    images: Path,
    copies: dict[Path, Path],
    train: list[Path],
    test: list[Path],
    named: dict[Path, str],
) -> str:
    """CelebA's file with the rows of these pictures alone, in an order of which its rule takes the same for tests.

    Copies of test pictures that are too many for the rule are removed.
    """
    _, columns, *lines = text_of(table, "CelebA's attributes").splitlines()
    files = [line.split() for line in lines]
    paths = _pictures(images, [file for file, *_ in files], table)
    cells = {path: values for path, (_, *values) in zip(paths, files, strict=True)}
    tests = test[: min(CELEBA_TESTS, len(train) // 9)]
    for path in test[len(tests) :]:
        copies.pop(path).unlink()
    order = dict(zip(celeba_order(len(train) + len(tests)), [*tests, *train], strict=True))
    rows = [" ".join([named[copies[path]], *cells[path]]) for _, path in sorted(order.items())]
    return "\n".join([str(len(rows)), columns, *rows, ""])


def _part(root: Path, train: list[Path], test: list[Path]) -> None:
    """Part class folders into `train` and `test`; a class without test pictures gets its first training picture."""
    first = {copy.parent: copy for copy in reversed(train)}
    test = [*test, *(first[folder] for folder in first.keys() - {copy.parent for copy in test})]
    for half, copies in (("test", test), ("train", train)):
        for copy in copies:
            place = root / half / copy.parent.name / copy.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copy, place)
    for folder in {copy.parent for copy in (*train, *test)}:
        shutil.rmtree(folder)
