"""The page of `kgan serve`, in headless Chromium: what it draws, what it sends, and who can use it."""

from __future__ import annotations

import hashlib
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers.served import FILTER, process
from PIL import ExifTags, Image

from kgan.export.runtimes import Absent, browser
from kgan.export.verify import compare
from kgan.filters import included, photos
from kgan.filters.loading import load_for_photos
from kgan.pictures import images
from kgan.serve import pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

PHOTO = pages.FOLDER / "astronaut.webp"
SAME = 45.0  # dB at peak 2 between server and browser; sums in 8 bits are rounded otherwise where threads add otherwise
LARGE = 40.0  # dB; the browser shrinks a large photo in two steps before it looks for faces
WIDE, PHONE = {"width": 1000, "height": 900}, {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of `kgan serve` as it runs after the install."""
    with process() as (_, address):
        yield address


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., Browser]]:
    """Starts Chromium with more options."""
    try:
        chromium = browser.find()
    except Absent as absent:
        pytest.skip(str(absent))
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
    with playwright.sync_playwright() as driver:
        yield lambda *options: driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", *options])


@pytest.fixture(scope="module")
def chromium(launch: Callable[..., Browser]) -> Iterator[Browser]:
    """With a camera, which shows a turning disc, and without a graphics processor."""
    started = launch("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    yield started
    started.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    opened = chromium.new_context(viewport=WIDE, locale="en-US")
    yield opened
    opened.close()


@pytest.fixture
def unkept(chromium: Browser) -> Iterator[BrowserContext]:
    """Without the service worker, whose requests no test could hold."""
    opened = chromium.new_context(viewport=WIDE, locale="en-US", service_workers="block")
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, server: str) -> Page:
    return visit(context, server)


def visit(context: BrowserContext, server: str) -> Page:
    """The page, once its filters are there; errors of its scripts fail the test."""
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(server)
    page.locator(".card").first.wait_for()
    return page


def drawn(page: Page) -> str:
    """What the page says when it has drawn."""
    page.wait_for_timeout(50)
    page.locator("#stage[aria-busy=false]").wait_for(timeout=90_000)
    return page.locator("#status").inner_text()


def download(page: Page) -> np.ndarray:
    with page.expect_download() as event:
        page.locator("#download").click()
    return images.read(event.value.path())


def drawn_with_pink_hair(page: Page) -> np.ndarray:
    """By the filter that takes labels."""
    page.get_by_text("Hair, eyes, age").click()
    page.locator("#file").set_input_files(PHOTO)
    drawn(page)
    page.get_by_role("group", name="hair").get_by_text("pink").click()
    drawn(page)
    return download(page)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return compare([images.to_float(one)], [images.to_float(other)])[2]


def test_the_server_draws_a_photo_and_the_line_compares(page: Page, server: str) -> None:
    page.locator("#file").set_input_files(PHOTO)
    assert re.fullmatch(rf"[\d.]+ s by way of {server[7:]}; the filter itself took \d+ ms\.", drawn(page))
    expected = photos.translate(load_for_photos(FILTER), images.read(PHOTO))[0]
    assert psnr(download(page), expected) > SAME
    line = page.locator("#cut")
    line.press("End")
    assert line.get_attribute("aria-valuetext") == "100 percent of the width shows the photo"
    before = page.locator("#before")
    assert before.evaluate("canvas => canvas.width") == before.evaluate("canvas => canvas.height") > 100  # the face
    assert page.locator("#download").get_attribute("download") == f"astronaut_{FILTER}.png"


def test_in_the_browser_the_same_is_drawn_and_the_photo_goes_nowhere(
    context: BrowserContext, page: Page, server: str
) -> None:
    page.locator("#file").set_input_files(PHOTO)
    drawn(page)
    from_server = {"The face": download(page)}
    page.get_by_text("The face, in the photo").click()
    drawn(page)
    from_server["The face, in the photo"] = download(page)
    page.get_by_text("The middle").click()
    drawn(page)
    from_server["The middle"] = download(page)

    requests: list[Request] = []
    context.on("request", lambda request: requests.append(request))
    page.locator("#local").check()
    for part, expected in from_server.items():
        page.get_by_text(part, exact=True).click()
        assert re.fullmatch(r"[\d.]+ s in this browser, in WebAssembly with threads\. The photo.*", drawn(page))
        assert psnr(download(page), expected) > SAME, part
    assert any(request.url.endswith(f"/{FILTER}/model") for request in requests)
    assert [request.url for request in requests if not request.url.startswith((server, "blob:" + server))] == []
    assert [request.url for request in requests if request.method != "GET" or request.post_data_buffer] == []


def test_a_large_photo_that_lies_on_its_side_is_the_same_in_both(page: Page, tmp_path: Path) -> None:
    side = Image.fromarray(images.read(PHOTO)).resize((2400, 2400)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees clockwise
    side.save(tmp_path / "side.jpg", exif=exif)
    page.locator("#file").set_input_files(tmp_path / "side.jpg")
    drawn(page)
    from_server = download(page)
    page.locator("#local").check()
    assert "in this browser" in drawn(page)
    assert psnr(download(page), from_server) > LARGE


def test_a_photo_that_comes_before_the_filters_is_drawn(unkept: BrowserContext, server: str) -> None:
    page, held = unkept.new_page(), list["Route"]()
    page.route("**/v1/filters", lambda route: held.append(route))  # Playwright marks the function
    page.goto(server)
    page.locator("#file").set_input_files(PHOTO)
    page.wait_for_timeout(500)
    (route,) = held
    assert page.locator("#actions").is_visible() and not page.locator("#empty").is_visible()
    route.continue_()
    page.locator(".card").first.wait_for()
    assert "by way of" in drawn(page)
    assert page.locator("#download").get_attribute("download") == f"astronaut_{FILTER}.png"


def test_of_two_photos_the_last_is_drawn(page: Page, tmp_path: Path) -> None:
    Image.fromarray(images.read(PHOTO)).resize((4000, 4000)).save(tmp_path / "large.png")  # which is slow to decode
    page.locator("#file").set_input_files(tmp_path / "large.png")
    page.locator("#file").set_input_files(PHOTO)
    drawn(page)
    page.wait_for_timeout(1000)
    drawn(page)
    assert page.locator("#download").get_attribute("download") == f"astronaut_{FILTER}.png"


def test_a_sample_that_comes_late_replaces_no_photo(unkept: BrowserContext, server: str, tmp_path: Path) -> None:
    page, held = visit(unkept, server), list["Route"]()
    page.route("**/page/astronaut.webp", lambda route: held.append(route))  # Playwright marks the function
    page.locator("#sample").click()
    Image.open(PHOTO).save(tmp_path / "mine.png")
    page.locator("#file").set_input_files(tmp_path / "mine.png")
    drawn(page)
    (route,) = held
    route.continue_()
    page.wait_for_timeout(500)
    drawn(page)
    assert page.locator("#download").get_attribute("download") == f"mine_{FILTER}.png"


def test_a_card_that_comes_late_leaves_what_was_chosen(unkept: BrowserContext, server: str) -> None:
    page = visit(unkept, server)
    page.route("**/card", lambda route: route.abort())
    from_server = drawn_with_pink_hair(page)
    page.unroute("**/card")
    page.locator("#local").check()
    assert "in this browser" in drawn(page)
    assert page.get_by_role("group", name="hair").locator("input:checked").get_attribute("value") == "pink"
    assert psnr(download(page), from_server) > SAME


def test_labels_are_the_same_in_both(page: Page) -> None:
    from_server = drawn_with_pink_hair(page)
    page.locator("#local").check()
    drawn(page)
    assert psnr(download(page), from_server) > SAME
    page.get_by_role("group", name="gender").get_by_text("female").click()  # of another set, which lets hair go
    drawn(page)
    assert page.get_by_role("group", name="hair").locator("input:checked").get_attribute("value") == ""
    assert psnr(download(page), from_server) < 40


@pytest.mark.parametrize("gpu", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_browsers_without_webgpu_and_with_it(launch: Callable[..., Browser], server: str, gpu: bool) -> None:
    """The graphics processor is SwiftShader, which is too slow to be preferred: for the test it is all the same."""
    options = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"] if gpu else ["--disable-features=WebGPU"]
    started = launch(*options)
    context = started.new_context(locale="en-US", service_workers="block")
    runtime = (pages.FOLDER / "runtime.js").read_text(encoding="utf-8")
    assert runtime.count("times[0] < times[1] && ") == 1
    patient = runtime.replace("times[0] < times[1] && ", "")
    headers = {"Cross-Origin-Embedder-Policy": "require-corp"}
    context.route(
        "**/page/runtime.js", lambda route: route.fulfill(body=patient, content_type="text/javascript", headers=headers)
    )
    page = visit(context, server)
    page.locator("#local").check()
    page.locator("#file").set_input_files(PHOTO)
    assert ("on its graphics processor" if gpu else "in WebAssembly with threads") in drawn(page)
    expected = photos.translate(load_for_photos(FILTER), images.read(PHOTO))[0]
    assert psnr(download(page), expected) > (40 if gpu else SAME)
    started.close()


def test_without_a_server_it_goes_on(context: BrowserContext) -> None:
    needed = [f"/v1/filters/{FILTER}/model", "/v1/assets/blazeface", *vendored(r"litert\.js|utils|threaded")]
    with process() as (_, address):
        page = visit(context, address)  # once
        page.evaluate("""async (urls) => {
            const kept = async (url) => (await (await caches.open('kgan-1')).match(url)) !== undefined;
            const end = performance.now() + 60_000;
            for (const url of urls) while (!await kept(url)) {
                if (performance.now() > end) throw new Error(`${url} was not kept`);
                await new Promise((resume) => setTimeout(resume, 100));
            }
        }""", needed)  # fmt: skip
    page.reload()
    page.locator(".card").first.wait_for()
    page.locator("#sample").click()
    assert drawn(page).endswith("does not answer. Switch on “In this browser”, or try again later.")
    page.locator("#local").check()
    assert "in this browser" in drawn(page)
    assert download(page).shape == (128, 128, 3)


def vendored(pattern: str) -> list[str]:
    """The addresses of LiteRT.js's files whose names match."""
    paths = [path for path in pages.FOLDER.glob("vendor/*/*.br") if re.search(pattern, path.name)]
    return [f"/page/{path.relative_to(pages.FOLDER).with_suffix('').as_posix()}" for path in paths]


def test_the_camera_is_drawn_here_and_a_picture_of_it_can_be_taken(
    context: BrowserContext, page: Page, server: str
) -> None:
    requests: list[Request] = []
    context.on("request", lambda request: requests.append(request))
    page.get_by_text("Use the camera").first.click()
    page.get_by_text("No face in view.").wait_for(timeout=60_000)
    page.get_by_text("The middle").click()
    page.get_by_text(re.compile(r"\d+ pictures a second in this browser")).wait_for(timeout=60_000)
    assert all(request.method == "GET" for request in requests)
    page.get_by_text("Take this picture").click()
    assert "by way of" in drawn(page)
    page.get_by_text("Another photo").click()
    assert page.locator("#empty").is_visible()


def test_what_cannot_be_drawn_is_told(page: Page, tmp_path: Path) -> None:
    images.write(tmp_path / "grey.png", np.full((300, 400, 3), 127, np.uint8))
    (tmp_path / "text.jpg").write_text("no picture")
    for local in (False, True):
        page.locator("#local").set_checked(local)
        page.locator("#file").set_input_files(tmp_path / "grey.png")
        assert drawn(page).startswith("No face was found. Choose “The middle”")
        assert page.locator("#after").is_visible() and not page.locator("#before").is_visible()
        page.locator("#file").set_input_files(tmp_path / "text.jpg")
        assert drawn(page).startswith("This file cannot be read as a picture.")
        assert not page.locator("#after").is_visible() and not page.locator("#download").is_visible()
        assert page.locator("#status.error").is_visible()


def test_what_is_not_drawn_of_a_file_is_told(page: Page, tmp_path: Path) -> None:
    photo = Image.fromarray(images.read(PHOTO)).resize((300, 200))
    photo.save(tmp_path / "moving.gif", save_all=True, append_images=[photo.rotate(90)])
    page.get_by_text("The whole photo").click()
    for local in (False, True):
        page.locator("#local").set_checked(local)
        page.locator("#file").set_input_files(tmp_path / "moving.gif")
        told = drawn(page)
        assert told.endswith("It moves: this is its first picture.")
        assert bool(re.search(r"no more than 128 . 85 pixels of a whole photo\.", told)) == local
        assert download(page).shape == ((85, 128, 3) if local else (200, 300, 3))


@pytest.fixture
def bare(chromium: Browser) -> Iterator[BrowserContext]:
    """Without a service worker, whose questions would go past a route."""
    opened = chromium.new_context(viewport=WIDE, locale="en-US", service_workers="block")
    yield opened
    opened.close()


def test_a_card_that_could_not_be_fetched_is_asked_for_again(bare: BrowserContext, server: str) -> None:
    bare.route("**/card", lambda route: route.abort())
    page = visit(bare, server)
    page.get_by_text("does not answer").wait_for()
    page.locator("#file").set_input_files(PHOTO)
    assert "by way of" in drawn(page)
    bare.unroute("**/card")
    page.locator("#local").check()
    assert "in this browser" in drawn(page)


def test_generators_alone_say_that_they_take_no_photo(bare: BrowserContext, server: str) -> None:
    def generators(route: Route) -> None:
        filters = [each for each in route.fetch().json()["filters"] if each["kind"] == "latent"]
        route.fulfill(json={"filters": filters})

    bare.route("**/v1/filters", generators)
    picture = images.encode(images.read(PHOTO))
    bare.route("**/v1/filters/*?*", lambda route: route.fulfill(body=picture, content_type="image/png"))
    page = visit(bare, server)
    assert drawn(page).endswith("Number 1.")
    page.locator("#file").set_input_files(PHOTO)
    page.get_by_text("None of these filters takes a photo").wait_for()
    assert not page.locator("#busy").is_visible()


def test_pictures_are_dropped_and_pasted(page: Page) -> None:
    for kind in ("drop", "paste"):
        page.evaluate("""async (kind) => {
            const transfer = new DataTransfer(), blob = await (await fetch('/page/astronaut.webp')).blob();
            transfer.items.add(new File([blob], `${kind}.webp`, {type: 'image/webp'}));
            document.body.dispatchEvent(kind === 'drop' ? new DragEvent('drop', {dataTransfer: transfer, bubbles: true})
              : new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true}));
        }""", kind)  # fmt: skip
        assert "by way of" in drawn(page)
        assert page.locator("#download").get_attribute("download") == f"{kind}_{FILTER}.png"


def test_the_keyboard_is_enough(page: Page) -> None:
    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.locator(selector).evaluate("element => element === document.activeElement"):
                return
        pytest.fail(f"{selector} is not reached")

    tab_to("#sample")
    page.keyboard.press("Enter")
    drawn(page)
    page.keyboard.press("Tab")  # on from where the invitation was
    assert page.locator("#cut").evaluate("element => element === document.activeElement")
    page.keyboard.press("ArrowRight")
    assert page.locator("#compare").evaluate("element => element.style.getPropertyValue('--cut')") == "51%"
    tab_to("#filters input:checked")
    page.keyboard.press("ArrowRight")
    assert page.locator("#filters input:checked").get_attribute("value") != FILTER
    drawn(page)
    tab_to("#crops input:checked")
    page.keyboard.press("ArrowRight")
    drawn(page)
    assert page.locator("#crops input:checked").get_attribute("value") == "paste"
    tab_to("#local")
    page.keyboard.press("Space")
    assert "in this browser" in drawn(page)


def test_it_has_no_barriers_that_axe_knows_of(chromium: Browser, server: str, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    script = Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8")

    def violations(page: Page) -> list[str]:
        page.wait_for_timeout(250)  # colours change slowly
        page.evaluate(script)
        return page.evaluate("async () => (await axe.run()).violations.map(({id, nodes}) => `${id}: ${nodes[0].html}`)")

    for scheme, locale in (("light", "en-US"), ("dark", "ko-KR")):
        context = chromium.new_context(viewport=PHONE, locale=locale, color_scheme=scheme)
        page = visit(context, server)
        assert violations(page) == []
        page.locator("#sample").click()
        drawn(page)
        assert violations(page) == []
        page.locator("#filters input[value^=stargan]").check(force=True)
        drawn(page)
        assert violations(page) == []
        images.write(tmp_path / "grey.png", np.full((300, 400, 3), 127, np.uint8))
        page.locator("#file").set_input_files(tmp_path / "grey.png")
        drawn(page)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        context.close()


def test_it_speaks_english_and_korean(chromium: Browser, server: str) -> None:
    context = chromium.new_context(locale="ko-KR")
    page = visit(context, server)
    assert page.locator("html").get_attribute("lang") == "ko"
    assert page.locator("h1").inner_text() == "사진을 그림으로"
    page.get_by_text("English").click()
    assert page.locator("h1").inner_text() == "A photo in, a drawing out"
    page.reload()
    assert page.locator("h1").inner_text() == "A photo in, a drawing out"  # it remembers
    strings = page.evaluate("async () => (await import('/page/strings.js')).STRINGS")
    assert strings["en"].keys() == strings["ko"].keys()
    assert set(strings["en"]["names"]) == set(strings["ko"]["names"]) == set(included.names())
    for key, english in strings["en"].items():
        if isinstance(english, str):
            assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", strings["ko"][key])), key
    html = (pages.FOLDER / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'data-(?:text|label)="(\w+)"', html)) <= strings["en"].keys()
    context.close()


def test_a_generator_draws_without_a_photo(bare: BrowserContext, server: str) -> None:
    """The answer is the test's: the included generator takes 20 seconds to load."""
    page = visit(bare, server)
    asked: list[str] = []

    def answer(route: object) -> None:
        asked.append(route.request.url)  # type: ignore[attr-defined]
        route.fulfill(body=images.encode(images.read(PHOTO)), content_type="image/png")  # type: ignore[attr-defined]

    page.route("**/v1/filters/stylegan_animefaces?*", answer)
    page.get_by_text("Faces of nobody").click()
    assert drawn(page).endswith("Number 1.")
    assert page.locator("#after").is_visible() and not page.locator("#cut").is_visible()
    assert page.locator("#local").is_disabled() and page.get_by_text("it has no .tflite file").is_visible()
    page.get_by_text("Another one").click()
    drawn(page)
    assert len(set(asked)) == 2 and all("psi=0.7" in url for url in asked)


def test_the_service_worker_keeps_every_file_of_the_page() -> None:
    files = {path.name for path in pages.FOLDER.iterdir() if path.is_file()}
    worker = (pages.FOLDER / "offline.js").read_text(encoding="utf-8")
    modules = re.search(r"\[\n(.*?)\]\.map", worker, re.DOTALL)
    assert modules
    listed = set(re.findall(r"page/([\w.]+)'", worker)) | {f"{name}.js" for name in re.findall(r"'(\w+)'", modules[1])}
    assert files - {"offline.js", "index.html"} == listed


def test_vendored_files_are_those_that_are_listed_also_for_clients_without_brotli(server: str) -> None:
    (sums,) = pages.FOLDER.glob("vendor/*/SHA256SUMS")
    lines = [line.split() for line in sums.read_text().splitlines()]
    assert {name for _, name in lines} == {path.stem for path in sums.parent.glob("*.br")}
    for digest, name in lines:
        with urllib.request.urlopen(f"{server}/page/vendor/{sums.parent.name}/{name}") as response:
            assert hashlib.sha256(response.read()).hexdigest() == digest
            assert "Content-Encoding" not in response.headers
