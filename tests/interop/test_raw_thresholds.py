"""Raw thresholds decide as anomalib's normalised ones, computed here by anomalib's formula."""

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.interop.anomalib import StoredThresholds, Taken
from anomedge.interop.raw_thresholds import levels, raw_threshold, tight_scale


def anomalib_labels(scores, threshold, low, high, sensitivity):
    """Decide as anomalib 2 does: normalise, clip, compare."""
    normalised = np.clip((scores - threshold) / (high - low) + 0.5, 0, 1)
    return normalised > 1 - sensitivity


def raw(stored, taken=None):
    taken = Taken() if taken is None else taken
    image, pixel = levels(stored)
    return raw_threshold(image, pixel, taken), raw_threshold(
        pixel, image, taken
    )


@pytest.mark.parametrize("sensitivity", [0.05, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("threshold", [-2.0, 1.5, 7.0])
def test_decisions_are_anomalibs(sensitivity, threshold):
    low, high = -3.0, 9.0
    stored = StoredThresholds(
        image_threshold=threshold,
        pixel_threshold=threshold + 1,
        image_min=low,
        image_max=high,
        pixel_min=2 * low,
        pixel_max=2 * high,
        image_sensitivity=sensitivity,
        pixel_sensitivity=1.0,
    )
    scores = np.linspace(-20, 20, 3001)
    image, pixel = raw(stored)
    wanted = anomalib_labels(scores, threshold, low, high, sensitivity)
    np.testing.assert_array_equal(scores > image, wanted)
    wanted = anomalib_labels(scores, threshold + 1, 2 * low, 2 * high, 1.0)
    np.testing.assert_array_equal(scores > pixel, wanted)


def test_one_threshold_serves_both_levels_if_the_other_is_missing():
    taken = Taken()
    stored = StoredThresholds(image_threshold=3.0)
    assert raw(stored, taken) == (3.0, 3.0)
    assert "the image threshold counts" in str(taken.lines[1])
    assert raw(StoredThresholds(pixel_threshold=2.0)) == (2.0, 2.0)


def test_nothing_stored_gives_no_threshold_and_no_line():
    taken = Taken()
    assert raw(StoredThresholds(), taken) == (None, None)
    assert not taken.lines


@pytest.mark.parametrize("sensitivity", [0.0, -0.5, 1.5])
def test_a_sensitivity_without_a_raw_threshold_is_refused(sensitivity):
    stored = StoredThresholds(
        image_threshold=1.0,
        image_min=0.0,
        image_max=2.0,
        image_sensitivity=sensitivity,
    )
    with pytest.raises(
        InputError, match=r"expected one in \(0, 1\].*--threshold"
    ):
        raw(stored)


def test_a_sensitivity_without_its_range_is_refused():
    stored = StoredThresholds(image_threshold=1.0, pixel_sensitivity=0.7)
    with pytest.raises(InputError, match=r"all three: give --pixel-threshold"):
        raw(stored)


@pytest.mark.parametrize(
    ("threshold", "low", "scale"),
    [(50.0, 50.0, 2.5), (4.0, 1.0, 0.2), (-0.1, -0.9, 0.04), (3.0, None, 0.15)],
)
def test_scale_is_a_share_of_the_threshold_or_its_distance_to_the_minimum(
    threshold, low, scale
):
    stored = StoredThresholds(image_threshold=threshold, image_min=low)
    assert tight_scale(stored, threshold, "part") == pytest.approx(scale)


def test_scale_ignores_the_maximum_which_is_a_defects():
    stored = StoredThresholds(image_threshold=2.0, image_min=1.0)
    defects = StoredThresholds(
        image_threshold=2.0, image_min=1.0, image_max=1e6
    )
    assert tight_scale(stored, 2.0, "") == tight_scale(defects, 2.0, "")


def test_a_threshold_of_zero_tells_no_scale():
    stored = StoredThresholds(image_threshold=0.0, image_min=0.0)
    with pytest.raises(
        InputError, match=r"part.ckpt tells no scale.*--held-back"
    ):
        tight_scale(stored, 0.0, "part.ckpt")


def test_a_maximum_below_the_minimum_is_refused():
    stored = StoredThresholds(image_threshold=5.0, image_min=7.0, image_max=4.0)
    with pytest.raises(InputError, match="maximum below the minimum"):
        raw(stored)
