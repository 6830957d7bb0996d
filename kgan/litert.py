"""The one place that opens `.tflite` files: LiteRT on this machine's processor, through XNNPACK."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgan.errors import UserError
from kgan.quiet import quiet

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


class Model:
    """A `.tflite` file in one interpreter, which calls take in turn: it may be called from several threads.

    Eight threads on two cores got 42 pictures a second so, and 46 from an interpreter each, which takes eight times the
    memory.

    Args:
      file: the path.
      threads: that one call uses; all cores by default.

    Attributes:
      inputs, outputs: LiteRT's descriptions of the tensors: "name", "shape", "index" and others; in "shape_signature",
        -1 stands for any length.

    Raises:
      UserError: it cannot be loaded.
    """

    def __init__(self, file: str | Path, threads: int | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        if not Path(file).is_file():  # a pipe would be waited for
            raise UserError(f"{file} is no file: a .tflite file was looked for.")
        try:
            with quiet():
                # Its bytes: a file that is opened by its path stays mapped, and who writes over it ends the process.
                content, threads = Path(file).read_bytes(), threads or os.cpu_count()
                self._interpreter: Interpreter = Interpreter(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (OSError, ValueError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0].rstrip(".")
            raise UserError(f"{file} cannot be loaded by LiteRT: {reason}.") from error
        self._lock = threading.Lock()
        self.inputs: list[dict[str, Any]] = self._interpreter.get_input_details()
        self.outputs: list[dict[str, Any]] = self._interpreter.get_output_details()

    def __call__(self, arrays: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """The outputs, by index, of inputs by index."""
        with self._lock:
            self._fit(arrays)
            for index, array in arrays.items():
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return {output["index"]: self._interpreter.get_tensor(output["index"]) for output in self.outputs}

    def _fit(self, arrays: Mapping[int, np.ndarray]) -> None:
        """Give inputs of any length the lengths of these arrays."""
        shapes = {tensor["index"]: tuple(tensor["shape"]) for tensor in self._interpreter.get_input_details()}
        others = {index: array.shape for index, array in arrays.items() if array.shape != shapes[index]}
        for index, shape in others.items():
            self._interpreter.resize_tensor_input(index, shape, strict=True)
        if others:
            with quiet():
                self._interpreter.allocate_tensors()

    def named(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of inputs, both by the names of the file's only signature."""
        with self._lock:
            return dict(self._interpreter.get_signature_runner()(**arrays))

    @property
    def signature(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs, by the names of the file's first signature; empty where it has none."""
        if not self._interpreter.get_signature_list():
            return {}
        details = self._interpreter.get_signature_runner().get_input_details()
        return {name: tuple(int(side) for side in tensor["shape"]) for name, tensor in details.items()}

    @property
    def partitions(self) -> int:
        """As `partitions`, of this file."""
        return partitions(self._interpreter)


def partitions(interpreter: Interpreter) -> int:
    """How many pieces of the network XNNPACK runs; between them the interpreter's own kernels run, which are slow."""
    return [operation["op_name"] for operation in interpreter._get_ops_details()].count("DELEGATE")
