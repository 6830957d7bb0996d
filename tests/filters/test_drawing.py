"""Drawing with a generator: its parts, single pictures, mixed styles, truncation and films."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.commands import status
from helpers.small_generator import LABELS, SETTINGS, written
from PIL import Image

from kgan.commands import generate as command
from kgan.errors import UserError
from kgan.filters import drawing, generators, loading
from kgan.filters.generators import Generator
from kgan.pictures import film, images
from kgan.systems.system import Stage


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="module")
def generator(path: Path) -> Generator:
    return generators.load(path)


def test_its_parts_make_the_whole(path: Path, generator: Generator) -> None:
    assert (generator.image_size, generator.latent_size, generator.layers, generator.cutoff) == (16, 8, 6, 4)
    model = keras.saving.load_model(path, compile=False)
    noise = dict.fromkeys(generator.noise_shapes)
    for psi in (1.0, 0.3):
        inputs = {"z": generator.z([3, 5]), "psi": np.full((2, 1), psi, "float32"), **noise}
        expected = keras.ops.convert_to_numpy(model(inputs, training=False)["image"])
        np.testing.assert_allclose(generator([3, 5], psi), expected, atol=1e-5)


def test_a_seed_is_a_picture_whatever_its_company(generator: Generator) -> None:
    many = generator(range(20), 0.7)
    assert many.shape == (20, 16, 16, 3) and many.std() > 0.1
    np.testing.assert_allclose(generator([17], 0.7)[0], many[17], atol=1e-5)


def test_truncation_touches_the_coarse_layers(generator: Generator) -> None:
    w = generator.w(generator.z([1, 2]))
    ws = generator.ws(w, 0.5)
    np.testing.assert_allclose(ws[:, :4], np.repeat((generator.mean + 0.5 * (w - generator.mean))[:, None], 4, 1))
    np.testing.assert_array_equal(ws[:, 4:], np.repeat(w[:, None], 2, 1))
    np.testing.assert_array_equal(generator.ws(w, 0.5, cutoff=0), np.repeat(w[:, None], 6, 1))


def test_noise_of_ones_own(generator: Generator) -> None:
    ws = generator.ws(generator.w(generator.z([1])))
    assert generator.noise_shapes["noise5"] == (16, 16, 1)
    noise = {name: np.zeros((1, *shape), np.float32) for name, shape in generator.noise_shapes.items()}
    assert np.abs(generator.draw(ws, noise) - generator.draw(ws)).max() > 0.01


def test_labels(tmp_path: Path) -> None:
    generator = generators.load(written(tmp_path, LABELS))
    red, black = (generator([0], 1.0, generator.label(f"hair={hair}")) for hair in ("red", "black"))
    assert np.abs(red - black).max() > 0.01
    with pytest.raises(UserError, match="needs a label, such as hair=black"):
        generator.label(None)
    with pytest.raises(UserError, match="hair is never 'green'"):
        generator.label("hair=green")


def test_a_generator_that_still_grows(tmp_path: Path) -> None:
    """Saved at 8 of 16 px it has styles for six layers and uses four."""
    system = SETTINGS.create(1, 0)
    system.enter(Stage(0, 0, 8, 1))
    system.generators()["generator"].save(tmp_path / "generator.keras")
    generator = generators.load(tmp_path / "generator.keras")
    assert (generator.image_size, generator.layers, generator.used) == (8, 6, 4)
    assert drawing.layers_of("coarse", generator) == [0, 1, 2, 3] and generator([0]).shape == (1, 8, 8, 3)
    with pytest.raises(UserError, match="--layers=middle: this generator has the layers 0 to 3"):
        drawing.layers_of("middle", generator)


# --- sheets and films --------------------------------------------------------------------------------------------


def cell(sheet: np.ndarray, row: int, column: int, top: int = 0) -> np.ndarray:
    """A picture of a grid with gaps of 2 pixels."""
    y, x = top + 2 + 18 * row, 2 + 18 * column
    return sheet[y : y + 16, x : x + 16]


def test_mixed_styles(generator: Generator) -> None:
    """Row 0 and column 0 are the pictures themselves; all layers from the column give its picture, none the row's."""
    rows, columns = images.to_uint8(generator([1, 2], 0.7)), images.to_uint8(generator([3, 4, 5], 0.7))
    sheets = {
        layers: drawing.mixed(generator, [1, 2], [3, 4, 5], list(layers), 0.7)
        for layers in ((), (0, 1, 2, 3, 4, 5), (0, 1))
    }
    for sheet in sheets.values():
        assert sheet.shape == (3 * 18 + 2, 4 * 18 + 2, 3) and (cell(sheet, 0, 0) == 255).all()
        np.testing.assert_allclose(cell(sheet, 2, 0), rows[1], atol=1)
        np.testing.assert_allclose(cell(sheet, 0, 3), columns[2], atol=1)
    np.testing.assert_allclose(cell(sheets[()], 2, 3), rows[1], atol=1)
    np.testing.assert_allclose(cell(sheets[(0, 1, 2, 3, 4, 5)], 2, 3), columns[2], atol=1)
    mixed = cell(sheets[(0, 1)], 2, 3).astype(int)
    assert np.abs(mixed - rows[1]).max() > 5 and np.abs(mixed - columns[2]).max() > 5


def test_truncation_side_by_side(generator: Generator) -> None:
    sheet = drawing.truncated(generator, [1, 2], [0.0, 0.7])
    np.testing.assert_allclose(cell(sheet, 1, 1, top=14), images.to_uint8(generator([2], 0.7))[0], atol=1)
    np.testing.assert_allclose(cell(sheet, 0, 0, top=14), images.to_uint8(generator([1], 0.0))[0], atol=1)


def test_a_walk_passes_its_seeds_in_equal_steps(generator: Generator) -> None:
    frames = list(drawing.walk(generator, [1, 2, 3], 30, 0.7))
    assert len(frames) == 30
    for frame, seed in ((0, 1), (10, 2), (20, 3)):
        np.testing.assert_allclose(frames[frame], images.to_uint8(generator([seed], 0.7))[0], atol=1)
    half = (drawing.styles(generator, [3], 0.7) + drawing.styles(generator, [1], 0.7)) / 2
    np.testing.assert_allclose(frames[25], images.to_uint8(generator.draw(half))[0], atol=1)


def test_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.full((16, 24, 3), 40 * i, np.uint8) for i in range(5)]
    film.write(tmp_path / "film.gif", iter(frames))
    with Image.open(tmp_path / "film.gif") as opened:
        assert (opened.n_frames, opened.size, opened.info["loop"]) == (5, (24, 16), 0)  # type: ignore[attr-defined]

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"an \.mp4 needs the program ffmpeg"):
        film.write(tmp_path / "film.mp4", iter(frames))
    fake = tmp_path / "ffmpeg"
    fake.write_text(f"#!{sys.executable}\nimport sys\nopen(sys.argv[-1], 'wb').write(sys.stdin.buffer.read())\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    film.write(tmp_path / "film.mp4", iter(frames))
    assert (tmp_path / "film.mp4").read_bytes() == b"".join(frame.tobytes() for frame in frames)
    fake.write_text("#!/bin/sh\necho no such codec >&2\nexit 1\n")
    with pytest.raises(UserError, match=r"ffmpeg could not write .*no such codec"):
        film.write(tmp_path / "other.mp4", iter(frames))
    assert not (tmp_path / "other.mp4").exists()


# --- the command -------------------------------------------------------------------------------------------------


def run(*arguments: str) -> int:
    return status(command, *arguments)


def test_the_command(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"--model={path}", "--seeds=3,8-9", f"--output={tmp_path / 'out'}") == 0
    assert "Wrote 3 pictures and grid.png" in capsys.readouterr().out
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["grid.png", "seed000003.png", "seed000008.png", "seed000009.png"]
    expected = images.to_uint8(generators.load(path)([8], 0.7))[0]
    np.testing.assert_allclose(images.read(tmp_path / "out" / "seed000008.png"), expected, atol=1)
    given = {"g.png": [], "m.png": ["--mix=5-6", "--layers=middle"], "p.png": ["--psis=-1,1"], "w.GIF": ["--frames=4"]}
    for name, extra in given.items():
        assert run(f"--model={path}", "--seeds=0-1", *extra, f"--output={tmp_path / name}") == 0
        assert (tmp_path / name).is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds=5-2"], "--seeds=5-2 is no list of numbers"),
        (["--layers=fine"], "--layers has no effect without --mix"),
        (
            ["--psis=1", "--truncation_psi=0.5", "--output=x.png"],
            "--truncation_psi has no effect with --psis, which names several",
        ),
        (["--seeds=a"], "--seeds=a is no list of numbers"),
        (["--mix=1", "--output=folder"], "should be a picture for a sheet"),
        (["--frames=9"], "should be a film for --frames"),
        (["--mix=1", "--psis=1", "--output=x.png"], "give one of them"),
        (["--psis=a", "--output=x.png"], "--psis=a: numbers are wanted"),
        (["--mix=1", "--layers=4-6", "--output=x.png"], "this generator has the layers 0 to 5"),
        (["--mix=1", "--layers=fine", "--output=x.png"], "this generator has the layers 0 to 5"),
        (["--label=hair=red"], "The generator tiny takes no label"),
        (["--model=nowhere.keras"], "There is no generator nowhere.keras"),
        (["--output="], "--output=... is missing"),
    ],
)
def test_mistakes(
    path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert run(f"--model={path}", f"--output={tmp_path / 'out'}", *arguments) == 2
    assert sentence in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_filter_is_no_generator_and_a_generator_no_filter(path: Path, tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.ReLU()(image)).save(tmp_path / "filter.keras")
    with pytest.raises(UserError, match="is no generator: it has no mapping"):
        generators.load(tmp_path / "filter.keras")
    with pytest.raises(UserError, match="is no filter: it draws pictures of noise"):
        loading.load(path)
