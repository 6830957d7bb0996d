"""What another Python runs: python guest.py RUNTIME FILE INPUTS.npz PICTURES.npy.

That Python has NumPy and one runtime, and no kgan: this file imports nothing else. INPUTS holds arrays [N, ...] by the
names of the file's inputs, PICTURES gets float32 [N, H, W, 3].
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

UNREADABLE = 3  # the exit code where the runtime does not read such files at all

Rows = list[dict[str, np.ndarray]]  # inputs of a picture each, by name, [1, ...]


def litert(file: str, rows: Rows) -> Iterator[np.ndarray]:
    """LiteRT's interpreter, with XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(file, num_threads=1)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    for row in rows:
        yield runner(**row)["image"]


def gpu(file: str, rows: Rows) -> Iterator[np.ndarray]:
    """LiteRT's GPU delegate alone: what it cannot run is an error, and never done by the processor in its stead."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    model = CompiledModel.from_file(file, HardwareAccelerator.GPU)
    if not model.is_fully_accelerated():
        raise SystemExit("a part of the network is left to the processor")
    signature = model.get_signature_by_index(0)
    buffers, results = model.create_input_buffers(0), model.create_output_buffers(0)
    shape = model.get_output_tensor_details(signature["key"])["image"]["shape"]
    for row in rows:
        for name, buffer in zip(signature["inputs"], buffers, strict=True):
            buffer.write(row[name])
        model.run_by_index(0, buffers, results)
        yield results[0].read(int(np.prod(shape)), np.float32).reshape(shape)


def openvino(file: str, rows: Rows) -> Iterator[np.ndarray]:
    """OpenVINO on the processor, in float32 where the file is."""
    from openvino import Core

    core = Core()
    try:
        network = core.read_model(file)  # 2026.4 reads nothing that ai-edge-quantizer wrote
    except RuntimeError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(UNREADABLE)
    model: Any = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for row in rows:
        places = {name: next(each for each in model.inputs if name in each.any_name) for name in row}
        yield model({places[name]: array for name, array in row.items()})[model.outputs[0]]


def main(runtime: str, file: str, inputs: str, pictures: str) -> None:
    with np.load(inputs) as archive:
        arrays = {name: archive[name] for name in archive.files}
    count = len(next(iter(arrays.values())))
    rows = [{name: array[i : i + 1] for name, array in arrays.items()} for i in range(count)]
    run = {"litert": litert, "gpu": gpu, "openvino": openvino}[runtime]
    np.save(pictures, np.concatenate(list(run(file, rows))))


if __name__ == "__main__":
    main(*sys.argv[1:])
