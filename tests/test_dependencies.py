"""Who may import whom, read from the source: the direction that keeps a system readable without its engine.

images, engine, losses, layers -> blocks -> systems, data -> training -> the commands
"""

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

# What each part of kgan may import of kgan. "kgan" is its __init__, which is cheap. A new part needs a new line here.
BASICS = {"errors", "files", "settings", "precision", "quiet", "tiling"}
MAY_IMPORT = {
    "kgan": {"loading"},
    "errors": set(),
    "files": {"errors"},
    "precision": set(),
    "quiet": set(),
    "tiling": set(),
    "settings": {"errors"},
    "commands": {"errors", "quiet"},
    "images": BASICS,
    "engine": BASICS,
    "layers": BASICS,
    "losses": BASICS | {"engine"},
    "optimizers": BASICS | {"engine"},
    "labels": {"errors"},
    "augmentation": set(),
    "card": BASICS | {"images", "labels"},
    "emoji": BASICS | {"images"},
    "faces": BASICS | {"images"},
    "logs": BASICS | {"images"},
    "checkpoint": BASICS,
    "filters": set(),
    "loading": BASICS | {"images", "layers", "card", "filters"},
    "generators": BASICS | {"layers", "card", "filters"},
    "metrics": BASICS,
    "evaluation": BASICS | {"filters", "images", "engine", "card", "loading", "generators", "metrics", "data"},
    "validation": BASICS | {"images", "card", "engine", "metrics"},
    "blocks": BASICS | {"layers", "losses"},
    "networks": BASICS | {"layers", "blocks"},
    "pool": BASICS | {"engine"},
    "systems": BASICS
    | {"engine", "layers", "losses", "optimizers", "blocks", "networks", "pool", "labels"}
    | {"augmentation", "metrics"},
    "data": BASICS | {"images", "emoji", "engine", "labels"},
    "training": BASICS
    | {"kgan", "images", "card", "logs", "engine", "layers", "losses", "optimizers", "checkpoint", "systems", "data"}
    | {"validation"},
    "configs": {"systems", "data", "training"},
    "export": BASICS | {"kgan", "images", "layers", "card", "loading", "generators"},
}
# These may import everything.
COMMANDS = {"__main__", "train", "pack", "bring", "translate", "generate", "evaluate", "demo", "export.__main__"}

TENSORFLOW_AT_IMPORT = {"engine", "export"}
TENSORFLOW_LATER = TENSORFLOW_AT_IMPORT | {"loading"}
NEVER = {"tensorflow_addons", "tensorflow_model_optimization", "tf_keras"}


class Import(NamedTuple):
    """One import: the module it stands in, what it names, and whether importing the first imports the second."""

    source: str
    target: str
    at_import: bool


def modules() -> dict[str, ast.Module]:
    """All modules under the names that they are installed as."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *parts]).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = modules()


def imports() -> list[Import]:
    return [found for name, tree in MODULES.items() for found in walk(name, tree, at_import=True)]


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
    """kgan.layers.attention is of the part "layers"; a command is a part of its own."""
    name = module.removeprefix("kgan.")
    return name if name in COMMANDS else name.partition(".")[0]


def test_every_part_stands_in_the_table() -> None:
    unknown = {part(module) for module in MODULES} - MAY_IMPORT.keys() - COMMANDS
    assert not unknown, f"say in MAY_IMPORT what {unknown} may import, or add it to COMMANDS"


def test_the_table_itself_has_a_direction() -> None:
    """No circle: parts can be put in an order in which each imports only earlier ones."""
    left = {name: set(targets) - {name} for name, targets in MAY_IMPORT.items()}
    left["kgan"] = set()  # it imports `loading` only when called
    while left:
        free = {name for name, targets in left.items() if not targets & left.keys()}
        assert free, f"a circle among {sorted(left)}"
        left = {name: targets for name, targets in left.items() if name not in free}


def test_imports_follow_the_direction() -> None:
    wrong = [
        f"{found.source} imports {found.target}"
        for found in imports()
        if found.target.partition(".")[0] == "kgan"
        and part(found.source) not in COMMANDS
        and part(found.target) not in MAY_IMPORT[part(found.source)] | {part(found.source)}
    ]
    assert not wrong, "\n".join(wrong)


def test_only_commands_import_export_and_configs() -> None:
    for found in imports():
        if part(found.target) in ("export", "configs"):
            assert part(found.source) in COMMANDS | {part(found.target)}, found


@pytest.mark.parametrize("folder", [*FOLDERS, "tests", "benchmarks"])
def test_export_and_configs_are_imported_as_installed(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"export", "configs"}, path


def test_engines_stay_where_they_belong() -> None:
    for found in imports():
        package, where = found.target.partition(".")[0], part(found.source).removesuffix(".__main__")
        assert package not in NEVER, found
        if package in ("jax", "jaxlib"):
            assert where == "engine", found
        if package == "tensorflow":
            assert where in (TENSORFLOW_AT_IMPORT if found.at_import else TENSORFLOW_LATER), found


def defines_flags(tree: ast.Module) -> bool:
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(".DEFINE_" in call or call.startswith("DEFINE_") for call in calls)


def test_flags_stand_beside_a_main_only() -> None:
    for name, tree in MODULES.items():
        if defines_flags(tree):
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert part(name) in COMMANDS and "main" in functions, f"{name} defines flags"


def test_configs_reach_no_module_that_defines_flags() -> None:
    edges: dict[str, set[str]] = {}
    for found in imports():
        edges.setdefault(found.source, set()).add(found.target)
    seen, todo = set(), [name for name in MODULES if part(name) == "configs"]
    while todo:
        name = todo.pop()
        if name in MODULES and name not in seen:
            seen.add(name)
            todo += edges.get(name, set())
    assert "kgan.training" in seen
    assert not [name for name in seen if defines_flags(MODULES[name])]


def test_importing_the_foundations_starts_no_engine() -> None:
    """`kgan --help` and a filter from a .tflite must not wait for TensorFlow."""
    code = (
        "import sys, kgan, kgan.card, kgan.commands, kgan.emoji, kgan.faces, kgan.images, kgan.loading, kgan.__main__\n"
        "print(sorted({'tensorflow', 'keras', 'jax'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
