"""Results of all pictures: pixels outside a detector's region do not count."""

import numpy as np
import pytest

from anomedge.evaluation.collected import Bootstrap, Collected
from anomedge.evaluation.detectors import Judgement
from anomedge.threshold import Decision, Origin


@pytest.fixture
def decision():
    origin = Origin(
        rule="f1",
        source="test",
        normal=2,
        anomalous=2,
        margin=0.1,
        extrapolated=False,
        pictures="0" * 64,
    )
    return Decision(
        threshold=1.0,
        pixel_threshold=1.0,
        minimum=0.0,
        maximum=2.0,
        scale=1.0,
        origin=origin,
    )


@pytest.mark.parametrize("has_region", [True, False])
def test_pixels_outside_a_region_do_not_count(decision, has_region):
    collected = Collected(decision, has_region)
    for anomalous in (False, True):
        values = np.zeros((4, 6), np.float32)
        values[:, :3] = 0.5
        truth = np.zeros((4, 6), bool)
        if anomalous:
            values[1, 1], truth[1, 1:5] = 2.0, True
        result = Judgement(float(values.max()), anomalous, values, values > 1.0)
        collected.add(anomalous, result, truth)
    pixel = collected.pixel(Bootstrap(0, 100))
    counts = (pixel.normal, pixel.anomalous)
    assert counts == ((22, 2) if has_region else (44, 4))
