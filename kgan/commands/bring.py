"""Bring a run home from another machine, in files of a size that can pass.

  kgan bring --workdir=run --output=pieces --piece_mb=16
  kgan bring --input=pieces --workdir=runs/faces

The first, there, writes the newest checkpoint, the filters with their cards, the log and the last sample sheet as
pieces/run.000, run.001 and so on, with their checksums in run.json; given again, it replaces them. Together the pieces
are a tar. The second, at home, checks all of them before it puts the files into the run's folder, the checkpoint last:
the run there can go on at every moment. It refuses where another run lies there, or one that has come further.
"""

from __future__ import annotations

from absl import flags

from kgan import commands
from kgan.quiet import quiet

# Other commands have flags of the same names; a process runs one command, but tests import several.
_WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder, there or at home.", allow_override=True)
_OUTPUT = flags.DEFINE_string("output", None, "The folder of the pieces to write.", allow_override=True)
_INPUT = flags.DEFINE_string("input", None, "The folder of the pieces to put together.", allow_override=True)
_PIECE = flags.DEFINE_float("piece_mb", 16.0, "What a piece may take, in millions of bytes.", lower_bound=0.001)


def main() -> None:
    if _WORKDIR.value is None or (_OUTPUT.value is None) == (_INPUT.value is None):
        commands.fail("bring needs --workdir, and there --output, or at home --input; --help shows both.")
    with quiet():
        from kgan.carry.pieces import cut, join
    print(join(_INPUT.value, _WORKDIR.value) if _INPUT.value else cut(_WORKDIR.value, _OUTPUT.value, _PIECE.value))


if __name__ == "__main__":
    commands.run(main)
