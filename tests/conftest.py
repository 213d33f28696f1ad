"""Session fixtures: a small picture set, one tiny fitted model and one proven bundle of each detector.

`ANOMEDGE_TEST_RUNTIMES` names the required runtimes; a missing one is an error,
not a skip.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from anomedge import runtimes
from anomedge.bundle import Bundle, write_manifest
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.options import Int8Options
from anomedge.pipelines.fitting import FitOptions, SmallSampleWarning, fit
from anomedge.pipelines.model import Model, load, save
from anomedge.resample import Geometry
from tests.sampling import VARIABLE, choose_sample

DETECTORS = ("padim", "patchcore")
RUNTIMES = tuple(
    os.environ.get("ANOMEDGE_TEST_RUNTIMES", "onnxruntime,openvino").split(",")
)
FRAME = (96, 128)

# Tests import vendors themselves, too; none of them sends usage statistics (see anomedge/runtimes/imports.py).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)


# A deadline and the check "too slow" measure the load of the machine.
hypothesis.settings.register_profile(
    "anomedge",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("anomedge")


def pytest_configure(config):
    choose_sample()


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"{VARIABLE}={os.environ[VARIABLE]}")


def pytest_sessionstart(session):
    # Bytes are compared with those of child processes with two threads.
    torch.set_num_threads(2)
    missing = set(RUNTIMES) - set(runtimes.usable())
    if missing:
        raise pytest.UsageError(
            f"runtimes {sorted(missing)} must be tested but cannot run here"
        )


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield torch.float64
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(
        folder, PictureSet(frame=FRAME, train=8, held_back=6, good=3, bad=1)
    )
    return folder


def tiny_options(pictures: Path, **more) -> FitOptions:
    """Options with a backbone of 80,000 random parameters and all node types."""
    own = {"backbone": "test_efficientnet", "weights": "random"}
    for name in ("backbone", "layers", "weights"):
        if name in more:
            own[name] = more.pop(name)
    given = {
        "geometry": Geometry((72, 80), (64, 72)),
        "held_back": pictures / "held_back",
        "detector": own | more.pop("detector", {}),
    }
    return FitOptions(**(given | more))


def detectors_to_build() -> list[str]:
    """Order that lets two worker processes start with different detectors."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    shift = int(worker) % len(DETECTORS)
    return [*DETECTORS[shift:], *DETECTORS[:shift]]


def build_once(factory, name: str, build) -> Path:
    """Build a folder in one worker process; copy it in each.

    A copy, because tests may write into their own.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    built, complete = root / name, root / f"{name}.complete"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(built, ignore_errors=True)
            built.mkdir()
            build(built)
            complete.touch()
    return Path(shutil.copytree(built, factory.mktemp("own") / name))


@pytest.fixture(scope="session")
def model_paths(pictures, tmp_path_factory) -> dict[str, Path]:
    def build(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallSampleWarning)
            fitted = fit(detector, pictures / "train", tiny_options(pictures))
        save(fitted, folder / f"{detector}.safetensors")

    paths = {}
    for detector in detectors_to_build():
        folder = build_once(tmp_path_factory, f"model-{detector}", build)
        paths[detector] = folder / f"{detector}.safetensors"
    return {detector: paths[detector] for detector in DETECTORS}


@pytest.fixture(scope="session")
def models(model_paths) -> dict[str, Model]:
    return {detector: load(path) for detector, path in model_paths.items()}


@pytest.fixture(scope="session")
def bundle_paths(model_paths, pictures, tmp_path_factory) -> dict[str, Path]:
    def build(folder):
        export(
            model_paths[detector],
            folder / f"{detector}.anomedge",
            ExportOptions(frame=FRAME, golden=[pictures / "test"]),
        )

    paths = {}
    for detector in detectors_to_build():
        folder = build_once(tmp_path_factory, f"bundle-{detector}", build)
        paths[detector] = folder / f"{detector}.anomedge"
    return {detector: paths[detector] for detector in DETECTORS}


@pytest.fixture(scope="session")
def int8_folders(model_paths, pictures, tmp_path_factory) -> dict[str, Path]:
    """Of each detector part.safetensors, part.int8.safetensors and the bundle part.anomedge; for slow tests."""

    def build(folder):
        model = folder / "part.safetensors"
        shutil.copyfile(model_paths[detector], model)
        options = ExportOptions(
            frame=FRAME,
            golden=[pictures / "test"],
            precisions=["int8"],
            int8=Int8Options(calibrate=[pictures / "train"]),
        )
        export(model, folder / "part.anomedge", options)

    folders = {}
    for detector in detectors_to_build():
        folders[detector] = build_once(
            tmp_path_factory, f"int8-{detector}", build
        )
    return folders


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> tuple[Path, list]:
    """Folder and JSON output of `anomedge demo`; takes minutes, for slow tests."""

    def build(folder):
        program = Path(sys.executable).with_name("anomedge")
        done = subprocess.run(
            [program, "demo", "-o", "demo-out", "--json"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        (folder / "demo.json").write_text(done.stdout)

    folder = build_once(tmp_path_factory, "demo", build)
    return folder, json.loads((folder / "demo.json").read_text())


@pytest.fixture(params=DETECTORS)
def detector(request) -> str:
    return request.param


@pytest.fixture
def bundle(detector, bundle_paths) -> Bundle:
    return Bundle.open(bundle_paths[detector])


@pytest.fixture
def tampered(bundle_paths, tmp_path) -> Path:
    """A bundle with golden scores of one percent more, under a manifest that is right again."""
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    scores = root / "golden" / "score.npy"
    np.save(scores, np.load(scores) * np.float32(1.01))
    manifest = Bundle.open(bundle_paths["padim"]).manifest
    fields = manifest.model_dump(exclude={"files", "digest"})
    (root / "manifest.json").unlink()
    write_manifest(root, fields)
    return root


@pytest.fixture(params=RUNTIMES)
def runtime(request) -> str:
    return request.param
