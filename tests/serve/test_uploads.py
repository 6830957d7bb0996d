"""A picture in, a picture out over HTTP, as a page or curl asks for it."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.served import FILTER, Client
from PIL import Image

from kgan.filters import included as included_models
from kgan.filters import photos
from kgan.filters.loading import load_for_photos
from kgan.pictures import faces, images
from kgan.serve import pages, uploads
from kgan.serve.errors import Refusal

PATH = f"/v1/filters/{FILTER}"


def test_filters_are_listed_with_what_a_page_needs(included: Client) -> None:
    entries = {each["name"]: each for each in included.get("/v1/filters").json()["filters"]}
    assert list(entries) == included_models.names()
    one = entries[FILTER]
    assert (one["kind"], one["subject"], one["image_size"], one["labels"]) == ("image", "face", 128, [])
    assert one["model"] == f"{PATH}/model" and one["figures"]["kid"] == 7.831
    labelled = entries["stargan_animefaces_utkface"]
    assert labelled["kind"] == "labels" and labelled["optional"]
    assert [(each["name"], each["set"]) for each in labelled["labels"]][:2] == [
        ("hair", "animefaces"),
        ("eyes", "animefaces"),
    ]
    assert labelled["labels"][0]["values"][:2] == ["aqua", "black"]
    assert entries["stylegan_animefaces"]["kind"] == "latent" and entries["stylegan_animefaces"]["model"] is None


def test_cards_models_pictures_and_the_face_finder(included: Client) -> None:
    assert included.get(f"{PATH}/card").json()["crop"] == "face"
    model, path = included.get(f"{PATH}/model"), included_models.tflite(FILTER)
    assert path is not None and model.content == path.read_bytes()
    sha256 = json.loads(path.with_suffix(".json").read_text())["sha256"][0]
    assert model.headers["etag"] == f'"{sha256}"'
    again = included.get(f"{PATH}/model", headers={"If-None-Match": model.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in (FILTER, "stylegan_animefaces", "pix2pix_facades"):
        picture = included.get(f"/v1/filters/{name}/picture")
        assert picture.headers["content-type"] == "image/webp" and images.decode(picture.content).shape == (160, 160, 3)
    assert included.get("/v1/assets/blazeface").content == faces.MODEL.read_bytes()
    assert included.get("/v1/filters/stylegan_animefaces/model").status_code == 404
    assert included.get("/v1/filters/nope/card").status_code == 404


def test_the_answer_is_what_kgan_translate_makes(included: Client, portrait: np.ndarray, jpeg: bytes) -> None:
    picture_filter, photo = load_for_photos(FILTER), images.decode(jpeg)
    response = included.post(PATH, jpeg, headers={"Content-Type": "image/jpeg"})
    np.testing.assert_array_equal(images.decode(response.content), photos.translate(picture_filter, photo)[0])
    assert response.headers["content-type"] == "image/png" and response.headers["x-kgan-faces"] == "1"
    assert float(response.headers["x-kgan-milliseconds"]) > 0 and "LiteRT" in response.headers["x-kgan-runtime"]
    assert response.headers["server-timing"].startswith("model;dur=")
    pasted = included.post(f"{PATH}?paste=1&crop=face", jpeg)
    np.testing.assert_array_equal(images.decode(pasted.content), photos.translate(picture_filter, photo, paste=True)[0])
    form = included.request("POST", f"{PATH}?crop=center", files={"photo": ("a.jpg", jpeg, "image/jpeg")})
    wanted = photos.translate(picture_filter, photo, "center")[0]
    np.testing.assert_array_equal(images.decode(form.content), wanted)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/avif,image/webp,image/apng,image/*;q=0.8,*/*;q=0.5", "image/webp"),
        ("image/png;q=0.5, image/jpeg", "image/jpeg"),
        ("image/png;q=0, */*", "image/jpeg"),
    ],
)
def test_accept_chooses_the_kind(accept: str, kind: str) -> None:
    assert uploads.kind_of(accept) == kind


def test_written_kinds(included: Client, small_png: bytes) -> None:
    for kind in uploads.KINDS:
        response = included.post(f"{PATH}?crop=none", small_png, headers={"Accept": kind})
        assert response.headers["content-type"] == kind
        assert Image.open(io.BytesIO(response.content)).format == kind.partition("/")[2].upper()


def test_forms_are_read_whatever_their_bytes() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        data = random.choice(np.frombuffer(b"\r\n-\0 :ab\x80\xff\x0b\x0c\x1c\x85", np.uint8), 200).tobytes()
        body = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
        body += b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        assert uploads.file_of(body + data + b"\r\n--x--\r\n", "multipart/form-data; boundary=x") == data
    for body, kind in ((b"", "multipart/form-data"), (b"--x--", "multipart/form-data; boundary=x")):
        with pytest.raises(Refusal, match="holds no file"):
            uploads.file_of(body, kind)


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("colour=red", 400, "There is no option colour: there are crop, paste"),
        ("crop=nose", 400, "crop=nose is unknown: it is one of auto, face, center, none."),
        ("size=big", 400, "size=big is not understood: a whole number is wanted."),
        ("psi=nan", 400, "psi is a number"),
        ("paste=maybe", 400, "paste=maybe is not understood: 1 or 0 is wanted."),
        ("paste=1&crop=none", 422, "so it needs --crop=face"),
        ("label=hair=blonde", 422, "takes no label"),
        ("crop=center&size=0", 422, "--size=0 is no size"),
    ],
)
def test_options_that_do_not_fit_are_told(
    included: Client, small_png: bytes, query: str, status: int, text: str
) -> None:
    response = included.post(f"{PATH}?{query}", small_png)
    assert response.status_code == status and text in response.json()["error"]


def test_a_photo_without_a_face_is_told(included: Client, small_png: bytes) -> None:
    response = included.post(PATH, small_png)
    assert response.status_code == 422 and "No face was found" in response.json()["error"]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """A PNG of 20 kB with 25 million pixels."""
    buffer = io.BytesIO()
    Image.new("L", (5000, 5000)).save(buffer, "PNG")
    return buffer.getvalue()


ATTACKS: dict[str, tuple[Any, int, str]] = {
    "nothing": (lambda jpeg: b"", 415, "none of a known kind"),
    "text": (lambda jpeg: b"hello" * 100, 415, "none of a known kind"),
    "html": (lambda jpeg: b"<html><script>alert(1)</script></html>", 415, "none of a known kind"),
    "pickle": (lambda jpeg: b"\x80\x04cos\nsystem\n(S'true'\ntR.", 415, "none of a known kind"),
    "truncated": (lambda jpeg: jpeg[: len(jpeg) // 2], 422, "damaged"),
    "huge": (lambda jpeg: png_header(2**30, 2**30), 413, "at most 4 megapixels"),
    "long": (lambda jpeg: png_header(2**31 - 1, 1), 413, "at most 4 megapixels"),
    "empty": (lambda jpeg: png_header(64, 64), 422, "damaged"),
    "bomb": (lambda jpeg: bomb(), 413, "5000 x 5000 pixels"),
    "many bytes": (lambda jpeg: bytes(2_100_000), 413, "at most 2 MB"),
    "postscript": (lambda jpeg: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "cannot be read"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_no_sound_picture_is_refused(included: Client, jpeg: bytes, name: str) -> None:
    body, status, text = ATTACKS[name]
    response = included.post(f"{PATH}?crop=none", body(jpeg))
    assert response.status_code == status and text in response.json()["error"], response.text


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_pictures_of_every_kind_are_taken(included: Client, portrait: np.ndarray) -> None:
    square = Image.fromarray(portrait).resize((128, 128))
    sideways = Image.Exif()
    sideways[0x0112] = 6
    deep = Image.fromarray(np.linspace(0, 65535, 128 * 128).reshape(128, 128).astype(np.uint16))
    bodies = {
        "cmyk": saved(square.convert("CMYK"), "JPEG"),
        "16 bits": saved(deep, "PNG"),
        "grey": saved(square.convert("L"), "JPEG"),
        "palette": saved(square.convert("P"), "GIF"),
        "sideways": saved(square.crop((0, 0, 128, 128)), "JPEG", exif=sideways),
        "animated": saved(square, "WEBP", save_all=True, append_images=[square.rotate(90)]),
        "transparent": saved(square.convert("RGBA").rotate(45), "PNG"),
    }
    for name, body in bodies.items():
        response = included.post(f"{PATH}?crop=none", body)
        assert response.status_code == 200, (name, response.text)
        assert images.decode(response.content).shape == (128, 128, 3)
        assert response.headers.get("x-kgan-remarks") == ("animation" if name == "animated" else None)
    assert Image.open(io.BytesIO(included.post(f"{PATH}?crop=none", bodies["transparent"]).content)).mode == "RGBA"


@pytest.mark.parametrize("path", ["/", "/page/index.html"])
def test_the_page_is_kept_to_itself(included: Client, path: str) -> None:
    response = included.get(path)
    assert response.status_code == 200 and response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert response.headers["cross-origin-embedder-policy"] == "require-corp"
    assert "script-src 'self' 'wasm-unsafe-eval'" in response.headers["content-security-policy"]
    assert "access-control-allow-origin" not in response.headers
    again = included.get(path, headers={"If-None-Match": response.headers["etag"]})
    assert again.status_code == 304


def test_files_of_the_page_are_served_compressed_where_that_is_taken(
    included: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    (tmp_path / "a.js").write_text("plain")
    (tmp_path / "a.js.br").write_text("brotli")
    (tmp_path / "b.wasm.gz").write_bytes(gzip.compress(b"wasm"))
    (tmp_path / "app.webmanifest").write_text("{}")
    (tmp_path.parent / "secret.txt").write_text("secret")
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    packed = included.session.get(f"{included.address}/page/a.js", headers={"Accept-Encoding": "gzip, br"}, stream=True)
    assert (packed.raw.read(), packed.headers["content-encoding"]) == (b"brotli", "br")
    plain = included.get("/page/a.js", headers={"Accept-Encoding": "br;q=0"})
    assert plain.text == "plain" and plain.headers["content-type"] == "text/javascript; charset=utf-8"
    for accepted in ("gzip", ""):
        wasm = included.get("/page/b.wasm", headers={"Accept-Encoding": accepted})
        assert wasm.content == b"wasm" and wasm.headers["content-type"] == "application/wasm"
    assert included.get("/page/app.webmanifest").headers["content-type"] == "application/manifest+json"
    for path in (
        "/page/%2e%2e/secret.txt",
        "/page/..%5csecret.txt",
        "/page/nope",
        "/page/a.js.br",
        "/page/",
        "/page/%00",
    ):
        assert included.get(path).status_code == 404, path


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("DELETE", PATH, 405),
        ("GET", PATH, 405),
        ("PUT", "/", 405),
        ("POST", "/v1/filters/..%2f..%2fetc", 404),
        ("POST", "/v1/filters/%00", 404),
        ("GET", "/v1/models/..%2f..%2fetc/metadata", 400),
        ("GET", "/v1/models/%2e%2e", 404),
    ],
)
def test_paths_that_are_not_there(included: Client, method: str, path: str, status: int) -> None:
    response = included.request(method, path)
    assert response.status_code == status and response.json()["error"]
