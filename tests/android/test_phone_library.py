"""The Java library draws what Python draws: its tests run on a desktop's JVM, on goldens that are written here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import phone

from kgan.pictures import faces, images

POM = Path(__file__).resolve().parents[2] / "android_demo/pom.xml"


@pytest.fixture(scope="module")
def goldens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("goldens")
    phone.write(folder)
    return folder


def test_the_goldens_hold_a_face_seen_at_once_with_a_margin_and_in_a_tile(goldens: Path) -> None:
    translated = [golden for golden in phone.read(goldens)["translate"] if golden["part"] == "FACES"]
    looks = [len(golden["detections"]) for golden in translated]
    assert looks[0] == 2  # the picture, then the face's surroundings
    assert max(looks) > 4
    assert faces.detect(images.read(phone.ROOT / "docs/onesided.png")[:, :320])


def test_the_golden_image_of_the_instrumented_test_has_the_networks_size() -> None:
    assert phone.golden_image().shape == (128, 128, 3)


def test_java_draws_the_same(goldens: Path, tmp_path: Path) -> None:
    for tool in ("javac", "mvn"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}: a JDK and Maven (Debian: default-jdk-headless, maven)")
    build = tmp_path / "build"
    command = ["mvn", "-q", "-B", "-f", str(POM), "test", f"-Dgolden={goldens}", f"-DbuildDirectory={build}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if "UnknownHostException" in run.stdout or "Could not transfer" in run.stdout:
        pytest.skip("needs Maven Central, or the packages that an earlier run fetched from it")
    assert run.returncode == 0, run.stdout[-4000:]
    reports = [path.read_text() for path in (build / "surefire-reports").glob("*.txt")]
    counts = [re.search(r"Tests run: (\d+), Failures: 0, Errors: 0, Skipped: (\d+)", report) for report in reports]
    assert all(counts)
    assert sum(int(count[1]) for count in counts if count) >= 30
    assert sum(int(count[2]) for count in counts if count) == 0
