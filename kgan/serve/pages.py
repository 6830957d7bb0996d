"""The page and its files, and the headers that keep it to itself."""

from __future__ import annotations

import mimetypes
from email.utils import formatdate
from pathlib import Path

import brotli
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from kgan.serve.errors import Refusal

FOLDER = Path(__file__).parent / "page"
PACKED = {"br": ".br", "gzip": ".gz"}  # a file beside, by the encoding that it has
WORKER = "offline.js"  # which may answer for the whole site, though it lies in /page/
TYPES = {
    ".wasm": "application/wasm",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".tflite": "application/octet-stream",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self' blob:",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self' blob:",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
# With the first two, a page may run WebAssembly in threads.
SECURITY = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


def file(request: Request, name: str) -> Response:
    """A file of the page, compressed as it lies beside where the browser takes that; 304 where it has it already."""
    path = FOLDER.joinpath(*[part for part in name.split("/") if part not in ("", ".", "..")])
    inside = FOLDER.resolve() in path.resolve().parents and not any(part.startswith(".") for part in path.parts[-1:])
    if not inside or "\0" in name or "\\" in name or path.suffix in PACKED.values():
        raise Refusal(404, f"There is no /page/{name}.")
    packed = _packed(path, request.headers.get("accept-encoding", ""))
    chosen, encoding = packed or (path, "")
    unpacked = path.with_name(f"{path.name}.br")
    if not chosen.is_file() and unpacked.is_file():  # kept compressed alone
        chosen = unpacked
    if not chosen.is_file():
        raise Refusal(404, f"There is no /page/{name}.")
    state = chosen.stat()
    tag = f'"{state.st_mtime_ns:x}-{state.st_size:x}{encoding and "-" + encoding}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    headers["Last-Modified"] = formatdate(state.st_mtime, usegmt=True)
    if encoding:
        headers["Content-Encoding"] = encoding
    if path.name == WORKER:
        headers["Service-Worker-Allowed"] = "/"
    if matches(request, tag):
        return Response(status_code=304, headers=headers)
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if chosen == unpacked and not encoding:
        return Response(brotli.decompress(chosen.read_bytes()), headers=headers, media_type=kind)
    return FileResponse(chosen, headers=headers, media_type=kind, stat_result=state)


def matches(request: Request, tag: str) -> bool:
    """Whether the browser has what this ETag stands for."""
    tags = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return tag in tags or "*" in tags


def _packed(path: Path, accepted: str) -> tuple[Path, str] | None:
    """The compressed file beside, with its encoding, where there is one that is accepted."""
    parts = [part.replace(" ", "").lower() for part in accepted.split(",")]
    words = {part.partition(";")[0] for part in parts if part.partition(";q=")[2] not in ("0", "0.0", "0.00", "0.000")}
    for encoding, suffix in PACKED.items():
        beside = path.with_name(path.name + suffix)
        if words & {encoding, "*"} and beside.is_file():
            return beside, encoding
    return None
