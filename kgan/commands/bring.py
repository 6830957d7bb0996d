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
from kgan.commands import DEFINE_path, shared
from kgan.errors import UserError

WORKDIR = shared(DEFINE_path, "workdir", "The run's folder, there or at home.")
OUTPUT = shared(DEFINE_path, "output", "The folder of the pieces to write.")
INPUT = shared(DEFINE_path, "input", "The folder of the pieces to put together.")
PIECE = flags.DEFINE_float("piece_mb", 16.0, "What a piece may take, in millions of bytes.", lower_bound=0.001)


def main() -> None:
    commands.require(WORKDIR)
    if bool(OUTPUT.value) == bool(INPUT.value):
        raise UserError("bring needs --output there, or --input at home; --help shows both.")
    from kgan.carry.pieces import cut, join

    print(join(INPUT.value, WORKDIR.value) if INPUT.value else cut(WORKDIR.value, OUTPUT.value, PIECE.value))


if __name__ == "__main__":
    commands.run(main)
