"""A server from its first request to its last."""

from __future__ import annotations

import socket

import uvicorn

from kgan.errors import UserError
from kgan.serve.app import Server

DRAIN = 30  # seconds for requests that are under way when the server is told to stop


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; a `UserError` where the port is taken or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    result = socket.socket(family, socket.SOCK_STREAM)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        result.bind((host, port))
    except OSError as error:
        result.close()
        raise UserError(f"{host}:{port} cannot be listened at: {error.strerror}. --port=0 takes a free one.") from None
    return result


def run(server: Server, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM; requests that are under way are then answered."""
    server.models.refresh()
    with listening(host, port) as listener:
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{listener.getsockname()[1]} is the page. Ctrl-C stops.", flush=True)
        config = uvicorn.Config(
            server.app(),
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=DRAIN,
            http="h11",
            ws="none",
            lifespan="off",
        )
        server.models.watch()
        try:
            uvicorn.Server(config).run([listener])
        finally:
            server.models.close()
