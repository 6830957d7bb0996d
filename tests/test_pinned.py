"""What Keras' file of settings and the environment ask for changes nothing of what kgan computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kgan import pinned
from kgan.errors import UserError

SETTINGS = {"floatx": "float16", "epsilon": 0.5, "backend": "torch", "image_data_format": "channels_first"}
SHOW = "print(c.floatx(), c.epsilon(), c.image_data_format(), keras.backend.backend())"


@pytest.mark.parametrize(
    "code",
    [
        f"import kgan.layers, keras; c = keras.config; {SHOW}",
        f"import os; os.environ['KERAS_BACKEND'] = 'tensorflow'; import keras, kgan; c = keras.config; {SHOW}",
    ],
)
def test_settings_of_the_machine_are_not_heeded(tmp_path: Path, code: str) -> None:
    (tmp_path / "keras.json").write_text(json.dumps(SETTINGS))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path)}
    environment.pop("KERAS_BACKEND", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "float32 1e-07 channels_last tensorflow\n", done.stderr[-2000:]


@pytest.mark.parametrize("backend", ["torch", "numpie"])
def test_a_backend_that_is_not_there_is_one_line(backend: str, tmp_path: Path) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend}
    options = ["--config=cyclegan_emoji", f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(
        [sys.executable, "-m", "kgan", "train", *options], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.startswith("kgan: KERAS_BACKEND") and done.stderr.count("\n") == 1
    assert backend in done.stderr and "unset it" in done.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"floatx": "bfloat16"}, "Keras knows no floatx of 'bfloat16'"),
        ({"epsilon": 1}, "Keras knows no epsilon of 1"),
        ({"image_data_format": None}, "Keras knows no image_data_format of None"),
        ({"backend": ["jax"]}, "Keras knows no backend of"),
        ([], "holds no settings of Keras"),
    ],
)
def test_settings_that_keras_refuses_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, sentence: str
) -> None:
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    with pytest.raises(UserError, match=sentence):
        pinned.choose_backend()


@pytest.mark.parametrize("text", ["", "{", "\x00"])
def test_a_file_that_is_no_json_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "keras.json").write_text(text)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    pinned.choose_backend()
    assert "KERAS_BACKEND" not in os.environ
