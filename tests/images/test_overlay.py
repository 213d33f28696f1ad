"""The heat map over a frame, and the outlines of anomalous regions."""

import numpy as np
import pytest

from anomedge.images.overlay import overlay
from anomedge.resample import Geometry
from anomedge.threshold import Decision, Origin

GREY = np.full((32, 48, 3), 128, np.uint8)
CYAN, GREEN = (0, 255, 255), (0, 255, 0)


@pytest.fixture
def decision():
    origin = Origin(
        rule="f1",
        rate=None,
        source="",
        normal=1,
        anomalous=1,
        margin=1.0,
        extrapolated=False,
        pictures="0",
    )
    return Decision(
        threshold=5,
        pixel_threshold=5,
        minimum=0,
        maximum=10,
        scale=1,
        origin=origin,
    )


def places(frame, colour):
    return (frame == colour).all(axis=2)


def test_low_values_leave_the_frame_as_it_is(decision):
    before = GREY.copy()
    heat = np.zeros((32, 48), np.float32)
    drawn = overlay(GREY, heat, decision, Geometry((32, 48)))
    assert np.array_equal(drawn, GREY)
    assert np.array_equal(before, GREY)
    assert drawn.dtype == np.uint8


def test_an_anomalous_region_has_a_border_of_two_pixels(decision):
    heat = np.zeros((32, 48), np.float32)
    heat[10:20, 15:30] = 10
    drawn = overlay(GREY, heat, decision, Geometry((32, 48)))
    border = np.zeros((32, 48), bool)
    border[10:20, 15:30] = True
    border[12:18, 17:28] = False
    assert np.array_equal(places(drawn, CYAN), border)
    inside = drawn[12:18, 17:28]
    assert (inside == inside[0, 0]).all()
    assert inside[0, 0, 0] > inside[0, 0, 2]


def test_the_true_mask_is_outlined_below_the_region(decision):
    truth = np.zeros((32, 48), bool)
    truth[2:8, 2:8] = True
    truth[10:20, 15:30] = True
    heat = np.where(truth, 10, 0).astype(np.float32)
    heat[:9] = 0
    drawn = overlay(GREY, heat, decision, Geometry((32, 48)), truth)
    assert places(drawn, GREEN).sum() == 6 * 6 - 2 * 2
    assert places(drawn, GREEN)[2:8, 2:8].sum() == 6 * 6 - 2 * 2
    assert places(drawn, CYAN)[10:20, 15:30].any()


def test_the_map_lies_over_the_crop_only(decision):
    heat = np.full((16, 24), 10, np.float32)
    geometry = Geometry((32, 48), (16, 24))
    drawn = overlay(GREY, heat, decision, geometry)
    top, left, bottom, right = geometry.pixel_window((32, 48))
    changed = (drawn != GREY).any(axis=2)
    assert changed[top:bottom, left:right].all()
    assert changed.sum() == (bottom - top) * (right - left) < changed.size
