"""`make apk` builds an app that Android takes, and refuses filters that it could not run; its screens answer."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from helpers import phone
from helpers.phone import ROOT, make_apk, skip_without_tools

from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters import included
from kgan.pictures import images

ANIME, HAIR = make_apk.bundled()
ID = "com.example.anime"
DEMO = make_apk.HERE


def copied(folder: Path, model: Path) -> Path:
    """A filter and its card in another folder."""
    folder.mkdir(exist_ok=True)
    shutil.copy(cards.path_of(model), folder)
    return Path(shutil.copy(model, folder))


@pytest.fixture(scope="module")
def apk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    skip_without_tools()
    output = Path(tmp_path_factory.mktemp("apk")) / "anime.apk"
    try:
        make_apk.build_apk(output, [ANIME, HAIR], ID)
    except UserError as error:
        if "Could not transfer" in str(error) or "UnknownHost" in str(error):
            pytest.skip("needs Maven Central, or the packages that an earlier run fetched from it")
        raise
    return output


def said(*command: str | Path) -> str:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout


def test_android_reads_what_it_is(apk: Path) -> None:
    badging = said("aapt", "dump", "badging", apk)
    assert f"package: name='{ID}' versionCode='1' versionName='0.1.0'" in badging
    assert "sdkVersion:'24'" in badging
    assert "targetSdkVersion:'34'" in badging
    assert "native-code: 'arm64-v8a' 'armeabi-v7a'" in badging
    assert "launchable-activity: name='org.kgan.app.PhotoActivity'" in badging
    assert re.search(r"locales: '--_--' 'ko'", badging)


def test_it_asks_for_the_camera_and_nothing_else(apk: Path) -> None:
    permissions = said("aapt", "dump", "permissions", apk)
    assert re.findall(r"uses-permission: name='([^']*)'", permissions) == ["android.permission.CAMERA"]


def test_the_lent_picture_has_the_address_of_the_app(apk: Path) -> None:
    assert f"{ID}.shared" in said("aapt", "dump", "xmltree", apk, "AndroidManifest.xml")


def test_it_is_signed_by_version_two_and_three_and_aligned(apk: Path) -> None:
    signatures = said("apksigner", "verify", "-v", "--min-sdk-version", "24", apk)
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in signatures
    said("zipalign", "-c", "-p", "4", apk)


def test_the_packed_filters_are_the_exported_ones(apk: Path) -> None:
    with zipfile.ZipFile(apk) as archive:
        for model in (ANIME, HAIR):
            card = cards.read(model)
            assert card is not None
            packed = archive.read(f"assets/filters/{model.name}")
            assert hashlib.sha256(packed).hexdigest() == card.export["sha256"]
            assert archive.read(f"assets/filters/{model.stem}.json") == cards.path_of(model).read_bytes()
        stored = {info.filename for info in archive.infolist() if info.compress_type == zipfile.ZIP_STORED}
        libraries = {name for name in archive.namelist() if name.endswith(".so")}
        assert len(libraries) == 4
        assert libraries < stored  # which Android maps without unpacking
        assert archive.read("assets/blazeface_short_range.tflite") == make_apk.DETECTOR.read_bytes()


def test_a_damaged_apk_is_seen(apk: Path, tmp_path: Path) -> None:
    data = bytearray(apk.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / "damaged.apk"
    damaged.write_bytes(data)
    with pytest.raises(UserError, match="apksigner failed"):
        make_apk.verify(damaged, make_apk.settings(), [ANIME])


def test_another_filter_than_the_cards_is_seen(apk: Path, tmp_path: Path) -> None:
    other = copied(tmp_path, HAIR)
    shutil.copy(cards.path_of(ANIME), cards.path_of(other))
    with pytest.raises(UserError, match="holds another file than the card"):
        make_apk.verify(apk, make_apk.settings() | {"applicationId": ID}, [other])


def test_the_libraries_are_aligned_to_4_kb_as_the_documents_say(apk: Path) -> None:
    assert make_apk.alignments(make_apk.HERE / "build/maven") == [4096]


def test_a_filter_without_its_card_is_refused(tmp_path: Path) -> None:
    model = copied(tmp_path, ANIME)
    cards.path_of(model).unlink()
    with pytest.raises(UserError, match=r"has no card .* copy it from where"):
        make_apk.check(model)


def test_a_card_of_another_file_is_refused(tmp_path: Path) -> None:
    model = copied(tmp_path, ANIME)
    shutil.copy(cards.path_of(HAIR), cards.path_of(model))
    with pytest.raises(UserError, match=r"is not the file that its card .* Copy both from where they were exported\.$"):
        make_apk.check(model)


def test_what_is_no_tflite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no \.tflite file"):
        make_apk.check(ROOT / "kgan/filters/onesided_selfie2anime.keras")
    with pytest.raises(UserError, match="kgan export writes it"):
        make_apk.check(tmp_path / "none.tflite")


def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    if any(not shutil.which(tool) for tool in make_apk.TOOLS):
        pytest.skip("needs Debian's Android tools, which are asked for first")
    with pytest.raises(UserError, match="is no id of an app"):
        make_apk.build_apk(tmp_path / "a.apk", [ANIME], "anime")


def test_a_missing_tool_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt install aapt apksigner default-jdk-headless maven zipalign"):
        make_apk.build_apk(tmp_path / "a.apk", [ANIME])


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(make_apk.HERE / "make_apk.py"), str(tmp_path / "none.tflite")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("kgan: ")
    assert len(result.stderr.splitlines()) == 1


def test_an_operation_that_no_phone_has_is_named(tmp_path: Path) -> None:
    model = tmp_path / "odd.tflite"
    model.write_bytes(phone.custom_model())
    cards.Card(size=(8, 8), sha256=(cards.digest(model)[1],)).write(model)
    with pytest.raises(UserError, match=r"odd\.tflite cannot be loaded by LiteRT: .*Flipped"):
        make_apk.check(model)


def test_a_filter_of_any_size_is_refused(tmp_path: Path) -> None:
    model = copied(tmp_path, ANIME)
    card = cards.read(model)
    assert card is not None
    dataclasses.replace(card, size=None).write(model)
    with pytest.raises(UserError, match="phones need one size: export it with --size"):
        make_apk.check(model)


def test_an_operation_that_is_too_new_is_refused(tmp_path: Path) -> None:
    model = copied(tmp_path, ANIME)
    newer = schema.ModelT.InitFromPackedBuf(model.read_bytes(), 0)
    dense = schema.OperatorCodeT()  # of U-GAT-IT in 8 bits
    dense.builtinCode = dense.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    dense.version = 12
    newer.operatorCodes.append(dense)
    builder = flatbuffers.Builder(0)
    builder.Finish(newer.Pack(builder), b"TFL3")
    model.write_bytes(bytes(builder.Output()))
    card = cards.read(model)
    assert card is not None
    dataclasses.replace(card, sha256=(cards.digest(model)[1],)).write(model)
    with pytest.raises(UserError, match=r"has FULLY_CONNECTED in version 12, and TensorFlow Lite 2\.16\.1"):
        make_apk.check(model)


def test_the_included_filters_can_be_packed() -> None:
    models = sorted(included.FOLDER.glob("*.tflite"))
    assert {ANIME, HAIR} == set(models)
    for model in models:
        make_apk.check(model)


def run(*command: str | Path, needs_network: bool = False) -> None:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    output = result.stdout + result.stderr
    if needs_network and result.returncode and "ould not" in output:
        pytest.skip("needs Maven Central, or the packages that an earlier run fetched from it")
    assert result.returncode == 0, output[-6000:]


@pytest.mark.slow
@pytest.mark.usefixtures("apk")
def test_the_screens_are_drawn_and_answer(tmp_path: Path) -> None:
    """In Robolectric, on a desktop's JVM, from what was made on the way to the APK."""
    fetched, classes, screens = (tmp_path / name for name in ("fetched", "classes", "screens"))
    apk = DEMO / "build/apk"
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
