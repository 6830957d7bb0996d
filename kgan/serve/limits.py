"""What a server takes."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server takes.

    Attributes:
      megabytes: of a body, unpacked too; room: of all bodies together, in megabytes.
      megapixels: of the pictures of a request.
      inside: requests that are computed or wait for it; more are refused.
      seconds: that a body, and then the answer to it, may take; 30, as TensorFlow Serving's REST gives.
    """

    megabytes: float = 20.0
    room: float = 200.0
    megapixels: float = 25.0
    inside: int = 128
    seconds: float = 30.0


USUAL = Limits()
