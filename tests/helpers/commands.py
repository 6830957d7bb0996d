"""Commands of kgan run in the process of the tests: another would take seconds to start an engine."""

from __future__ import annotations

from types import ModuleType

import pytest
from absl import flags
from absl.testing import flagsaver

from kgan import commands
from kgan.__main__ import MODULES


def status(command: ModuleType, *arguments: str) -> int:
    """The exit status of a command with these arguments; flags are what they were, then."""
    (name,) = (name for name, module in MODULES.items() if module == command.__name__)
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
        flags.FLAGS.unparse_flags()
        commands.run(command.main, [f"kgan {name}", *arguments])
    return int(stopped.value.code or 0)
