"""Copies of some pictures of a labelled set, as a set whose training and test pictures are the same ones."""

import csv
import io
import shutil
from pathlib import Path

from kgan.data.labelling import CELEBA_TESTS, Labelling, celeba_order, csv_rows, read, text_of
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
      copies: by picture.

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
    (folder / table).write_text(rows_of(root / table, copies, train, test), encoding="utf-8")


def _csv_of(table: Path, copies: dict[Path, Path], train: list[Path], test: list[Path]) -> str:
    """The table with the rows of these pictures alone, under the names of their copies, each with its split."""
    splits = dict.fromkeys([path.name for path in train], "train") | dict.fromkeys([path.name for path in test], "test")
    names = {path.name: copies[path].name for path in (*train, *test)}
    rows = [row for _, row in csv_rows(table) if row["file"] in names]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]] + ["split"] * ("split" not in rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "file": names[row["file"]], "split": splits[row["file"]]} for row in rows)
    return text.getvalue()


def _celeba_of(table: Path, copies: dict[Path, Path], train: list[Path], test: list[Path]) -> str:
    """CelebA's file with the rows of these pictures alone, in an order of which its rule takes the same for tests.

    Copies of test pictures that are too many for the rule are removed.
    """
    _, columns, *lines = text_of(table, "CelebA's attributes").splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in lines}
    tests = test[: min(CELEBA_TESTS, len(train) // 9)]
    for path in test[len(tests) :]:
        copies.pop(path).unlink()
    order = dict(zip(celeba_order(len(train) + len(tests)), [*tests, *train], strict=True))
    rows = [" ".join([copies[path].name, *cells[path.name]]) for _, path in sorted(order.items())]
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
