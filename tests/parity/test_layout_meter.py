"""One output of a layout in its own form, against the original's raw one."""

import numpy as np
import pytest

from anomedge.layouts import LayoutOutput
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.layout_meter import LayoutMeter, check_of
from anomedge.parity.outputs import Outputs
from tests.parity.examples import DECISION

TOLERANCE = TOLERANCES["fp32"]
NAMES = ["a", "b"]


def measured(quantity, form, values, score=(39.0, 41.0), maps=None):
    """The check of one output of two pictures; the threshold is 40, the scale 10, the range 20."""
    meter = LayoutMeter("out", LayoutOutput(quantity, form), DECISION)
    raw = np.array([[29.0, 31.0], [29.0, 31.0]]) if maps is None else maps
    expected = Outputs(np.array(score), raw.reshape(2, 1, 1, 2))
    meter.add(np.array(values), expected, NAMES, TOLERANCE)
    return meter.check("ort", "mine", TOLERANCE)


def test_a_raw_score_is_compared_in_shares_of_the_scale():
    check = measured("score", "raw", [39.0, 41.0005])
    assert (check.name, check.passed) == ("mine out", True)
    assert check.error == pytest.approx(5e-5)
    check = measured("score", "raw", [39.002, 41.0])
    assert not check.passed
    assert check.detail == "off by 2.00e-04; allowed 1.0e-04"


def test_a_normalised_score_is_one_half_at_the_threshold():
    assert measured("score", "normalised", [0.45, 0.55]).passed
    check = measured("score", "normalised", [0.45, 0.551])
    assert check.error == pytest.approx(1e-3)
    # Half as much as of the scale, which is half the range.
    assert check.tolerance == pytest.approx(5e-5, rel=0.02)
    assert not check.passed


def test_labels_flip_by_name():
    assert measured("score", "label", [False, True]).passed
    check = measured("score", "label", [True, True])
    assert check.detail == "1 labels flipped: a"
    assert check.error is None


def test_pixels_next_to_the_threshold_are_not_counted():
    mask = [[[[False, True]]], [[[False, True]]]]
    assert measured("anomaly_map", "label", mask).passed
    mask = [[[[True, True]]], [[[True, False]]]]
    check = measured("anomaly_map", "label", mask)
    assert check.detail == "3 pixels on the wrong side"
    # The pixel threshold is 30; within 1e-3 of it both are right.
    near = np.array([[30.0005, 29.9995], [29.0, 31.0]])
    mask = [[[[False, True]]], [[[False, True]]]]
    assert measured("anomaly_map", "label", mask, maps=near).passed


@pytest.mark.parametrize("form", ["raw", "normalised"])
def test_a_number_that_is_not_finite_is_an_infinite_error(form):
    check = measured("score", form, [np.nan, 41.0])
    assert check.error == np.inf
    assert not check.passed


@pytest.mark.parametrize("form", ["raw", "label"])
def test_a_map_that_the_original_has_not_is_wrong(form):
    meter = LayoutMeter("out", LayoutOutput("anomaly_map", form), DECISION)
    values = np.zeros((1, 1, 4, 4))
    meter.add(values, Outputs(np.array([1.0])), ["a"], TOLERANCE)
    assert not meter.check("ort", "mine", TOLERANCE).passed


def test_a_check_passes_if_nothing_is_wrong():
    assert check_of("ort", "mine", "").passed
    assert not check_of("ort", "mine", "all of it").passed
