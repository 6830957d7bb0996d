"""Keras' settings that kgan relies on, whatever ~/.keras/keras.json or the environment say.

Layers draw channels last, compute in float32 where no policy says otherwise, and divide with an epsilon of 1e-7. They
are set when Keras is first imported with kgan there, or at once where it is there already.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from kgan.errors import UserError

BACKENDS = ("tensorflow", "jax")


def pin() -> None:
    """Set them, now or as soon as Keras is imported."""
    if "keras" in sys.modules:
        _settle(sys.modules["keras"])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds Keras where it lies, and lets it be settled once it is imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        try:
            choose_backend()
            spec = importlib.util.find_spec("keras")
        except UserError:
            sys.meta_path.insert(0, self)  # for the next who asks
            raise
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_settle(module: ModuleType) -> None:
                execute(module)
                _settle(module)

            spec.loader.exec_module = execute_and_settle  # type: ignore[method-assign]
        return spec


def _settle(keras: ModuleType) -> None:
    if not hasattr(keras, "config"):  # it is just being imported, before kgan was
        return
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


def choose_backend() -> None:
    """Leave Keras with a backend that is there: what KERAS_BACKEND says, else keras.json, else TensorFlow.

    Raises:
      UserError: KERAS_BACKEND asks for one that is unknown or not installed; keras.json holds what Keras refuses.
    """
    wish = os.environ.get("KERAS_BACKEND")
    if wish:
        if wish not in (*BACKENDS, "torch", "numpy", "openvino"):
            raise UserError(f"KERAS_BACKEND={wish} is unknown: set it to {' or '.join(BACKENDS)}, or unset it.")
        if importlib.util.find_spec(wish) is None:
            remedy = "pip install 'kgan[jax]'" if wish == "jax" else "set it to tensorflow or jax"
            raise UserError(f"KERAS_BACKEND asks for {wish}, which is not installed: {remedy}, or unset it.")
    settings = _keras_json()
    backend = settings.get("backend", "tensorflow")
    if not wish and (backend not in BACKENDS or importlib.util.find_spec(backend) is None):
        os.environ["KERAS_BACKEND"] = "tensorflow"


def _keras_json() -> dict[str, object]:
    """What Keras reads from its file of settings; a `UserError` where it would raise."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    path = Path(home, "keras.json").expanduser()
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}  # Keras passes over it too
    known = {
        "floatx": lambda value: value in ("float16", "float32", "float64"),
        "epsilon": lambda value: isinstance(value, float),
        "image_data_format": lambda value: value in ("channels_last", "channels_first"),
        "backend": lambda value: isinstance(value, str),
    }
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no settings of Keras, which reads it at its start: mend or remove it.")
    for name, check in known.items():
        if name in settings and not check(settings[name]):
            raise UserError(f"{path}: Keras knows no {name} of {settings[name]!r}. Mend or remove this file.")
    return settings
