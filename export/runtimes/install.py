"""Fetches the runtimes that `kgan verify` looks for: python -m kgan.export.runtimes.install.

All goes into a folder of its own (`kgan.export.runtimes.folder`): Debian's packages are unpacked there, checked by
Debian's signatures, and Python's wheels too. Only Chromium is installed into the system, where apt and root are there.
Each step says what it fetches; what cannot be done is said and left out, and so is its lane.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgan import files
from kgan.errors import UserError
from kgan.export import runtimes
from kgan.export.runtimes import Absent, arm64, browser, openvino

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RELEASE = "trixie"  # Debian 13: the QEMU of 12 crashes in XNNPACK
APT = """
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "{folder}/lists";
Dir::Cache "{folder}/cache";
APT::Architectures "amd64,arm64";
APT::Sandbox::User "";
Acquire::Languages "none";
"""
PYTHON = "3.13"  # of Debian 13
PACKAGES = (
    *("qemu-user:amd64", f"python{PYTHON}-minimal:arm64", f"libpython{PYTHON}-minimal:arm64"),
    *(f"libpython{PYTHON}-stdlib:arm64", "libc6:arm64", "libgcc-s1:arm64", "libstdc++6:arm64", "zlib1g:arm64"),
    *("libexpat1:arm64", "libffi8:arm64", "libbz2-1.0:arm64", "liblzma5:arm64", "libssl3t64:arm64"),
)
LITERT = "ai-edge-litert==2.3.0"  # the one that kgan itself runs
OPENVINO = "openvino==2026.4.1"
WHEELS = [f"--platform=manylinux{glibc}_aarch64" for glibc in ("_2_28", "_2_27", "_2_17", "2014")]


def main() -> None:
    print(f"Runtimes for kgan verify go to {runtimes.folder()}; ${runtimes.VARIABLE} names another folder.", flush=True)
    for name, install in (("arm64", install_arm64), ("openvino", install_openvino), ("browser, gpu", install_chromium)):
        try:
            print(f"{name}: {install()}.", flush=True)
        except (Absent, OSError, UserError, subprocess.CalledProcessError) as error:
            print(f"{name}: left out. {reason(error)}", flush=True)


def reason(error: Exception) -> str:
    """The last line of what a program said, or of what an error says."""
    said = (error.stderr or error.stdout or "") if isinstance(error, subprocess.CalledProcessError) else ""
    return ((said.strip() or str(error)).splitlines() or [type(error).__name__])[-1]


def install_arm64() -> str:
    """QEMU, and what LiteRT needs in an ARM64 system."""
    if (arm64.root() / arm64.EMULATOR).is_file():
        return f"{arm64.root()} is there already"
    if platform.machine() != "x86_64" or not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Absent("It needs apt-get and dpkg-deb, as Debian and Ubuntu have them, on an x86-64 processor.")
    if not KEYRING.is_file():
        raise Absent(f"Debian's keys are not in {KEYRING}: apt install debian-archive-keyring.")
    print("arm64: fetching QEMU and a small ARM64 system from Debian 13, and LiteRT from PyPI: 120 MB ...", flush=True)
    with files.replacing(arm64.root()) as root, tempfile.TemporaryDirectory() as temporary:
        (root / "usr/lib").mkdir(parents=True)
        (root / "lib").symlink_to("usr/lib")
        for package in download_debian(Path(temporary)):
            call(["dpkg-deb", "--fsys-tarfile", package], ["tar", "-x", "-C", root, "--keep-directory-symlink"])
        for other in (root / "usr/bin").glob("qemu-*"):
            if other.name != arm64.EMULATOR.name:
                other.unlink()  # other processors', 400 MB
        pip("--target", root / arm64.SITE, "--python-version", PYTHON, "--implementation=cp", *WHEELS, LITERT)
    return f"{arm64.root()} holds QEMU and LiteRT for ARM64"


def download_debian(folder: Path) -> list[Path]:
    """The files of `PACKAGES`, by an apt that knows Debian 13 alone and leaves the system's own lists as they are."""
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "cache/archives/partial").mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {RELEASE} main\n")
    (folder / "apt.conf").write_text(APT.format(folder=folder))
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
    for command in (["update"], ["download", *PACKAGES]):
        output("apt-get", "--quiet", "--quiet", *command, cwd=folder, env=environment)
    return sorted(folder.glob("*.deb"))


def mirror() -> str:
    """The address of a Debian mirror: $KGAN_DEBIAN, else the one that this system's apt uses."""
    if os.environ.get("KGAN_DEBIAN"):
        return os.environ["KGAN_DEBIAN"]
    targets = output("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)").splitlines()
    addresses = [target.split()[0] for target in targets if "-" not in target.split()[1]]  # not security, not updates
    if not addresses:
        raise Absent("apt knows no Debian mirror here: name one, as KGAN_DEBIAN=http://...")
    return addresses[0]


def install_openvino() -> str:
    """The wheel alone: its dependency openvino-telemetry reports usage and is not needed."""
    if importlib.util.find_spec("openvino") or (openvino.root() / "openvino").is_dir():
        return "it is there already"
    print(f"openvino: fetching {OPENVINO} from PyPI: 60 MB ...", flush=True)
    with files.replacing(openvino.root()) as root:
        pip("--target", root, "--no-deps", OPENVINO)
    return f"{openvino.root()} holds it"


def install_chromium() -> str:
    """Chromium, which brings SwiftShader too."""
    try:
        return f"{browser.find()} is there already"
    except Absent:
        if not shutil.which("apt-get") or os.geteuid():
            raise Absent("Chromium is missing; as root: apt-get install chromium.") from None
    print("browser, gpu: apt-get install chromium ...", flush=True)
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        output("apt-get", "--quiet", "--quiet", *command)
    return f"{browser.find()} is installed"


def pip(*arguments: str | Path) -> None:
    """pip install, of wheels only."""
    options = ("--quiet", "--disable-pip-version-check", "--only-binary=:all:")
    output(sys.executable, "-m", "pip", "install", *options, *arguments)


def output(*line: str | Path, **options: Any) -> str:
    """What a program says; `options` as of `subprocess.run`."""
    return subprocess.run(list(map(str, line)), check=True, capture_output=True, text=True, **options).stdout


def call(first: Sequence[str | Path], second: Sequence[str | Path]) -> None:
    """first | second."""
    data = subprocess.run(list(map(str, first)), check=True, capture_output=True).stdout
    subprocess.run(list(map(str, second)), check=True, input=data)


if __name__ == "__main__":
    main()
