"""A server from its first request to its last."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kgan.errors import UserError
from kgan.serve import rpc
from kgan.serve.app import Server

DRAIN = 30  # seconds for requests that are under way when the server is told to stop
PATIENCE = 15.0  # seconds for the headers of a request
CONNECTIONS = 1000


class Patient(H11Protocol):
    """HTTP/1.1 over one connection, which is closed where the headers of a request do not come to an end."""

    patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.wait_for_headers()

    def wait_for_headers(self) -> None:
        if self.conn.their_state is not h11.IDLE:  # they are there
            if self.patience:
                self.patience.cancel()
            self.patience = None
        elif not self.patience:
            self.patience = self.loop.call_later(PATIENCE, self.transport.close)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; a `UserError` where the port is taken or the address is not this machine's."""
    result = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        result.bind((host, port))
        result.listen(CONNECTIONS)  # from now on who connects waits, and is not turned away
    except (OSError, OverflowError) as error:
        result.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{host}:{port} cannot be listened at: {reason}. --port=0 takes a free one.") from None
    return result


def configuration(server: Server) -> uvicorn.Config:
    """How uvicorn serves it."""
    return uvicorn.Config(
        server.app(),
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=DRAIN,
        limit_concurrency=CONNECTIONS,
        backlog=CONNECTIONS,
        http=Patient,
        ws="none",
        lifespan="off",
    )


def run(
    server: Server,
    host: str,
    port: int,
    grpc_port: int | None = None,
    say: Callable[[str], Any] = print,
) -> None:
    """Serve until SIGINT or SIGTERM; requests that are under way are then answered.

    Args:
      server: what is served.
      host, port: where it listens; port 0 is any that is free.
      grpc_port: for gRPC too; None for none.
      say: gets the addresses, as sentences.

    Raises:
      UserError: it cannot listen there, or a package is missing.
    """
    with listening(host, port) as listener:
        server.models.refresh()
        for model, reason in server.models.failures().items():
            say(f"{model} is not served. {reason}")
        calls, grpc_port = rpc.start(server, host, grpc_port) if grpc_port is not None else (None, None)
        name = f"[{host}]" if ":" in host else host
        say(f"http://{name}:{listener.getsockname()[1]} is the page. Ctrl-C stops.")
        if calls:
            say(f"{name}:{grpc_port} answers gRPC.")
        server.models.watch()
        try:
            uvicorn.Server(configuration(server)).run([listener])
        finally:
            if calls:
                calls.stop(DRAIN).wait()
            server.models.close()
