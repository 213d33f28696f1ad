"""An emulated 64-bit Arm device: a Debian root, a Python environment and a launcher, in one folder that can be reused.

The launcher stands for the device's Python: programs that it starts by `sys.executable` are emulated as well. The root
states the processor of a Cortex-A76, because libraries read `/proc/cpuinfo` and `/sys`: those of an x86-64 host have
no entries for Arm, and ONNX Runtime from 1.29 on ends in a segmentation fault on them.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["Device", "missing_tools", "prepare"]

SCRIPTS = Path(__file__).resolve().parent
TOOLS = ("apt-get", "dpkg-deb", "dpkg")
EMULATOR = "qemu-aarch64-static"
EMULATOR_PACKAGE = "qemu-user-static"
PROCESSOR = "cortex-a76"
PACKAGES = (
    "python3",
    "libstdc++6",
    "libgomp1",
    "zlib1g",
    "base-files",
    "libpng-dev",
    "libssl-dev",
    "nlohmann-json3-dev",
)
"""The last three are for the native runner, which is compiled on the host."""
PYTHON = "3.11"
GLIBC = "2.36"
"""Python and glibc of Debian 12, whose packages are the device."""

CPUINFO = """processor\t: {number}
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
MIDR = "0x00000000414fd0b1\n"
LAUNCHER = """#!/bin/sh
export PYTHONHOME='{root}/usr' PYTHONPATH='{path}' PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
exec '{emulator}' -cpu {processor} -0 '{launcher}' -L '{root}' '{root}/usr/bin/python{python}' "$@"
"""


class Device(NamedTuple):
    """An emulated device: its launcher, root folder, packages and emulator."""

    python: Path
    root: Path
    site: Path
    emulator: Path

    def native(self, program: str | Path) -> list[str]:
        """Return the command that runs an Arm program of the host's disk."""
        return [
            str(self.emulator),
            "-cpu",
            PROCESSOR,
            "-L",
            str(self.root),
            str(program),
        ]

    def versions(self) -> dict[str, str]:
        """Return the versions of the emulator, the root and the packages."""
        shown = _output(str(self.emulator), "--version").splitlines()
        code = (
            "import importlib.metadata as m, platform as p;"
            "print(p.machine(), p.python_version(), p.libc_ver()[1]);"
            "[print(d.name, d.version) for d in m.distributions()]"
        )
        first, *rest = _output(str(self.python), "-c", code).splitlines()
        machine, python, glibc = first.split()
        release = (self.root / "etc" / "debian_version").read_text().strip()
        found = {
            "emulator": shown[0] if shown else "unknown",
            "processor": f"{PROCESSOR} ({machine}), emulated",
            "root": f"Debian {release}, glibc {glibc}",
            "python": python,
        }
        kept = ("onnxruntime", "openvino", "numpy", "pillow", "pydantic")
        packages = dict(line.split(maxsplit=1) for line in rest)
        return found | {n: packages[n] for n in kept if n in packages}


def missing_tools() -> list[str]:
    """Return the host's programs that are needed and not there."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def prepare(folder: Path, extras: list[str], pins: list[str]) -> Device:
    """Make or reuse a device in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    emulator = _emulator(folder)
    root = _root(folder)
    site = _site(folder, extras, pins)
    launcher = folder / "python"
    text = LAUNCHER.format(
        root=root,
        path=f"{SCRIPTS.parent}:{site}",
        emulator=emulator,
        processor=PROCESSOR,
        launcher=launcher,
        python=PYTHON,
    )
    launcher.write_text(text)
    launcher.chmod(0o755)
    return Device(launcher, root, site, emulator)


def _emulator(folder: Path) -> Path:
    """Return the emulator: the host's, or that of a package unpacked here."""
    installed = shutil.which(EMULATOR)
    if installed:
        return Path(installed)
    target = folder / "emulator"
    program = target / "usr" / "bin" / EMULATOR
    if not program.exists():
        _say(f"fetching {EMULATOR_PACKAGE}")
        target.mkdir(exist_ok=True)
        _run("apt-get", "download", EMULATOR_PACKAGE, cwd=target)
        for package in target.glob("*.deb"):
            _run("dpkg-deb", "-x", str(package), str(target))
            package.unlink()
    return program


def _root(folder: Path) -> Path:
    """Return a root with the device's packages, fetched from the host's Debian sources."""
    root, done = folder / "root", folder / "root.done"
    if done.exists() and done.read_text() == _stamp(*PACKAGES):
        return root
    _say("fetching the device's Debian packages")
    for old in (root, folder / "apt"):
        shutil.rmtree(old, ignore_errors=True)
    options = _apt_options(folder / "apt")
    _run("apt-get", *options, "update")
    _run("apt-get", *options, "install", "--download-only", "--yes", *PACKAGES)
    root.mkdir()
    for package in sorted((folder / "apt" / "archives").glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(root))
    shutil.rmtree(folder / "apt")
    _check_release(root)
    state_processor(root)
    done.write_text(_stamp(*PACKAGES))
    return root


def _apt_options(folder: Path) -> list[str]:
    """Return options for a state of apt of its own, in which nothing is installed."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Debug::NoLocking": "true",
    }
    return [
        word
        for name, value in settings.items()
        for word in ("-o", f"{name}={value}")
    ]


def _check_release(root: Path) -> None:
    version = root / "etc" / "debian_version"
    python = root / "usr" / "bin" / f"python{PYTHON}"
    if not python.exists():
        said = version.read_text().strip() if version.exists() else "unknown"
        sys.exit(
            f"error: got packages of release {said}; expected Debian 12, which has Python {PYTHON}: use a host or container with its package sources"
        )


def state_processor(root: Path) -> None:
    """Write the processor's description, which the emulator shows in place of the host's."""
    count = os.cpu_count() or 1
    (root / "proc").mkdir(exist_ok=True)
    entries = [CPUINFO.format(number=number) for number in range(count)]
    (root / "proc" / "cpuinfo").write_text("".join(entries))
    for number in range(count):
        place = root / f"sys/devices/system/cpu/cpu{number}/regs/identification"
        place.mkdir(parents=True, exist_ok=True)
        (place / "midr_el1").write_text(MIDR)


def _site(folder: Path, extras: list[str], pins: list[str]) -> Path:
    """Return a folder of installed packages, from a wheelhouse that is proven complete."""
    site, done = folder / "site", folder / "site.done"
    project = (SCRIPTS.parent / "pyproject.toml").read_text()
    wanted = _stamp(project, *extras, *pins)
    if done.exists() and done.read_text() == wanted:
        return site
    _say("collecting wheels")
    done.unlink(missing_ok=True)
    wheels = folder / "wheels"
    for old in (site, wheels):
        shutil.rmtree(old, ignore_errors=True)
    target = ("--python", PYTHON, "--machine", "aarch64", "--glibc", GLIBC)
    words = [word for extra in extras for word in ("--extra", extra)]
    script = str(SCRIPTS / "wheelhouse")
    _run(sys.executable, script, "-o", str(wheels), *target, *words, *pins)
    site.mkdir()
    for wheel in sorted(wheels.glob("*.whl")):
        _unpack(wheel, site)
    shutil.rmtree(wheels)
    done.write_text(wanted)
    return site


def _unpack(wheel: Path, site: Path) -> None:
    """Unpack a wheel, except anomedge's own, which runs from the clone."""
    if not wheel.name.startswith("anomedge-"):
        shutil.unpack_archive(wheel, site, "zip")


def _stamp(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _say(text: str) -> None:
    print(f"check-aarch64: {text}", file=sys.stderr, flush=True)


def _run(*command: str, cwd: Path | None = None) -> None:
    """Run a command of the host; exit with its last lines if it fails."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        sys.exit(f"error: {' '.join(command[:4])} failed:\n{said}")


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
