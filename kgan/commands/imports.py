"""Bring a generator that you have: checkpoints of the official PyTorch and TensorFlow code become filters.

  kgan import --from=latest_net_G_A.pth --output=generator.keras
  kgan import --from=selfie2anime_params_latest.pt --output=anime.keras
  kgan import --from=200000-G.ckpt --labels=Black_Hair,Blond_Hair,Brown_Hair,Male,Young --output=faces.keras
  kgan import --from=latest_net_G_A.pth,latest_net_G_B.pth,latest_net_D_A.pth,latest_net_D_B.pth --workdir=runs/zebra

Neither PyTorch nor the official code is needed, and nothing in a file is executed. The kind of checkpoint shows in the
names and shapes of its tensors; --as overrides that. Known are CycleGAN and pix2pix (pytorch-CycleGAN-and-pix2pix),
U-GAT-IT (UGATIT-pytorch and taki0112/UGATIT) and StarGAN (yunjey/stargan), as .pth, .pt and .ckpt of any version of
PyTorch since 0.2, as .safetensors, and as TensorFlow 1's .index with .data. Every tensor must have its place, and every
place its tensor. docs/importing.md says more.

--output gets the generator, which `kgan translate`, `kgan export` and `kgan.load` take as any other. Of a checkpoint
with two, that is the one from a to b, and the other lies beside it: generator_ba.keras. --workdir gets a run with all
networks of a checkpoint, and Adam's averages where it has them, which `kgan train` goes on with.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from kgan import commands
from kgan.commands import DEFINE_path, DEFINE_paths, shared
from kgan.errors import UserError
from kgan.labels import Group, Labels, LabelSet

FROM = shared(DEFINE_paths, "from", "Files that you have, separated by commas.")
OUTPUT = shared(DEFINE_path, "output", "Where to write: a .keras file, with its .json card beside it.")
AS = flags.DEFINE_string("as", "", "The kind of checkpoint, where it is not recognized; a wrong word lists them all.")
LABELS = flags.DEFINE_multi_string(
    "labels",
    [],
    "What StarGAN's labels are called, in their order: Male,Young for one number each, hair=black|blond|brown for "
    "several of which one is chosen. Give it again for each further data set.",
)
WORKDIR = shared(DEFINE_path, "workdir", "Where the run lies, or will: checkpoints, generators, logs, samples.")
SIZE = shared(flags.DEFINE_integer, "size", "Side in pixels of its pictures, where not as published.")
EVAL = flags.DEFINE_bool(
    "eval", False, "pix2pix and StarGAN: use the training's averages of norms at test, as PyTorch's eval mode does."
)
DROPOUT = flags.DEFINE_bool("dropout", False, "pix2pix: drop out at test too, as its official test does, at random.")


def labels_of(texts: list[str]) -> Labels | None:
    """The labels that --labels names, a set for each time that it is given; None where it is not given.

    Raises:
      UserError: a name is empty, or there twice.
    """
    sets = []
    for number, text in enumerate(texts):
        groups = []
        for part in text.split(","):
            name, equals, values = (word.strip() for word in part.partition("="))
            answers = tuple(word.strip() for word in values.split("|")) if equals else ("yes",)
            groups.append(Group(name, answers, flags=True))
        names = [group.name for group in groups]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"--labels names {twice} twice.")
        sets.append(LabelSet(f"set{number + 1}", tuple(groups)))
    return Labels(tuple(sets), optional=True) if sets else None


def main() -> None:
    commands.require(FROM)
    if not (OUTPUT.value or WORKDIR.value):
        raise UserError("--output=generator.keras, or --workdir=FOLDER to train on, is missing. --help explains both.")
    if OUTPUT.value and Path(OUTPUT.value).suffix != ".keras":
        raise UserError(f"--output={OUTPUT.value} should end in .keras: that is what is written.")
    from kgan.importing import filters, recognize, runs  # here: --help must not wait for an engine
    from kgan.importing.sources import Wishes

    origin = ", ".join(Path(each).name for each in FROM.value)
    if len(FROM.value) == 1 and Path(FROM.value[0]).suffix in filters.KERAS and OUTPUT.value:
        commands.refuse("on a Keras model, which is copied as it is", WORKDIR, LABELS, SIZE, EVAL, DROPOUT, AS)
        print(f"{origin} is a Keras model: wrote {filters.copy(FROM.value[0], OUTPUT.value)}.")
        return
    wishes = Wishes(labels_of(LABELS.value), SIZE.value or 0, EVAL.value, DROPOUT.value)
    source = recognize.open_checkpoint(FROM.value, wishes, AS.value)
    print(f"{origin}: {source.title}.")
    for network in source.networks:
        print(f"  {network.attribute}: {network.title}, {len(network.table)} tensors.")
    if left := source.networks[0].tensors.optimizers:
        print(f"  {left} tensors of an optimizer are left out.")
    if WORKDIR.value:
        path = runs.write(source, WORKDIR.value, origin)
        print(f"Wrote {path}. {runs.remark(source, WORKDIR.value)}")
    if OUTPUT.value:
        paths = filters.write(source, OUTPUT.value, origin)
        print(f"Wrote {' and '.join(map(str, paths))}.{filters.remark(source)}", flush=True)


if __name__ == "__main__":
    commands.run(main)
