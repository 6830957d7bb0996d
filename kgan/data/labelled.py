"""Pictures with labels: StarGAN. From a table, CelebA's attribute file or class folders; several sets at once."""

import csv
import dataclasses
import hashlib
import io
import math
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kgan import emoji, images
from kgan.data.pictures import Source, first, generator, memory
from kgan.data.reader import Batch, Data, Reader
from kgan.errors import UserError
from kgan.labels import Group, Labels, LabelSet
from kgan.settings import check_choices, choice

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


@dataclasses.dataclass
class Labelled(Data):
    """Batches of pictures, their labels, and labels to be given to them.

    {"image": [B, H, W, 3], "label" and "target": [B, W], "known" and "target_known": [B, C]}, where C counts the values
    of all sets, W also the mask (`kgan.labels`), and what is not known (another set's labels, an empty cell) is 0 in
    all of them. Targets are the labels of one set's pictures in the batch, shuffled, as in the official code.

    Attributes:
      root: "emoji" means the embedded pictures, labelled with their vendor; "emoji:google:twitter" only those.
      sets: one or more.
      turns: with several sets, each batch takes its "rows" from all sets in turn, or "batches" are of one set each, in
        turn, as in the official code.
      label_dropout: share of the groups that a target leaves out while training, though never all of a picture's, so
        that later one may ask for a hair colour alone. Not in the official code.
    """

    sets: tuple[Labelling, ...] = dataclasses.field(default_factory=lambda: (Labelling(),))
    turns: str = choice("rows", "batches")
    label_dropout: float = 0.0

    def open(self, size: int, batch_size: int, batches: int, seed: int) -> "LabelledReader":
        check_choices(self, "data")
        if not 0 <= self.label_dropout < 1:
            raise UserError(f"data.label_dropout must lie between 0 and 1, got {self.label_dropout}.")
        if not self.sets:
            raise UserError("data.sets is empty: it says where the labels stand.")
        if self.turns == "batches" and math.gcd(batches, len(self.sets)) > 1:
            raise UserError(
                f"With data.turns=batches and {batches} batches a step, the last of which is the generator's, it would "
                f"never see some of the {len(self.sets)} sets: set data.turns=rows, or another system.n_critic."
            )
        found = {"pictures": self._embedded()} if self.root.split(":")[0] == "emoji" else self._read()
        return LabelledReader(self, found, size, batch_size, batches, seed)

    def _embedded(self) -> "Found":
        vendors = self.root.split(":")[1:] or list(emoji.VENDORS)
        pictures = {split: [emoji.load(vendor, split) for vendor in vendors] for split in ("train", "test")}
        answers: dict[str, list[Answers]] = {
            split: [{"vendor": (v,)} for v, drawn in zip(vendors, each, strict=True) for _ in drawn]
            for split, each in pictures.items()
        }
        train, test = (memory(self.root, np.concatenate(each)) for each in pictures.values())
        return Found((Group("vendor", tuple(vendors)),), train, test, answers["train"], answers["test"])

    def _read(self) -> "dict[str, Found]":
        if not self.root:
            raise UserError("data.root is not set: it names the folder that holds the pictures.")
        found: dict[str, Found] = {}
        for number, each in enumerate(self.sets):
            check_choices(each, f"data.sets[{number}]")
            name, root = each.folder or "pictures", Path(self.root).expanduser() / each.folder
            if name in found:
                raise UserError(f"data.sets names {name} twice: each set has a folder of its own.")
            found[name] = {"csv": _table, "celeba": _celeba, "folders": _folders}[each.layout](root, each)
        return found


Answers = dict[str, tuple[str, ...]]  # what is known of a picture: by group the value, or which of the flags hold


@dataclasses.dataclass
class Found:
    """A labelled set: its groups, its pictures, and for each of these the answers."""

    groups: tuple[Group, ...]
    train: Source
    test: Source
    train_answers: list[Answers]
    test_answers: list[Answers]


class LabelledReader(Reader):
    """One stream of pictures a set, joined into batches of "image", and the labels that belong to them."""

    def __init__(self, data: Labelled, found: dict[str, Found], *arguments: Any) -> None:
        sets = tuple(LabelSet(name, each.groups) for name, each in found.items())
        self.labels: Labels = Labels(sets, optional=data.label_dropout > 0)
        train = {name: each.train for name, each in found.items()}
        super().__init__(data, train, {name: each.test for name, each in found.items()}, *arguments)
        self.turns, self.dropout = data.turns, data.label_dropout
        self.names = list(found)
        self._vectors = {name: self._label(k, each.train_answers) for k, (name, each) in enumerate(found.items())}
        self._test_vectors = {name: self._label(k, each.test_answers) for k, (name, each) in enumerate(found.items())}

    def _label(self, number: int, answers: list[Answers]) -> tuple[np.ndarray, np.ndarray]:
        """label [N, W] and known [N, C] of set `number`."""
        label, known = np.zeros((2, len(answers), self.labels.classes), np.float32)
        for place in self.labels.places():
            if place.set == number:
                for row, answer in enumerate(answers):
                    if place.group.name in answer:
                        label[row, place.slice] = [v in answer[place.group.name] for v in place.group.values]
                        known[row, place.slice] = 1
        return self.labels.masked(label, number), known

    def _rows(self, name: str, number: int) -> tuple[np.ndarray, int]:
        """Which rows of batch `number` are of a set, bool [B], and how many of its rows came before."""
        own, sets = self.names.index(name), len(self.names)
        if self.turns == "batches":
            return np.full(self.batch_size, number % sets == own), number // sets * self.batch_size
        start = self.position(number)
        return (start + np.arange(self.batch_size)) % sets == own, -(-(start - own) // sets)

    def indices(self, name: str, number: int) -> np.ndarray:
        rows, before = self._rows(name, number)
        return self.orders[name](before, int(rows.sum()))

    def batch(self, number: int) -> Batch:
        size, draws = self.load_size, generator(self.seed, 100, number)
        numbers, pixels = (self.batch_size,), (self.batch_size, size, size, 3)
        batch: Batch = {
            "image": np.empty(numbers, np.int32) if self.handed_over else np.empty(pixels, np.uint8),
            "image_offset": draws.integers(0, size - self.size + 1, (self.batch_size, 2), np.int32),
            "image_flip": draws.integers(0, 2, self.batch_size, np.int32) * np.int32(self.flip),
        }
        batch |= self._empty(self.batch_size)
        for name, pictures in self.train.items():
            rows, chosen = self._rows(name, number)[0], self.indices(name, number)
            if len(chosen):
                batch["image"][rows] = self._before[name] + chosen if self.handed_over else pictures.take(chosen)
                items = np.array(pictures.kept)[chosen]
                label, known = self._vectors[name]
                self._fill(batch, rows, label[items], known[items], draws.permutation(len(chosen)))
        if self.dropout:
            self._drop(batch, draws)
        return batch

    def _empty(self, rows: int) -> Batch:
        widths = {"label": self.labels.width, "known": self.labels.classes}
        widths |= {"target": self.labels.width, "target_known": self.labels.classes}
        return {name: np.zeros((rows, width), np.float32) for name, width in widths.items()}

    def _fill(self, batch: Batch, rows: Any, label: np.ndarray, known: np.ndarray, order: np.ndarray) -> None:
        """The labels of a set's rows, and as targets the same in another order."""
        batch["label"][rows], batch["known"][rows] = label, known
        batch["target"][rows], batch["target_known"][rows] = label[order], known[order]

    def _drop(self, batch: Batch, draws: np.random.Generator) -> None:
        """Leave groups out of targets, though never all that a target has."""
        places = list(self.labels.places())
        dropped = draws.uniform(size=(self.batch_size, len(places))) < self.dropout
        known = np.stack([batch["target_known"][:, place.slice].any(-1) for place in places], -1)
        dropped &= (known & ~dropped).any(-1, keepdims=True)
        for place, out in zip(places, dropped.T, strict=True):
            batch["target"][out, place.slice] = batch["target_known"][out, place.slice] = 0

    def hand_over(self) -> Batch:
        sets = super().hand_over()
        self._before = dict(zip(sets, np.cumsum([0, *map(len, sets.values())]), strict=False))
        return {"image": np.concatenate(list(sets.values()))} if sets else {}

    def prepare(self, batch: dict[str, Any], held: dict[str, Any] | None = None) -> dict[str, Any]:
        labels = {name: batch[name] for name in ("label", "known", "target", "target_known")}
        return {"image": self.cut(batch, held or {}, "image"), **labels}

    def fingerprint(self) -> dict[str, Any]:
        """As of any pictures, and a hash of the labels."""
        found = super().fingerprint()
        for name, (label, known) in self._vectors.items():
            kept = self.train[name].kept
            total = hashlib.sha256(label[kept].tobytes() + known[kept].tobytes())
            found[name]["labels"] = total.hexdigest()[:16]
        return found

    def validation(self, count: int) -> dict[str, np.ndarray]:
        """The first usable test pictures, from all sets in turn; targets are the next picture's of the same set."""
        parts = []
        for k, (name, source) in list(enumerate(self.test.items()))[:count]:
            pictures = first(source, len(range(k, count, len(self.names))), self.size, self.fit)
            items, rows = list(pictures), self._empty(len(pictures))
            label, known = self._test_vectors[name]
            self._fill(rows, ..., label[items], known[items], np.roll(range(len(items)), -1))
            parts.append({"image": images.to_float(np.stack(list(pictures.values()))), **rows})
        turns = sorted((row, k) for k, part in enumerate(parts) for row in range(len(part["image"])))
        return {name: np.stack([parts[k][name][row] for row, k in turns]) for name in parts[0]}


# --- where labels stand ------------------------------------------------------------------------------------------


def _table(root: Path, each: Labelling) -> Found:
    """A CSV file and a folder of pictures."""
    table = root / (each.table or "labels.csv")
    rows = list(_csv(table))
    columns = [name for name in rows[0][1] if name not in ("file", "split")]
    asked = _asked(each, columns, table, lambda name: {row[name] for _, row in rows} <= FLAGS)
    known = [(f"{table}, line {line}", row["file"], _answers(row, asked)) for line, row in rows]
    paths = _pictures(root / each.images, known, table)
    split = [row.get("split") or ("test" if i % 10 == 9 else "train") for i, (_, row) in enumerate(rows)]
    for (where, _, _), word in zip(known, split, strict=True):
        if word not in ("train", "test"):
            raise UserError(f"{where}: split is train or test, not {word!r}.")
    return _split(root, list(asked), paths, [answers for _, _, answers in known], [word == "test" for word in split])


def _csv(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row; a `UserError` where there is none, or one has other columns."""
    rows = csv.reader(_text(table, "a CSV file with a column 'file' and a column a group of labels").splitlines())
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


def _celeba(root: Path, each: Labelling) -> Found:
    """CelebA's attribute file: how many, the names of the attributes, and a line a picture with 1 or -1 for each."""
    table = root / (each.table or "list_attr_celeba.txt")
    lines = [line.split() for line in _text(table, "CelebA's attributes").splitlines()]
    if len(lines) < 3 or lines[0] != [str(len(lines) - 2)]:
        raise UserError(f"{table} should hold the number of its pictures, the attributes' names, and a line a picture.")
    columns = lines[1]
    asked = _asked(each, columns, table, lambda _: True)
    known = []
    for number, (file, *cells) in enumerate(lines[2:], 3):
        if len(cells) != len(columns) or not {"1", "-1"}.issuperset(cells):
            raise UserError(
                f"{table}, line {number}: {file} should have 1 or -1 for each of {len(columns)} attributes."
            )
        row = dict(zip(columns, cells, strict=True))
        known.append((f"{table}, line {number}", file, _answers(row, asked)))
    paths = _pictures(root / each.images, known, table)
    tests = set(_celeba_order(len(known))[: min(CELEBA_TESTS, len(known) // 10)])
    answers = [answers for _, _, answers in known]
    return _split(root, list(asked), paths, answers, [i in tests for i in range(len(known))])


def _celeba_order(count: int) -> list[int]:
    """The rows from whose beginning the official code takes its test pictures."""
    order = list(range(count))
    random.Random(1234).shuffle(order)
    return order


def _folders(root: Path, each: Labelling) -> Found:
    """Folders of pictures, one a class."""
    if not root.is_dir():
        raise UserError(f"There is no folder {root}: a folder of pictures for each class was looked for.")
    halves = [root / "train", root / "test"] if (root / "train").is_dir() else [root]
    names = sorted(path.name for path in halves[0].iterdir() if path.is_dir())
    if len(names) < 2:
        raise UserError(f"{halves[0]} holds {len(names)} folders: at least two classes are needed, each in its folder.")
    group = Group(each.groups[0] if each.groups else "class", tuple(names))
    paths: list[Path] = []
    answers: list[Answers] = []
    tests: list[bool] = []
    for half in halves:
        for name in names:
            found = images.find(half / name)
            if not found:
                raise UserError(f"{half / name} holds no pictures: {', '.join(images.SUFFIXES)} files were looked for.")
            paths += found
            answers += [{group.name: (name,)}] * len(found)
            tests += [half.name == "test" if len(halves) > 1 else i % 10 == 9 for i in range(len(found))]
    return _split(root, [group], paths, answers, tests)


def _text(table: Path, what: str) -> str:
    if not table.is_file():
        raise UserError(f"There is no file {table}: {what} was looked for.")
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{table} is no text in UTF-8: save it as such.") from error


def _asked(
    each: Labelling, columns: list[str], table: Path, is_flag: Callable[[str], bool]
) -> dict[Group, tuple[str, ...]]:
    """The groups asked for, and the columns that each is made of; groups of no flags have no values yet."""
    found: dict[Group, tuple[str, ...]] = {}
    for text in each.groups or tuple(columns):
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
        found[Group(name, values, flags=bool(values))] = named
    if not found:
        raise UserError(f"{table} labels nothing: it has no column beside 'file'.")
    return found


def _answers(row: dict[str, str], asked: dict[Group, tuple[str, ...]]) -> Answers:
    """What a row says of each group, without what it leaves open."""
    found = {}
    for group, columns in asked.items():
        cells = [row[column] for column in columns]
        if all(cells):
            flags = tuple(value for value, cell in zip(group.values, cells, strict=False) if cell == "1")
            found[group.name] = flags if group.flags else (cells[0],)
    return found


def _pictures(folder: Path, known: list[tuple[str, str, Answers]], table: Path) -> list[Path]:
    """The picture of each row; a `UserError` that names a row without picture, or pictures without row."""
    paths = {path.name: path for path in images.find(folder)}
    lines: dict[str, str] = {}
    for where, file, _ in known:
        if file not in paths:
            raise UserError(f"{where} labels {file or 'no file'}, and there is no picture {folder / file}.")
        if file in lines:
            raise UserError(f"{where} labels {file}, which {lines[file]} labels already.")
        lines[file] = where
    if stray := sorted(paths.keys() - lines.keys()):
        more = f" and {len(stray) - 3} others" if len(stray) > 3 else ""
        have = "have" if len(stray) > 1 else "has"
        raise UserError(f"{', '.join(stray[:3])}{more} in {folder} {have} no row in {table}: add it, or move it away.")
    return [paths[file] for _, file, _ in known]


def _split(root: Path, groups: list[Group], paths: list[Path], answers: list[Answers], tests: list[bool]) -> Found:
    """Training and test pictures, and the groups with the values that occur."""
    train = [i for i, held in enumerate(tests) if not held]
    halves = {"train": train, "test": [i for i, held in enumerate(tests) if held] or train}
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
    known = {half: [answers[i] for i in rows] for half, rows in halves.items()}
    return Found(tuple(filled), source["train"], source["test"], known["train"], known["test"])


def _picture(item: Path, least: int) -> np.ndarray:
    return images.read(item, least=least)


# --- some of the pictures, elsewhere -----------------------------------------------------------------------------


def complete(data: Labelled, folder: Path, copies: dict[Path, Path]) -> None:
    """Make copies of some of the pictures in `folder` a root like `data`'s: a test picture is one there too.

    Tables stay as they are where all pictures are there under their names. Else the rows that are left get the names of
    the copies; a CSV file says the split of each; CelebA's rows come in the order in which its rule finds the test
    pictures, of which those beyond a tenth go; class folders are parted into `train` and `test`.

    Args:
      data: whose root holds files.
      folder: where the copies lie as the pictures lie in that root.
      copies: by picture.

    Raises:
      UserError: a table lies outside of its set's folder.
    """
    for each, found in zip(data.sets, data._read().values(), strict=True):
        root, target = Path(data.root).expanduser() / each.folder, folder / each.folder
        train = [path for path in found.train.items if path in copies]
        chosen = set(train)
        test = [path for path in found.test.items if path in copies and path not in chosen]
        pictures = (*found.train.items, *found.test.items)
        whole = all(path in copies and copies[path].name == path.name for path in pictures)
        if each.layout == "folders":
            if not whole and not (root / "train").is_dir():
                _part(target, [copies[path] for path in train], [copies[path] for path in test])
            continue
        table = Path(each.table or ("labels.csv" if each.layout == "csv" else "list_attr_celeba.txt"))
        if table.is_absolute() or ".." in table.parts:
            raise UserError(f"The table {table} does not lie in {root}: move it there, where it can travel with it.")
        (target / table).parent.mkdir(parents=True, exist_ok=True)
        if whole:
            shutil.copyfile(root / table, target / table)
            continue
        rewritten = _csv_of if each.layout == "csv" else _celeba_of
        (target / table).write_text(rewritten(root / table, copies, train, test), encoding="utf-8")


def _csv_of(table: Path, copies: dict[Path, Path], train: list[Path], test: list[Path]) -> str:
    splits = dict.fromkeys([path.name for path in train], "train") | dict.fromkeys([path.name for path in test], "test")
    names = {path.name: copies[path].name for path in (*train, *test)}
    rows = [row for _, row in _csv(table) if row["file"] in names]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]] + ["split"] * ("split" not in rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "file": names[row["file"]], "split": splits[row["file"]]} for row in rows)
    return text.getvalue()


def _celeba_of(table: Path, copies: dict[Path, Path], train: list[Path], test: list[Path]) -> str:
    _, columns, *lines = _text(table, "CelebA's attributes").splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in lines}
    kept = test[: min(CELEBA_TESTS, len(train) // 9)]
    for path in test[len(kept) :]:
        copies.pop(path).unlink()
    order = dict(zip(_celeba_order(len(train) + len(kept)), [*kept, *train], strict=True))
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
