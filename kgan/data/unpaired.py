"""Two folders of pictures that show two domains, nothing matched: CycleGAN and U-GAT-IT."""

from dataclasses import dataclass
from pathlib import Path

from kgan.data.reader import Data, Reader, embedded
from kgan.data.sources import folder


@dataclass
class Unpaired(Data):
    """Batches {"a": [B, H, W, 3], "b": [B, H, W, 3]} of pictures that have nothing to do with each other.

    Attributes:
      root: "emoji:fluent3d:google" means the embedded set, first vendor to second.
      train_a, train_b, test_a, test_b: folders inside `root`; tests feed sample sheets, and may be missing.
    """

    train_a: str = "trainA"
    train_b: str = "trainB"
    test_a: str = "testA"
    test_b: str = "testB"

    def open(self, size: int, batch_size: int, batches: int, seed: int) -> Reader:
        self.check()
        if vendors := self.vendors(2):
            train, test = (
                {name: embedded(vendor, split) for name, vendor in zip("ab", vendors, strict=True)}
                for split in ("train", "test")
            )
        else:
            root, most = Path(self.root).expanduser(), self.max_megapixels
            train = {name: folder(root / path, most) for name, path in (("a", self.train_a), ("b", self.train_b))}
            named = {"a": root / self.test_a, "b": root / self.test_b}
            test = {name: folder(path, most) if path.is_dir() else train[name] for name, path in named.items()}
        return Reader(self, train, test, size, batch_size, batches, seed)
