"""What every command does alike: parse absl flags, run, and turn a user's mistake into one line and exit code 2."""

from __future__ import annotations

import ast
import csv
import dataclasses
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar

from absl import app, flags
from ml_collections import config_flags

from kgan.errors import Remark, UserError
from kgan.interrupts import INTERRUPTED, Stopped, orderly
from kgan.quiet import lasting_streams, only_python
from kgan.settings import at_home, misspelt, nearest

T = TypeVar("T")

flags.disclaim_key_flags()  # those that `shared` defines belong to the command that calls it

_FULL = "The disk is full: {} could not be written. Free space and start again."
_REFUSED = "{} may not be read or written here: name another place."
_ERRORS = {
    errno.EFBIG: "{} became larger than this disk or a limit (ulimit -f) allows.",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _REFUSED),
}


def shared(define: Callable[..., flags.FlagHolder[T]], name: str, text: str) -> flags.FlagHolder[T]:
    """Define a flag, `define` being absl's function for its type, whose name other commands use too.

    A process runs one command, but tests import several, and the flag that was defined last is then everyone's: so
    none has a default of its own.
    """
    return define(name, None, text, allow_override=True)


class _Path(flags.ArgumentParser):
    """A path, in which ~ is the home folder."""

    def parse(self, argument: str) -> str:
        return at_home(argument)


class _Paths(flags.ArgumentParser):
    """Paths that are separated by commas: see `split_paths`."""

    def parse(self, argument: str | list[str]) -> list[str]:
        return split_paths(argument) if isinstance(argument, str) else argument


class _Config(flags.ArgumentParser):
    """The experiment that a config file makes."""

    def parse(self, argument: str) -> Any:
        return experiment(Path(argument))


def DEFINE_path(name: str, default: str | None, text: str, **options: Any) -> flags.FlagHolder[str]:
    """Define a flag for a file or a folder."""
    return flags.DEFINE(_Path(), name, default, text, serializer=flags.ArgumentSerializer(), **options)


def DEFINE_paths(name: str, default: list[str] | None, text: str, **options: Any) -> flags.FlagHolder[list[str]]:
    """Define a flag for files or folders, separated by commas."""
    return flags.DEFINE(_Paths(), name, default, text, serializer=flags.ListSerializer(","), **options)


def DEFINE_config(name: str, default: str | None, text: str, **options: Any) -> flags.FlagHolder[Any]:
    """Define a flag for a config file, whose settings are flags too."""
    holder = config_flags.DEFINE_config_file(name, default, text, **options)
    flags.FLAGS[name].parser = _Config()
    return holder


def split_paths(text: str) -> list[str]:
    """The paths in a list; a comma belongs to a name where such a file is there, or in quotes: a.keras,"b,c.keras"."""
    if '"' in text:
        return [at_home(path) for path in next(csv.reader([text], skipinitialspace=True))]
    parts, paths = text.split(",") if text else [], []
    while parts:
        longer = [at_home(",".join(parts[:count]).strip()) for count in range(len(parts), 1, -1)]
        path = next((each for each in longer if os.path.lexists(each)), at_home(parts[0].strip()))
        parts = parts[len(parts) - longer.index(path) if path in longer else 1 :]
        paths.append(path)
    return paths


def require(*required: flags.FlagHolder[Any]) -> None:
    """A `UserError` about the first of these flags that is missing or empty."""
    for flag in required:
        if not flag.value:
            raise UserError(f"--{flag.name}=... is missing. --help explains it.")


def refuse(where: str, *unfit: flags.FlagHolder[Any]) -> None:
    """A `UserError` about the first of these flags that was given, which has no effect `where`, in words."""
    for flag in unfit:
        if flag.present:
            raise UserError(f"--{flag.name} has no effect {where}: leave it out.")


def run(main: Callable[[], None], argv: Sequence[str] | None = None) -> None:
    """Parse `argv` (default: the process's) into absl's flags, then call `main` and exit with its status."""

    def guarded(rest: list[str]) -> None:
        if len(rest) > 1:
            fail(f"'{rest[1]}' was not understood: options are written --name=value. --help lists them.")
        try:
            main()
        except UserError as error:
            fail(str(error))
        except KeyboardInterrupt:
            print(f"\n{INTERRUPTED}", file=sys.stderr)
            raise SystemExit(130) from None
        except OSError as error:
            if (sentence := of_the_system(error)) is None:
                raise
            fail(sentence)

    warnings.formatwarning = _sentence
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged files, which kgan names itself
    with lasting_streams(), only_python(), orderly():
        app.run(guarded, argv=list(argv) if argv is not None else None, flags_parser=parse)


_formatted = warnings.formatwarning


def _sentence(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning as it is printed: of a `Remark` the sentence alone."""
    if issubclass(category, Remark):
        return f"kgan: {message}\n"
    return _formatted(message, category, filename, lineno, line)


def of_the_system(error: OSError) -> str | None:
    """The sentence about a file or a disk that the system refuses; None for what else an `OSError` can be."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
    if error.errno in _ERRORS:
        return _ERRORS[error.errno].format(name or "a file")
    return f"{name}: {error.strerror}." if name and error.errno is not None else None


def parse(argv: list[str]) -> list[str]:
    """absl's parser with its errors in one line, and `--help` in our words; --config may name an installed config."""
    if not {"--help", "-help", "-h", "-?"}.isdisjoint(argv):
        print(usage())
        raise SystemExit(0)
    try:
        argv = with_config_path(argv)
        return flags.FLAGS(argv)
    except (flags.Error, UserError) as error:
        fail(" ".join(str(error).split()))
    except (AttributeError, KeyError, IndexError, ValueError):  # ml_collections' for a field that is not there
        unknown = unknown_setting(argv)
        if unknown is None:
            raise
        fail(unknown)


def experiment(path: Path) -> Any:
    """What get_config() of a config file returns; ends the process with a sentence where that is no experiment.

    A config may import its neighbours: its folder is the last that modules are looked for in.
    """
    folder = str(path.absolute().parent)
    sys.path += [folder] if folder not in sys.path else []
    module = sys.modules["kgan_config"] = ModuleType("kgan_config")
    module.__file__ = str(path)
    try:
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)
        get_config = getattr(module, "get_config", None)
        config = get_config() if callable(get_config) else None
    except UserError as error:
        fail(str(error))
    except (KeyboardInterrupt, Stopped):
        raise
    except BaseException as error:  # whatever a user's code raises is the user's to mend
        fail(f"{_place(error, path)}: {' '.join(f'{type(error).__name__}: {error}'.split())}")
    if not callable(get_config):
        fail(f"{path} has no function get_config(), which returns the experiment: see kgan's own configs.")
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        fail(f"{path}: get_config() returned {type(config).__name__}, and a kgan.training.Config is wanted.")
    if stray := misspelt(config):
        fail(f"{path}{_assigned(path, stray[0])}: there is no setting {stray[0]}. {stray[1]}")
    return config


def _place(error: BaseException, path: Path) -> str:
    """'config.py, line 3', for an error that passed through a config or its neighbour."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    folder = path.absolute().parent
    frames = [each for each in traceback.extract_tb(error.__traceback__) if _is_in(folder, each.filename)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else str(path)


def _is_in(folder: Path, file: str) -> bool:
    return Path(file).absolute().parent == folder


def _assigned(path: Path, setting: str) -> str:
    """', line 3', where a config sets the last name of a setting's path; nothing where it is set elsewhere."""
    name = setting.rpartition(".")[2]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Store):
            return f", line {node.lineno}"
    return ""


def usage() -> str:
    """What `--help` prints: the docstring of the module that runs, and its flags."""
    described = flags.FLAGS.module_help(sys.argv[0]).strip().partition("\n")[2]  # below the module's own name
    return f"{(sys.modules['__main__'].__doc__ or '').strip()}\n\nOptions:\n{described}"


def with_config_path(argv: list[str]) -> list[str]:
    """`argv` with --config=ugatit_emoji, where that is no file, turned into the path of the installed config."""
    argv = list(argv)
    for place, argument in enumerate(argv):
        if argument == "--config" and place + 1 < len(argv):
            argument = f"--config={argv.pop(place + 1)}"
        if argument.startswith("--config="):
            argv[place] = f"--config={config_path(argument.partition('=')[2])}"
    return argv


def config_path(name: str) -> Path:
    """The config file `name`, or the installed one of this bare name; a `UserError` where there is neither."""
    path = Path(at_home(name))
    if path.is_file():
        return path
    folder = Path(str(resources.files("kgan.configs")))
    installed = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    if name not in installed:
        raise UserError(f"--config={name} is neither a file nor one of kgan's own: {', '.join(installed)}.")
    return folder / f"{name}.py"


def unknown_setting(argv: list[str]) -> str | None:
    """The sentence about the first --config.a.b in `argv` that names no field of the config; None where all do."""
    options = [argument.partition("=") for argument in argv]
    config = next((value for name, _, value in options if name == "--config"), "")
    for path in (name for name, _, _ in options if name.startswith("--config.")):
        settings = flags.FLAGS["config"].parser.parse(config)
        for part in path.removeprefix("--config.").split("."):
            field, _, index = part.rstrip("]").partition("[")
            fields = list(getattr(settings, "__dataclass_fields__", ()))
            if field not in fields:
                return f"There is no setting {path}: '{field}' is unknown. {nearest(field, fields)}"
            settings = getattr(settings, field)
            if index and not (index.isdigit() and int(index) < len(settings)):
                return f"There is no setting {path}: {field} has {len(settings)} entries, and the first is {field}[0]."
            settings = settings[int(index)] if index else settings
    return None


def fail(message: str) -> NoReturn:
    """Print `kgan: message` and exit with 2."""
    print(f"kgan: {message}", file=sys.stderr)
    raise SystemExit(2)
