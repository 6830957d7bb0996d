"""A folder of pictures and nothing else: StyleGAN."""

from dataclasses import dataclass
from pathlib import Path

from kgan.data.reader import Data, Reader, embedded
from kgan.data.sources import folder


@dataclass
class Unlabelled(Data):
    """Batches {"image": [B, H, W, 3]}.

    Attributes:
      root: "emoji:fluent3d" means the embedded set, drawn by that vendor.
      enlarge: not at all, as StyleGAN's official code: a generator would learn the crops.
      train, test: folders inside `root`, "" for itself. Without a test folder the training pictures feed sheets and
        measures, as is usual for generators.
    """

    enlarge: float = 1.0
    train: str = ""
    test: str = "test"

    def open(self, size: int, batch_size: int, batches: int, seed: int) -> Reader:
        self.check()
        if vendors := self.vendors(1):
            train, test = (embedded(vendors[0], split) for split in ("train", "test"))
        else:
            root = Path(self.root).expanduser()
            train = folder(root / self.train, self.max_megapixels)
            test = folder(root / self.test, self.max_megapixels) if (root / self.test).is_dir() else train
        return Reader(self, {"image": train}, {"image": test}, size, batch_size, batches, seed)
