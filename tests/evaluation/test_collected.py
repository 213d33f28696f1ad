"""Results of all pictures: pixels outside a detector's region do not count."""

import numpy as np
import pytest

from anomedge.evaluation.collected import Bootstrap, Collected
from anomedge.evaluation.detectors import Judgement
from tests.parity.examples import DECISION


@pytest.mark.parametrize("has_region", [True, False])
def test_pixels_outside_a_region_do_not_count(has_region):
    collected = Collected(DECISION, has_region)
    for anomalous in (False, True):
        values = np.zeros((4, 6), np.float32)
        values[:, :3] = 20.0
        truth = np.zeros((4, 6), bool)
        if anomalous:
            values[1, 1], truth[1, 1:5] = 50.0, True
        found = DECISION.mask(values)
        result = Judgement(float(values.max()), anomalous, values, found)
        collected.add(anomalous, result, truth)
    pixel = collected.pixel(Bootstrap(0, 100))
    counts = (pixel.normal, pixel.anomalous)
    assert counts == ((22, 2) if has_region else (44, 4))
