"""Serve filters over HTTP: a page to try them on, pictures in and out, and TensorFlow Serving's contract.

  kgan serve
  kgan serve --models=models --port=8501 --grpc_port=8500

Then http://127.0.0.1:8501 is the page. Without --models the filters that come with kgan are served. In the folder
--models lie NAME/1/, NAME/2/ and so on, as `kgan export --serving` writes them, or NAME.tflite and NAME.keras with
their cards; a newer version is seen within a second. Nobody but this machine is listened to, unless --host says so.
docs/serving.md shows requests.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from absl import flags

from kgan import commands
from kgan.commands import DEFINE_path
from kgan.errors import UserError
from kgan.interrupts import Stopped
from kgan.serve.limits import Limits

MODELS = DEFINE_path("models", None, "The folder of the models. Default: those that come with kgan.")
HOST = flags.DEFINE_string("host", "127.0.0.1", "The address to listen at; 0.0.0.0: at all, for everybody.")
PORT = flags.DEFINE_integer("port", 8501, "Of the page and of REST; 0: any that is free.", lower_bound=0)
GRPC_PORT = flags.DEFINE_integer("grpc_port", None, "Of gRPC too; 0: any that is free. Default: none.", lower_bound=0)
ORIGINS = flags.DEFINE_list("origins", [], "Sites whose pages may ask too, such as https://example.org; * for all.")
MEGABYTES = flags.DEFINE_float("max_megabytes", Limits.megabytes, "Larger bodies are refused.", lower_bound=0.001)
ROOM = flags.DEFINE_float("room", Limits.room, "Megabytes that all bodies may have at a time.", lower_bound=0.001)
PIXELS = flags.DEFINE_float("upload_megapixels", Limits.megapixels, "Larger pictures are refused.", lower_bound=0.001)
WAITING = flags.DEFINE_integer(
    "max_waiting", Limits.inside, "Requests that may be inside; more are refused.", lower_bound=1
)
SECONDS = flags.DEFINE_float("timeout", Limits.seconds, "Seconds that an answer may take.", lower_bound=0.1)


def main() -> None:
    from kgan.serve import app, models, running  # here: --help needs none of it

    if MODELS.value is None:
        served = models.Models(models.of_kgan, lazy=True)
    else:
        folder = Path(MODELS.value)
        if not folder.is_dir():
            raise UserError(f"There is no folder {folder}: --models names the one that the models lie in.")
        served = models.Models(functools.partial(models.in_folder, folder))
    limits = Limits(
        megabytes=MEGABYTES.value,
        room=ROOM.value,
        megapixels=PIXELS.value,
        inside=WAITING.value,
        seconds=SECONDS.value,
    )
    server = app.Server(served, limits, ORIGINS.value)
    with contextlib.suppress(Stopped):  # it has answered what was under way
        running.run(server, HOST.value, PORT.value, GRPC_PORT.value, functools.partial(print, flush=True))


if __name__ == "__main__":
    commands.run(main)
