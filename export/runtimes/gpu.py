"""LiteRT's GPU delegate, ML Drift, over Vulkan. A driver in software will do, such as SwiftShader inside Chromium.

SwiftShader computes in float32; a phone's GPU usually takes float16, which this lane does not show.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kgan.export.runtimes import Absent, Inputs, processes

CHROMIUM = Path("/usr/lib/chromium")  # of Debian's package
DRIVER = "vk_swiftshader_icd.json"
VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")  # by which a driver of one's own is named


def run(file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """As of a `Runtime`."""
    return processes.run("gpu", file, inputs, environment=environment())


def environment() -> dict[str, str]:
    """The variables that lead to the driver: one that the user names, else SwiftShader."""
    if any(os.environ.get(name) for name in VARIABLES):
        return {}
    driver = CHROMIUM / DRIVER
    if not driver.is_file():
        raise Absent(
            f"there is no Vulkan driver in software: Debian's package chromium brings {driver}, and another one can be "
            "named in VK_ICD_FILENAMES"
        )
    libraries = os.pathsep.join(filter(None, (str(CHROMIUM), os.environ.get("LD_LIBRARY_PATH"))))
    return {VARIABLES[1]: str(driver), "LD_LIBRARY_PATH": libraries}
