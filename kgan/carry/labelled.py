"""Copies of some pictures of a labelled set, as a set whose training and test pictures are the same ones."""

import csv
import io
import shutil
from pathlib import Path

from kgan.data.labelling import CELEBA_TESTS, Labelling, celeba_order, csv_rows, read, text_of
from kgan.errors import UserError


def complete(root: Path, each: Labelling, folder: Path, copies: dict[Path, Path]) -> None:
    """Make copies of some of the pictures in `folder` a set like that in `root`: a test picture is one there too.

    Tables stay as they are where all pictures are there under their names. Else the rows that are left get the names of
    the copies; a CSV file says the split of each; CelebA's rows come in the order in which its rule finds the test
    pictures, of which those beyond a tenth go; class folders are parted into `train` and `test`.

    Args:
      root: of the set, which holds files.
      each: where its labels stand.
      folder: where the copies lie as the pictures lie in `root`.
      copies: by picture.

    Raises:
      UserError: the table lies outside of `root`.
    """
    found = read(root, each)
    train = [path for path in found.train.items if path in copies]
    chosen = set(train)
    test = [path for path in found.test.items if path in copies and path not in chosen]
    pictures = (*found.train.items, *found.test.items)
    whole = all(path in copies and copies[path].name == path.name for path in pictures)
    if each.layout == "folders":
        if not whole and not (root / "train").is_dir():
            _part(folder, [copies[path] for path in train], [copies[path] for path in test])
        return
    table = Path(each.table or ("labels.csv" if each.layout == "csv" else "list_attr_celeba.txt"))
    if table.is_absolute() or ".." in table.parts:
        raise UserError(f"The table {table} does not lie in {root}: move it there, where it can travel with it.")
    (folder / table).parent.mkdir(parents=True, exist_ok=True)
    if whole:
        shutil.copyfile(root / table, folder / table)
        return
    rewritten = _csv_of if each.layout == "csv" else _celeba_of
    (folder / table).write_text(rewritten(root / table, copies, train, test), encoding="utf-8")


def _csv_of(table: Path, copies: dict[Path, Path], train: list[Path], test: list[Path]) -> str:
    splits = dict.fromkeys([path.name for path in train], "train") | dict.fromkeys([path.name for path in test], "test")
    names = {path.name: copies[path].name for path in (*train, *test)}
    rows = [row for _, row in csv_rows(table) if row["file"] in names]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]] + ["split"] * ("split" not in rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "file": names[row["file"]], "split": splits[row["file"]]} for row in rows)
    return text.getvalue()


def _celeba_of(table: Path, copies: dict[Path, Path], train: list[Path], test: list[Path]) -> str:
    _, columns, *lines = text_of(table, "CelebA's attributes").splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in lines}
    kept = test[: min(CELEBA_TESTS, len(train) // 9)]
    for path in test[len(kept) :]:
        copies.pop(path).unlink()
    order = dict(zip(celeba_order(len(train) + len(kept)), [*kept, *train], strict=True))
    rows = [" ".join([copies[path].name, *cells[path.name]]) for _, path in sorted(order.items())]
    return "\n".join([str(len(rows)), columns, *rows, ""])


def _part(root: Path, train: list[Path], test: list[Path]) -> None:
    """Class folders into `train` and `test`, where a class without test pictures shows its first training picture."""
    first = {copy.parent: copy for copy in reversed(train)}
    test = [*test, *(first[folder] for folder in first.keys() - {copy.parent for copy in test})]
    for half, copies in (("test", test), ("train", train)):
        for copy in copies:
            place = root / half / copy.parent.name / copy.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copy, place)
    for folder in {copy.parent for copy in (*train, *test)}:
        shutil.rmtree(folder)
