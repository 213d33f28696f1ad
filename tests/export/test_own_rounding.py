"""A failed proof says how much of its error is the detector's own rounding."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from anomedge.export.eager import EagerSession
from anomedge.export.own_rounding import advice_on_rounding, own_rounding
from anomedge.images import read_folders
from anomedge.parity.outputs import collect
from anomedge.parity.reference import Reference
from tests.conftest import FRAME


@pytest.fixture
def reference(models, model_paths, pictures, detector):
    given = read_folders([pictures / "test"])[:2]
    with EagerSession(models[detector], model_paths[detector]) as eager:
        outputs = collect(eager, given, FRAME, batch=1)
    return Reference("eager torch", given, outputs)


def moved(reference, share, model):
    """The reference with maps that are off by a share of the scale."""
    outputs = reference.outputs
    maps = outputs.anomaly_map + np.float32(share * model.decision.scale)
    return dataclasses.replace(
        reference, outputs=dataclasses.replace(outputs, anomaly_map=maps)
    )


def failed(name, **changes):
    cell = {
        "precision": "fp32",
        "failures": ("map",),
        "flips": (),
        "score_error": 0.0,
        "map_error": 2e-4,
        "worst": name,
    }
    return SimpleNamespace(cells=[SimpleNamespace(**(cell | changes))])


def test_float32_is_near_float64(models, reference, detector):
    error = own_rounding(models[detector], reference, reference.names, FRAME)
    assert 0 < error < 1e-5


def test_an_error_of_float32_is_found_at_its_size(models, reference, detector):
    model = models[detector]
    off = moved(reference, 3e-4, model)
    error = own_rounding(model, off, reference.names[:1], FRAME)
    assert error == pytest.approx(3e-4, rel=0.05)


def test_the_advice_names_a_factor(models, reference, detector):
    model = models[detector]
    off = moved(reference, 3e-4, model)
    name = reference.names[0]
    text = advice_on_rounding(failed(name), model, off, FRAME)
    assert "itself off by 3.0e-04 of the scale from float64" in text
    assert "--widen 6" in text or "--widen 7" in text
    larger = failed(name, map_error=8.5e-4)
    assert "--widen 9" in advice_on_rounding(larger, model, off, FRAME)
    # Rounding alone does not explain so large an error.
    unexplained = failed(name, map_error=2e-3)
    assert not advice_on_rounding(unexplained, model, off, FRAME)
    for other in ({"flips": ("x",)}, {"failures": ()}, {"precision": "fp16"}):
        assert not advice_on_rounding(failed(name, **other), model, off, FRAME)


def test_an_error_of_the_copy_alone_gives_no_advice(
    models, reference, detector
):
    name = reference.names[0]
    assert not advice_on_rounding(
        failed(name), models[detector], reference, FRAME
    )


def test_a_module_that_stays_float32_gives_no_advice(
    models, reference, detector
):
    class Fixed(nn.Module):
        def forward(self, x):
            return {"all": nn.functional.conv2d(x, torch.ones(8, 3, 1, 1))}

    model = models[detector]
    pipeline = model.pipeline.with_extractor(Fixed())
    model = dataclasses.replace(model, pipeline=pipeline)
    assert own_rounding(model, reference, reference.names, FRAME) == 0
