"""The console script: `kgan train …` is `python -m kgan train …` is `python -m kgan.commands.train …`."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import runpy
import sys
from pathlib import Path

from kgan import __version__
from kgan.interrupts import orderly
from kgan.quiet import open_streams

MODULES = {
    "train": "kgan.commands.train",
    "pack": "kgan.commands.pack",
    "bring": "kgan.commands.bring",
    "translate": "kgan.commands.translate",
    "generate": "kgan.commands.generate",
    "evaluate": "kgan.commands.evaluate",
    "weights": "kgan.commands.weights",
    "export": "kgan.commands.export",
    "verify": "kgan.commands.verify",
    "benchmark": "kgan.commands.benchmark",
    "import": "kgan.commands.imports",
    "demo": "kgan.commands.demo",
    "serve": "kgan.commands.serve",
}
PYTHONS = ((3, 11), (3, 12))


def main() -> None:
    """Run the command that the first argument names, with the others as its own."""
    open_streams()
    with orderly():
        run()


def run() -> None:
    """Do what `main` does; signals are handled."""
    from kgan import commands  # here: a signal during the import is handled too

    if sys.version_info[:2] not in PYTHONS:
        commands.fail(f"kgan needs Python 3.11 or 3.12; this is Python {sys.version.split()[0]}.")
    command = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if command in ("--help", "-h", "help"):
        print(overview())
    elif command == "--version":
        print(f"kgan {__version__}")
    elif command in MODULES:
        del sys.argv[1]
        runpy.run_module(MODULES[command], run_name="__main__", alter_sys=True)
    else:
        near = difflib.get_close_matches(command, MODULES, 1)
        hint = f"Did you mean {near[0]}?" if near else f"The commands are {', '.join(MODULES)}."
        commands.fail(f"There is no command '{command}'. {hint}")


def overview() -> str:
    """What `kgan --help` prints."""
    lines = [f"  {command:<10} {summary(module)}" for command, module in MODULES.items()]
    return "\n".join(
        [
            f"kgan {__version__}: from two folders of pictures to a verified photo filter.",
            "",
            *lines,
            "",
            "kgan COMMAND --help explains a command and its options.",
        ]
    )


def summary(module: str) -> str:
    """The first line of a command's docstring, read without importing what the command imports."""
    package, _, name = module.rpartition(".")
    spec = importlib.util.find_spec(package)  # imports at most kgan.commands
    assert spec is not None and spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0], f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


if __name__ == "__main__":
    main()
