"""On real parts, where the pictures are at hand: both detectors, both runtimes, every test picture."""

import warnings
from pathlib import Path

import pytest

from anomedge.bundle import Bundle
from anomedge.export.bundling import ExportOptions, export
from anomedge.pipelines.fitting import (
    FitOptions,
    InsensitiveWarning,
    OutlierWarning,
    fit,
)
from anomedge.pipelines.model import save
from anomedge.resample import Geometry

SETS = {
    "cookies": ((768, 576), 0.97, 0.9),
    "mvtec_ad/bottle": ((900, 900), 0.97, 0.9),
}
SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in SETS if (SHARED / name).is_dir()]
)
def test_real_parts_are_told_apart_and_proven(name, detector, tmp_path):
    frame, image, pixel = SETS[name]
    options = FitOptions(
        Geometry((256, 256)),
        detector={
            "backbone": "tf_efficientnet_lite0",
            "weights": "efficientnet-lite0",
        },
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsensitiveWarning)
        warnings.simplefilter("ignore", OutlierWarning)
        model = fit(detector, SHARED / name / "train", options)
    assert model.decision.origin.rule == "balanced"
    save(model, tmp_path / "model.safetensors")
    target = tmp_path / "part.anomedge"
    certificate = export(
        tmp_path / "model.safetensors",
        target,
        ExportOptions(
            frame=frame, golden=[SHARED / name / "test"], batches=[1, 3]
        ),
    )
    assert certificate.passed
    assert certificate.pictures.resized == 0
    for cell in certificate.cells:
        assert cell.flips == ()
        assert cell.image_auroc > image
        assert cell.pixel_auroc > pixel
    Bundle.open(target)
