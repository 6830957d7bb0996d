"""Servers under test, which listen on loopback, at ports that are free; and models for them."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import tensorflow as tf
import uvicorn

from kgan.interrupts import Abandoned, go_on
from kgan.serve import running
from kgan.serve.app import Server
from kgan.serve.signatures import Arrays

FILTER = "onesided_selfie2anime"


def write_half_plus_two(folder: Path, plus: float = 2.0) -> None:
    """A SavedModel as of TensorFlow Serving's own tests: y = x / 2 + 2 of any shape; and further signatures."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def half_plus(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x / 2 + plus}

    @tf.function(
        input_signature=[tf.TensorSpec([None, 2], tf.float32, name="a"), tf.TensorSpec([None], tf.int32, name="b")]
    )
    def both(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": a + tf.cast(b, tf.float32)[:, None], "twice": 2 * b}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text_bytes")])
    def words(text_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text": tf.strings.lower(text_bytes), "text_bytes": text_bytes}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def inconsistent(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"all": x, "first": x[:1]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="x")])
    def checked(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_greater(x, 0, "not above zero")]):
            return {"x": tf.identity(x)}

    tf.saved_model.save(
        module,
        str(folder),
        signatures={
            "serving_default": half_plus,
            "both": both,
            "words": words,
            "inconsistent": inconsistent,
            "checked": checked,
        },
    )


class Client:
    """Requests to a server, whose address comes before every path."""

    def __init__(self, address: str) -> None:
        self.address, self.session = address, requests.Session()

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.session.request(method, self.address + path, data=body, timeout=60, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.request("POST", path, body, **options)


@contextmanager
def listening(server: Server) -> Iterator[str]:
    """The address of a server that listens in a thread within the block."""
    with running.listening("127.0.0.1", 0) as listener:
        process = uvicorn.Server(running.configuration(server))
        thread = threading.Thread(target=process.run, args=([listener],))
        thread.start()
        try:
            wait_for(lambda: process.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.should_exit = True
            thread.join()


@contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`kgan serve` in a process of its own, which ends with the block, and its address."""
    command = [sys.executable, "-m", "kgan", "serve", "--port=0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            match = re.match(r"(http://127\.0\.0\.1:\d+) is the page\. Ctrl-C stops\.", line)
            assert match, line
            yield child, match[1]
        finally:  # else a test that fails would wait for the server for ever
            child.kill()


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


class Long:
    """A signature's call that takes ten seconds, or until nobody waits for it.

    Attributes:
      begun, left: set when it begins, and when it is left.
    """

    def __init__(self) -> None:
        self.begun, self.left = threading.Event(), threading.Event()

    def __call__(self, inputs: Arrays) -> Arrays:
        self.begun.set()
        try:
            for _ in range(1000):
                go_on()
                time.sleep(0.01)
        except Abandoned:
            self.left.set()
            raise
        return inputs
