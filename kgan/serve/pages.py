"""The page and its files, and the headers that keep it to itself."""

from __future__ import annotations

import gzip
import mimetypes
from email.utils import formatdate
from pathlib import Path

import brotli
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from kgan.serve.errors import Refusal

FOLDER = Path(__file__).parent / "page"
PACKED = {"br": ".br", "gzip": ".gz"}  # a file beside, by the encoding that it has
UNPACK = {".br": brotli.decompress, ".gz": gzip.decompress}
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
    # What may be served is listed, so that no name leads elsewhere.
    files = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.is_file()}
    accepted = encodings(request.headers.get("accept-encoding", ""))
    encoding = next((each for each, suffix in PACKED.items() if each in accepted and f"{name}{suffix}" in files), "")
    names = [f"{name}{PACKED[encoding]}"] if encoding else [name, *(f"{name}{suffix}" for suffix in PACKED.values())]
    chosen = next((files[each] for each in names if each in files), None)
    if chosen is None or Path(name).suffix in PACKED.values():
        raise Refusal(404, f"There is no /page/{name}.")
    state = chosen.stat()
    tag = f'"{state.st_mtime_ns:x}-{state.st_size:x}{encoding and "-" + encoding}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    headers["Last-Modified"] = formatdate(state.st_mtime, usegmt=True)
    if encoding:
        headers["Content-Encoding"] = encoding
    if name == WORKER:
        headers["Service-Worker-Allowed"] = "/"
    if matches(request, tag):
        return Response(status_code=304, headers=headers)
    kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if chosen.suffix in UNPACK and not encoding:  # kept compressed alone, and the browser does not unpack it
        return Response(UNPACK[chosen.suffix](chosen.read_bytes()), headers=headers, media_type=kind)
    return FileResponse(chosen, headers=headers, media_type=kind, stat_result=state)


def matches(request: Request, tag: str) -> bool:
    """Whether the browser has what this ETag stands for."""
    tags = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return tag in tags or "*" in tags


def encodings(accepted: str) -> set[str]:
    """The encodings that a header Accept-Encoding takes."""
    parts = [part.replace(" ", "").lower().partition(";q=") for part in accepted.split(",")]
    return {name for name, _, quality in parts if quality.strip("0.") or not quality}
