"""Build the app from Maven Central's and Debian's packages alone: `make apk`, `make apk FILTER=exported/anime.tflite`.

Debian gives aapt, zipalign, apksigner, the JDK and Maven; Maven Central TensorFlow Lite, an android.jar and dx. Gradle,
the Android SDK and Google's Maven repository are not needed. The same sources, with LiteRT, are a Gradle project.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

from ai_edge_litert import schema_py_generated as schema  # noqa: E402

from kgan.errors import UserError  # noqa: E402
from kgan.filters import card as cards  # noqa: E402
from kgan.litert import Model  # noqa: E402

ABIS = ("arm64-v8a", "armeabi-v7a")
LIBRARIES = ("tensorflow-lite", "tensorflow-lite-api", "tensorflow-lite-gpu", "tensorflow-lite-gpu-api")
TOOLS = {
    "javac": "default-jdk-headless",
    "keytool": "default-jdk-headless",
    "mvn": "maven",
    "aapt": "aapt",
    "zipalign": "zipalign",
    "apksigner": "apksigner",
}
# The newest version of an operation in TensorFlow Lite 2.16.1, where today's exports have a newer one: read off
# TensorFlow 2.16.1, which has the same kernels. It says "Didn't find op for builtin opcode".
NEWEST = {schema.BuiltinOperator.FULLY_CONNECTED: ("FULLY_CONNECTED", 11)}
DETECTOR = ROOT / "kgan/assets/blazeface_short_range.tflite"
SAMPLE = ROOT / "docs/onesided.png"
# Android Studio's own place, passwords and name, so that either build replaces the other on a phone.
KEYSTORE = Path.home() / ".android/debug.keystore"
PASSWORD = "android"
ALIAS = "androiddebugkey"


def settings() -> dict[str, str]:
    """What gradle.properties says."""
    lines = (HERE / "gradle.properties").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def bundled() -> list[Path]:
    """The filters that the app has unless others are asked for."""
    return [ROOT / line for line in (HERE / "bundled.txt").read_text(encoding="utf-8").splitlines()]


def check(model: Path) -> None:
    """A `UserError` where a filter is none that the app can run."""
    if model.suffix != ".tflite":
        raise UserError(f"FILTER={model} is no .tflite file: kgan export writes one of a filter.")
    if not model.is_file():
        raise UserError(f"There is no {model}: kgan export writes it.")
    card = cards.read(model)
    if card is None:
        raise UserError(f"{model} has no card {cards.path_of(model)}: copy it from where the filter was exported.")
    if card.kind != "filter":
        raise UserError(f"{model} is a generator, which draws from noise: the app runs filters.")
    if not card.digests:
        raise UserError(f"{cards.path_of(model)} names no sha256: export the filter again.")
    if cards.digest(model)[1] not in card.digests:
        raise UserError(
            f"{model} is not the file that its card {cards.path_of(model)} was written with: one of them was damaged, "
            "or is of another filter. Copy both from where they were exported."
        )
    shapes = [tuple(tensor["shape_signature"]) for tensor in Model(model, threads=1).inputs]
    if card.size is None or (1, *card.size, 3) not in shapes:
        raise UserError(f"{model} takes {shapes}, and phones need one size: export it with --size.")

    operations = schema.Model.GetRootAs(model.read_bytes())
    for i in range(operations.OperatorCodesLength()):
        code = operations.OperatorCodes(i)
        name, newest = NEWEST.get(code.BuiltinCode(), ("", code.Version()))
        if code.Version() > newest:
            raise UserError(
                f"{model} has {name} in version {code.Version()}, and TensorFlow Lite 2.16.1, which make apk packs, "
                f"has {newest}: export it with --recipes=float16, or build with Gradle, which packs LiteRT."
            )


def run(*command: str | Path) -> str:
    """Run a tool; its output. A `UserError` with what it said where it fails."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode:
        said = (result.stdout + result.stderr).strip()
        raise UserError(f"{command[0]} failed:\n{said[-3000:]}")
    return result.stdout + result.stderr


def fetch(build: Path) -> Path:
    """The folder of what Maven Central gives; it is asked only where something is missing."""
    folder = build / "maven"
    names = [*(f"{name}.aar" for name in LIBRARIES), "android-all.jar", "dalvik-dx.jar"]
    if not all((folder / name).is_file() for name in names):
        print("Fetching TensorFlow Lite, android.jar and dx from Maven Central: 150 MB the first time ...")
        run("mvn", "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy@apk", f"-DapkDirectory={folder}")
    for name in LIBRARIES:
        with zipfile.ZipFile(folder / f"{name}.aar") as archive:
            archive.extractall(folder / name)
    return folder


def write_assets(folder: Path, filters: list[Path]) -> None:
    """Lay the filters with their cards, the face detector and the sample photo where the app looks for them."""
    (folder / "filters").mkdir(parents=True)
    for model in filters:
        for file in (model, cards.path_of(model)):
            shutil.copy(file, folder / "filters")
    shutil.copy(DETECTOR, folder)
    shutil.copy(SAMPLE, folder / "sample.png")


def write_manifest(file: Path, facts: dict[str, str]) -> None:
    """The manifest with what Gradle would add to it."""
    text = (HERE / "app/src/main/AndroidManifest.xml").read_text(encoding="utf-8")
    text = text.replace("${applicationId}", facts["applicationId"])
    head = (
        f' package="org.kgan.app" android:versionCode="{facts["versionCode"]}" '
        f'android:versionName="{facts["versionName"]}">\n    <uses-sdk android:minSdkVersion="{facts["minSdk"]}" '
        f'android:targetSdkVersion="{facts["targetSdk"]}" />'
    )
    text = re.sub(r"(<manifest[^>]*)>", lambda match: match[1] + head, text, count=1)
    # The libraries lie in the APK uncompressed, and are mapped from there.
    text = text.replace("<application", '<application android:extractNativeLibs="false"', 1)
    file.write_text(text, encoding="utf-8")


def compile_sources(work: Path, maven: Path, generated: Path) -> Path:
    """javac at the level of Java 8, then dx, which knows no lambdas: classes.dex."""
    classes = work / "classes"
    classes.mkdir()
    folders = ("library/src/main/java", "library/src/interpreter/java", "app/src/main/java")
    sources = [*generated.rglob("*.java")]
    for folder in folders:
        sources += sorted((HERE / folder).rglob("*.java"))
    jars = [maven / name / "classes.jar" for name in LIBRARIES]
    path = os.pathsep.join(map(str, [maven / "android-all.jar", *jars]))
    run("javac", "--release", "8", "-nowarn", "-encoding", "UTF-8", "-d", classes, "-cp", path, *sources)
    dex = work / "classes.dex"
    dx = ("java", "-Xmx1g", "-cp", maven / "dalvik-dx.jar", "com.android.dx.command.Main")
    run(*dx, "--dex", f"--min-sdk-version={settings()['minSdk']}", f"--output={dex}", classes, *jars)
    return dex


def keystore() -> Path:
    """The key that debug builds are signed with, made where there is none yet."""
    if not KEYSTORE.is_file():
        KEYSTORE.parent.mkdir(parents=True, exist_ok=True)
        words = f"-genkeypair -keyalg RSA -keysize 2048 -validity 10000 -alias {ALIAS} -storepass {PASSWORD}"
        run("keytool", *words.split(), "-keypass", PASSWORD, "-dname", "CN=Android Debug", "-keystore", KEYSTORE)
    return KEYSTORE


def verify(apk: Path, facts: dict[str, str], filters: list[Path]) -> None:
    """A `UserError` unless the APK is signed, aligned, of this name, without network, and holds the filters' bytes."""
    run("apksigner", "verify", "--min-sdk-version", facts["minSdk"], apk)
    run("zipalign", "-c", "-p", "4", apk)
    badging = run("aapt", "dump", "badging", apk)
    if f"name='{facts['applicationId']}'" not in badging or "INTERNET" in badging:
        raise UserError(f"{apk} is not what was asked for:\n{badging}")
    with zipfile.ZipFile(apk) as archive:
        for model in filters:
            card = cards.read(model)
            assert card is not None
            packed = hashlib.sha256(archive.read(f"assets/filters/{model.name}")).hexdigest()
            if packed not in card.digests:
                raise UserError(f"{apk} holds another file than the card of {model.name} names.")


def alignments(maven: Path) -> list[int]:
    """To how many bytes the segments of TensorFlow Lite's libraries are aligned, by their ELF headers, sorted."""
    steps = set()
    for library in maven.glob(f"*/jni/{ABIS[0]}/*.so"):
        data = library.read_bytes()
        start, size, count = (int.from_bytes(data[at : at + n], "little") for at, n in ((32, 8), (54, 2), (56, 2)))
        for at in range(start, start + count * size, size):
            if int.from_bytes(data[at : at + 4], "little") == 1:  # PT_LOAD
                steps.add(int.from_bytes(data[at + 48 : at + 56], "little"))
    return sorted(steps)


def build_apk(output: Path, filters: list[Path], application_id: str = "", build: Path = HERE / "build") -> None:
    """Build, sign and verify the app.

    Args:
      output: the APK to write.
      filters: .tflite files with their cards beside them.
      application_id: of one's own app, such as "com.example.anime"; by default what gradle.properties says.
      build: a folder for what is fetched and made on the way.

    Raises:
      UserError: a tool is missing, or a filter is none that the app can run.
    """
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        raise UserError(f"make apk needs these packages of Debian: apt install {' '.join(missing)}.")
    facts = settings() | ({"applicationId": application_id} if application_id else {})
    if not re.fullmatch(r"[a-zA-Z]\w*(\.[a-zA-Z]\w*)+", facts["applicationId"]):
        raise UserError(f"APP_ID={application_id} is no id of an app: write it as com.example.anime.")
    for model in filters:
        check(model)
    if len({model.name for model in filters}) < len(filters):
        raise UserError("Two of the filters have the same name: rename one, and its card.")
    maven = fetch(build)
    work = build / "apk"
    shutil.rmtree(work, ignore_errors=True)
    assets, generated, unaligned = work / "assets", work / "generated", work / "unaligned.apk"
    generated.mkdir(parents=True)
    write_assets(assets, filters)
    write_manifest(work / "AndroidManifest.xml", facts)
    resources = ("-S", HERE / "app/src/main/res", "-A", assets, "-I", maven / "android-all.jar", "-0", "tflite")
    renamed = ("--rename-manifest-package", facts["applicationId"])
    manifest = ("-M", work / "AndroidManifest.xml")
    run("aapt", "package", "-f", "-m", *manifest, *resources, *renamed, "-J", generated, "-F", unaligned)
    with zipfile.ZipFile(unaligned, "a") as archive:
        archive.write(compile_sources(work, maven, generated), "classes.dex", zipfile.ZIP_DEFLATED)
        for abi in ABIS:
            for library in sorted(maven.glob(f"*/jni/{abi}/*.so")):
                archive.write(library, f"lib/{abi}/{library.name}", zipfile.ZIP_STORED)
    aligned = work / "aligned.apk"
    run("zipalign", "-f", "-p", "4", unaligned, aligned)
    signing = ("--ks-pass", f"pass:{PASSWORD}", "--ks-key-alias", ALIAS, "--min-sdk-version", facts["minSdk"])
    run("apksigner", "sign", "--ks", keystore(), *signing, aligned)
    verify(aligned, facts, filters)
    output.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(aligned, output)
    pages = " and ".join(f"{step // 1024} KB" for step in alignments(maven))
    names, size = ", ".join(model.stem for model in filters), output.stat().st_size / 1e6
    print(f"{output}: {size:.1f} MB, {facts['applicationId']}, with {names}. Signed with the debug key, verified.")
    print(
        f"TensorFlow Lite's libraries are aligned to {pages}, and Google Play asks for 16 KB: this APK is for "
        "side-loading, the Gradle build for the store."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the phone's app without Gradle and SDK.")
    parser.add_argument("filters", nargs="*", type=Path, help=".tflite files, cards beside them; included ones if none")
    parser.add_argument("--output", type=Path, default=ROOT / "build/kgan.apk", help="the APK to write")
    parser.add_argument("--app_id", default="", help="the id of your own app, such as com.example.anime")
    arguments = parser.parse_args()
    try:
        build_apk(arguments.output, arguments.filters or bundled(), arguments.app_id)
    except UserError as error:
        sys.exit(f"kgan: {error}")


if __name__ == "__main__":
    main()
