"""What every command does alike: parse absl flags, run, and turn a user's mistake into one line and exit code 2."""

from __future__ import annotations

import difflib
import errno
import io
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from absl import app, flags

from kgan.errors import Remark, UserError
from kgan.quiet import only_python

T = TypeVar("T")

flags.disclaim_key_flags()  # those that `shared` defines belong to the command that calls it


def shared(define: Callable[..., flags.FlagHolder[T]], name: str, text: str) -> flags.FlagHolder[T]:
    """Define a flag, `define` being absl's function for its type, whose name other commands use too.

    A process runs one command, but tests import several, and the flag that was defined last is then everyone's: so
    none has a default of its own.
    """
    return define(name, None, text, allow_override=True)


def require(*required: flags.FlagHolder[Any]) -> None:
    """A `UserError` about the first of these flags that is missing or empty."""
    for flag in required:
        if not flag.value:
            raise UserError(f"--{flag.name}=... is missing. --help explains it.")


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
            print("\nkgan: interrupted.", file=sys.stderr)
            raise SystemExit(130) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            fail(f"The disk is full: {error.filename or 'a file'} could not be written. Free space and start again.")

    warnings.formatwarning = _sentence
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged files, which kgan names itself
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    with only_python():
        app.run(guarded, argv=list(argv) if argv is not None else None, flags_parser=parse)


_formatted = warnings.formatwarning


def _sentence(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning as it is printed: of a `Remark` the sentence alone."""
    if issubclass(category, Remark):
        return f"kgan: {message}\n"
    return _formatted(message, category, filename, lineno, line)


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
    except ModuleNotFoundError as error:
        if error.name not in ("jax", "jaxlib", "tensorflow"):
            raise
        fail(f"KERAS_BACKEND asks for {error.name}, which is not installed: pip install 'kgan[jax]', or unset it.")
    except (AttributeError, KeyError, IndexError):  # ml_collections' for a misspelt field
        unknown = unknown_setting(argv)
        if unknown is None:
            raise
        fail(unknown)


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
    if Path(name).is_file():
        return Path(name)
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
                near = difflib.get_close_matches(field, fields, 1)
                hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(fields) or 'none below it'}."
                return f"There is no setting {path}: '{field}' is unknown. {hint}"
            settings = getattr(settings, field)
            if index and not (index.isdigit() and int(index) < len(settings)):
                return f"There is no setting {path}: {field} has {len(settings)} entries, and the first is {field}[0]."
            settings = settings[int(index)] if index else settings
    return None


def fail(message: str) -> NoReturn:
    """Print `kgan: message` and exit with 2."""
    print(f"kgan: {message}", file=sys.stderr)
    raise SystemExit(2)
