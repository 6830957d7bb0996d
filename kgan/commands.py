"""What every command does alike: parse absl flags, run, and turn a user's mistake into one line and exit code 2."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags

from kgan.errors import UserError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported: its start-up notes are not ours


def run(main: Callable[[], None], argv: Sequence[str] | None = None) -> None:
    """Parse `argv` (default: the process's) into absl's flags, then call `main` and exit with its status."""

    def guarded(rest: list[str]) -> None:
        if len(rest) > 1:
            fail(f"'{rest[1]}' was not understood: options are written --name=value. --help lists them.")
        try:
            main()
        except UserError as error:
            fail(str(error))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            fail(f"The disk is full: {error.filename or 'a file'} could not be written. Free some space and start again.")

    app.run(guarded, argv=list(argv) if argv is not None else None, flags_parser=parse)


def parse(argv: list[str]) -> list[str]:
    """absl's parser with its errors in one line; `--help` prints the module's docstring and flags."""
    try:
        return flags.FLAGS(argv)
    except (flags.Error, UserError) as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Print `kgan: message` and exit with 2."""
    print(f"kgan: {message}", file=sys.stderr)
    raise SystemExit(2)
