"""Pictures for training, by how they are organized; each kind is a dataclass of settings that opens a reader."""

from kgan.data.labelled import Labelled
from kgan.data.labelling import Labelling
from kgan.data.paired import Paired
from kgan.data.reader import Data, Reader
from kgan.data.unlabelled import Unlabelled
from kgan.data.unpaired import Unpaired

__all__ = ["Data", "Labelled", "Labelling", "Paired", "Reader", "Unlabelled", "Unpaired"]
