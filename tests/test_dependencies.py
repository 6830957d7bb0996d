"""Who imports whom, read from the source: the direction that keeps a system readable without its engine."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"kgan": "kgan", "export": "kgan.export", "configs": "kgan.configs"}

GROUND = {
    "kgan",
    "errors",
    "files",
    "interrupts",
    "labels",
    "litert",
    "memory",
    "pinned",
    "precision",
    "quiet",
    "settings",
    "state_dict",
    "types",
}  # everything may import these
# What each part imports beside the ground, no more and no less: parts further down import parts further up.
IMPORTS = {
    "kgan": {"filters"},  # when its `load` is called
    "errors": set(),
    "files": set(),
    "interrupts": set(),
    "labels": set(),
    "litert": set(),
    "memory": set(),
    "precision": set(),
    "pinned": set(),
    "quiet": set(),
    "settings": set(),
    "state_dict": set(),
    "types": set(),
    "engine": set(),
    "layers": set(),
    "pictures": set(),
    "pretrained": set(),
    "augmentation": set(),
    "optimizers": set(),
    "losses": {"engine"},
    "blocks": {"layers"},
    "networks": {"blocks", "layers"},
    "students": {"blocks", "layers", "networks"},
    "metrics": {"pretrained"},
    "data": {"pictures"},
    "filters": {"layers", "pictures"},
    "serve": {"filters", "pictures"},
    "export": {"filters", "layers", "pictures"},
    "evaluation": {"data", "engine", "filters", "metrics", "pictures", "pretrained"},
    "systems": {
        *("augmentation", "blocks", "engine", "filters", "layers", "losses", "networks", "optimizers", "pretrained"),
        "students",
    },
    "training": {"data", "engine", "filters", "layers", "metrics", "pictures", "pretrained", "systems"},
    "importing": {"filters", "layers", "systems", "training"},
    "configs": {"data", "systems", "training"},
    "carry": {"data", "filters", "pictures", "pretrained", "training"},
}
COMMANDS = {"__main__", "commands"}  # these may import everything

TENSORFLOW_AT_IMPORT = {"engine", "export"}
TENSORFLOW_LATER = TENSORFLOW_AT_IMPORT | {"filters", "importing", "serve"}
NEVER = {"tensorflow_addons", "tensorflow_model_optimization", "tf_keras"}


class Import(NamedTuple):
    """One import: the module it stands in, what it names, and whether importing the first imports the second."""

    source: str
    target: str
    at_import: bool


def modules() -> dict[str, ast.Module]:
    """All modules under the names that they are installed as."""
    trees = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *parts]).removesuffix(".__init__")
            trees[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return trees


MODULES = modules()


def imports() -> list[Import]:
    return [each for name, tree in MODULES.items() for each in walk(name, tree, at_import=True)]


def walk(module: str, node: ast.AST, at_import: bool) -> Iterator[Import]:
    """The imports below `node`, but not those for type checkers only, which run nothing."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(module, alias.name, at_import)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module} imports relatively: write kgan.{child.module or ''}"
            assert child.module is not None
            for alias in child.names:
                name = f"{child.module}.{alias.name}"
                yield Import(module, name if name in MODULES else child.module, at_import)
        yield from walk(module, child, at_import and not isinstance(child, ast.FunctionDef | ast.Lambda))


def part(module: str) -> str:
    """kgan.layers.attention is of the part "layers"."""
    return module.removeprefix("kgan.").partition(".")[0]


def test_every_part_imports_just_what_the_table_says() -> None:
    table: dict[str, set[str]] = {part(module): set() for module in MODULES if part(module) not in COMMANDS}
    for each in imports():
        source, target = part(each.source), part(each.target)
        if each.target.partition(".")[0] == "kgan" and source in table and target not in GROUND | {source}:
            table[source].add(target)
    assert table == IMPORTS, "a new part or import gets its place in IMPORTS, one that is gone leaves it"


def test_the_table_has_a_direction() -> None:
    """No circle: each part imports only those that stand before it."""
    before: set[str] = set()
    for name, targets in list(IMPORTS.items())[1:]:
        assert targets <= before, f"{name} imports {targets - before}, which stand after it"
        before.add(name)


def test_the_ground_is_imported_in_one_direction_too() -> None:
    edges = {
        (part(each.source), part(each.target))
        for each in imports()
        if part(each.source) in GROUND and each.target.partition(".")[0] == "kgan"
    }
    to_errors = {(name, "errors") for name in ("files", "labels", "litert", "pinned", "settings", "state_dict")}
    others = {("kgan", "filters"), ("kgan", "pinned")}
    assert edges - others == to_errors | {("litert", "quiet"), ("precision", "types")}


def test_only_commands_import_export_and_configs() -> None:
    for each in imports():
        if part(each.target) in ("export", "configs"):
            assert part(each.source) in COMMANDS | {part(each.target)}, each


@pytest.mark.parametrize("folder", [*FOLDERS, "tests", "benchmarks"])
def test_export_and_configs_are_imported_as_installed(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"export", "configs"}, path


def test_engines_stay_where_they_belong() -> None:
    for each in imports():
        package, where = each.target.partition(".")[0], part(each.source)
        assert package not in NEVER, each
        if package in ("jax", "jaxlib"):
            assert where == "engine", each
        if package == "tensorflow":
            assert where in (TENSORFLOW_AT_IMPORT if each.at_import else TENSORFLOW_LATER), each


def defines_flags(tree: ast.Module) -> bool:
    names = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)]
    return any(name.rpartition(".")[2].startswith("DEFINE_") for name in names)


def test_flags_stand_beside_a_main_only() -> None:
    for name, tree in MODULES.items():
        if name != "kgan.commands" and defines_flags(tree):  # which has the kinds of flags
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert part(name) in COMMANDS and "main" in functions, f"{name} defines flags"


def test_configs_reach_no_module_that_defines_flags() -> None:
    edges: dict[str, set[str]] = {}
    for each in imports():
        edges.setdefault(each.source, set()).add(each.target)
    seen, todo = set(), [name for name in MODULES if part(name) == "configs"]
    while todo:
        name = todo.pop()
        if name in MODULES and name not in seen:
            seen.add(name)
            todo += edges.get(name, set())
    assert "kgan.training.config" in seen
    assert not [name for name in seen if defines_flags(MODULES[name])]


def test_importing_the_foundations_starts_no_engine() -> None:
    """`kgan --help` and a filter from a .tflite must not wait for TensorFlow."""
    code = (
        "import sys, kgan.__main__\n"
        "from kgan.filters import card, included, loading, photos\n"
        "from kgan.pictures import emoji, faces, film, images, tiling\n"
        "print(sorted({'tensorflow', 'keras', 'jax'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
