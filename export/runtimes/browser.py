"""A browser: Chromium without a window, and in it LiteRT.js as the page of `kgan serve` runs it, in WebAssembly."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import numpy as np

import kgan
from kgan.errors import UserError
from kgan.export.runtimes import Absent, Inputs

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
VARIABLE = "KGAN_CHROMIUM"
PAGE = Path(kgan.__file__).parent / "serve" / "page"
LONGEST = 600.0  # seconds
KINDS = {".js": "text/javascript", ".wasm": "application/wasm"}
# The page that Chromium opens: it fetches the model and the inputs, and posts what the model draws.
SCRIPT = """
import {compile} from './page/runtime.js';
const post = (path, body) => fetch(path, {method: 'POST', body});
try {
  const bytes = async (path) => (await fetch(path)).arrayBuffer();
  const model = await compile(new Uint8Array(await bytes('./model')));
  const count = await (await fetch('./count')).json();
  for (let i = 0; i < count; i++) {
    const arrays = [];
    for (const {name} of model.inputs) arrays.push(new Float32Array(await bytes(`./inputs/${i}/${name}`)));
    const [{shape, data}] = Object.values(await model.run(arrays));
    await post(`./outputs/${shape.join('x')}`, data);
  }
  await post('./done', '');
} catch (error) {
  await post('./error', String(error.message ?? error));
}
"""


def run(file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """As of a `Runtime`."""
    chromium = find()
    job = _Job(file.read_bytes(), inputs)
    server = ThreadingHTTPServer(("127.0.0.1", 0), job.handler())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with tempfile.TemporaryDirectory(prefix="kgan-", ignore_cleanup_errors=True) as profile:
            address = f"http://127.0.0.1:{server.server_port}/"
            with subprocess.Popen(
                [chromium, *options(profile), address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                try:
                    _wait(job, process)
                finally:
                    process.kill()
    finally:
        server.shutdown()
        server.server_close()
    return job.pictures


def find() -> str:
    """The browser: $KGAN_CHROMIUM, or Chromium or Chrome on the path; `Absent` where there is none."""
    named = os.environ.get(VARIABLE)
    path = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if not path:
        raise Absent(f"Chromium is not on this machine (apt install chromium), and ${VARIABLE} names none")
    return path


def options(profile: str) -> list[str]:
    """What a Chromium that nobody sees is started with: it asks nothing, and fetches nothing by itself."""
    return [
        "--headless=new",
        "--no-first-run",
        "--no-sandbox",  # root has none in containers; it opens nothing but our own page
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-sync",
        f"--user-data-dir={profile}",
    ]


class _Job:
    """What the browser is to run, and what it has posted so far."""

    def __init__(self, model: bytes, inputs: Sequence[Inputs]) -> None:
        self.model, self.inputs = model, inputs
        self.pictures: list[np.ndarray] = []
        self.error: str | None = None
        self.done = threading.Event()

    def get(self, path: str) -> _Answer | None:
        """The file at `path`; None where there is none."""
        match path.strip("/").split("/"):
            case [""]:
                return _Answer(b'<!doctype html><title>kgan</title><script type="module" src="run.js"></script><body>')
            case ["run.js"]:
                return _Answer(SCRIPT.encode(), "text/javascript")
            case ["model"]:
                return _Answer(self.model, "application/octet-stream")
            case ["count"]:
                return _Answer(json.dumps(len(self.inputs)).encode(), "application/json")
            case ["inputs", number, name] if name in self.inputs[int(number)]:
                return _Answer(self.inputs[int(number)][name].astype("<f4").tobytes(), "application/octet-stream")
            case ["page", *parts] if ".." not in parts:
                file = PAGE.joinpath(*parts)
                kind = KINDS.get(file.suffix, "application/octet-stream")
                compressed = file.with_name(f"{file.name}.br")
                if compressed.is_file():
                    return _Answer(compressed.read_bytes(), kind, "br")
                return _Answer(file.read_bytes(), kind) if file.is_file() else None
        return None

    def post(self, path: str, body: bytes) -> None:
        """Take what the browser posts."""
        match path.strip("/").split("/"):
            case ["outputs", shape]:
                sides = [int(side) for side in shape.split("x")]
                self.pictures.append(np.frombuffer(body, "<f4").reshape(sides)[0])
            case ["error"]:
                self.error = body.decode(errors="replace")
                self.done.set()
            case ["done"]:
                self.done.set()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        job = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer = job.get(self.path)
                self.send_response(200 if answer else 404)
                body, kind, encoding = answer or _Answer(b"")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
                if encoding:
                    self.send_header("Content-Encoding", encoding)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                job.post(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *words: object) -> None:
                pass

        return Handler


class _Answer(NamedTuple):
    """A file as it is sent."""

    body: bytes
    kind: str = "text/html"
    encoding: str = ""


def _wait(job: _Job, process: subprocess.Popen[bytes]) -> None:
    """Until everything is posted; a `UserError` where the browser ends, fails, or takes too long before that."""
    for _ in range(round(LONGEST)):
        if job.done.wait(1):
            break
        if process.poll() is not None:
            raise UserError(f"Chromium ended by itself, with exit code {process.returncode}")
    else:
        raise UserError(f"it took more than {LONGEST / 60:.0f} minutes")
    if job.error is not None:
        raise UserError(f"LiteRT.js: {job.error}")
