"""The app's screens run in Robolectric, on a desktop's JVM: they are pressed, and drawn to PNG files."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from helpers.phone import make_apk, skip_without_tools

from kgan.errors import UserError
from kgan.pictures import images

DEMO = make_apk.HERE


def run(*command: str | Path, needs_network: bool = False) -> None:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    output = result.stdout + result.stderr
    if needs_network and result.returncode and "ould not" in output:
        pytest.skip("needs Maven Central, or the packages that an earlier run fetched from it")
    assert result.returncode == 0, output[-6000:]


@pytest.mark.slow
def test_the_screens_are_drawn_and_answer(tmp_path: Path) -> None:
    skip_without_tools()
    try:
        make_apk.build_apk(tmp_path / "kgan.apk", make_apk.bundled())
    except UserError as error:
        pytest.skip(f"make apk did not build it: {error}")
    fetched, classes, screens, apk = (
        tmp_path / "fetched",
        tmp_path / "classes",
        tmp_path / "screens",
        DEMO / "build/apk",
    )
    pom = ("mvn", "-q", "-B", "-f", DEMO / "screens/pom.xml")
    run(*pom, "dependency:copy@android", f"-DoutputDirectory={fetched}", needs_network=True)
    run(*pom, "dependency:build-classpath", f"-Dmdep.outputFile={tmp_path / 'path'}", needs_network=True)
    jars = [DEMO / "build/maven/android-all.jar", (tmp_path / "path").read_text()]
    for archive in fetched.glob("*.aar"):
        with zipfile.ZipFile(archive) as file:
            jars.append(Path(file.extract("classes.jar", fetched / archive.stem)))
    path = os.pathsep.join(map(str, [classes, *jars]))

    folders = (DEMO / "screens/src", DEMO / "library/src/main/java", DEMO / "app/src/main/java", apk / "generated")
    sources = [source for folder in folders for source in sorted(folder.rglob("*.java"))]
    facts = classes / "com/android/tools/test_config.properties"
    facts.parent.mkdir(parents=True)
    screens.mkdir()
    facts.write_text(
        f"android_resource_apk={apk / 'unaligned.apk'}\nandroid_merged_manifest={apk / 'AndroidManifest.xml'}\n"
        f"android_merged_assets={apk / 'assets'}\nandroid_custom_package=org.kgan.app\n"
    )
    run("javac", "-nowarn", "-encoding", "UTF-8", "-d", classes, "-cp", path, *sources)
    offline = ("-Drobolectric.offline=true", f"-Drobolectric.dependency.dir={fetched}", f"-Dscreens={screens}")
    run("java", *offline, "-cp", path, "org.junit.runner.JUnitCore", "org.kgan.app.ScreensTest")

    drawn = {picture.stem: images.read(picture) for picture in screens.glob("*.png")}
    assert drawn.keys() == {"photo", "photo_night", "labels_korean", "camera_refused"}
    assert drawn["photo"].shape[0] > drawn["photo"].shape[1]
    assert drawn["photo"][-4:].mean() > 200 > 100 > drawn["photo_night"][-4:, -400:].mean()  # light, and dark
