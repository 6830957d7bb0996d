"""Names for what has no class of its own, the same everywhere."""

from __future__ import annotations

from typing import Any, TypeAlias

Tensor: TypeAlias = Any  # of whichever engine runs, or symbolic while a network is built
Batch: TypeAlias = dict[str, Any]  # by name [B, ...]: numpy arrays on the host, tensors inside a step
Shape: TypeAlias = tuple[Any, ...]  # each side an int, or None for any length
