"""Shared by the robustness scripts: the project's interpreter, and a tiny detector as model and bundle.

The backbone has 80 thousand random parameters: the graph has every kind of node of a real one, and everything takes
seconds.
"""

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

__all__ = [
    "FRAME",
    "tiny_bundle",
    "tiny_bundle_elsewhere",
    "tiny_model",
    "tiny_options",
    "tiny_pictures",
    "use_project_python",
]

FRAME = (96, 128)
_OWN_PYTHON = Path(__file__).parent.parent / ".venv" / "bin" / "python"


def use_project_python() -> None:
    """Restart under `.venv` if the running Python has no anomedge; other scripts create that folder."""
    if importlib.util.find_spec("anomedge") is not None:
        return
    if not _OWN_PYTHON.exists() or Path(sys.executable) == _OWN_PYTHON:
        sys.exit(
            "error: got a Python without anomedge; expected one with anomedge[demo]: run scripts/test once"
        )
    os.execv(_OWN_PYTHON, [str(_OWN_PYTHON), *sys.argv])  # noqa: S606 - the same script, with the same arguments


def tiny_pictures(folder: Path) -> Path:
    """Write a small picture set: train/good, held_back, test."""
    from anomedge.demo.textures import PictureSet, write_pictures

    write_pictures(
        folder, PictureSet(frame=FRAME, train=8, held_back=6, good=3, bad=1)
    )
    return folder


def tiny_options(pictures: Path, seed: int = 0) -> "FitOptions":  # noqa: F821 - imported where torch is
    """Return options of a fit that takes a second; another seed gives other bytes."""
    from anomedge.pipelines.fitting import FitOptions
    from anomedge.resample import Geometry

    return FitOptions(
        geometry=Geometry((72, 80), (64, 72)),
        detector={"backbone": "test_efficientnet", "weights": "random"},
        held_back=pictures / "held_back",
        seed=seed,
    )


def tiny_model(
    target: Path,
    pictures: Path,
    detector: str = "patchcore",
    seed: int = 0,
    force: bool = False,
) -> Path:
    """Fit and save a model."""
    from anomedge.pipelines.fitting import SmallSampleWarning, fit
    from anomedge.pipelines.model import save

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        fitted = fit(detector, pictures / "train", tiny_options(pictures, seed))
    save(fitted, target, force=force)
    return target


def tiny_bundle(work: Path, detector: str = "patchcore") -> Path:
    """Make pictures, a model and a proven bundle below `work`; return the bundle."""
    from anomedge.export.bundling import ExportOptions, export

    pictures = tiny_pictures(work / "pictures")
    model = tiny_model(work / f"{detector}.safetensors", pictures, detector)
    target = work / f"{detector}.anomedge"
    export(
        model, target, ExportOptions(frame=FRAME, golden=[pictures / "test"])
    )
    return target


def tiny_bundle_elsewhere(work: Path) -> Path:
    """Make a tiny bundle in a separate process, to keep torch and its threads out of this one."""
    code = "import pathlib, sys; from _tiny import tiny_bundle; tiny_bundle(pathlib.Path(sys.argv[1]))"
    path = {"PYTHONPATH": str(Path(__file__).resolve().parent)}
    subprocess.run(
        [sys.executable, "-c", code, str(work)],
        check=True,
        env=os.environ | path,
    )
    return work / "patchcore.anomedge"
