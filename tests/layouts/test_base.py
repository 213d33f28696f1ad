"""Layouts in general: outputs of a detector without a map, element types, batches."""

from typing import ClassVar

import pytest

from anomedge.layouts.base import Layout, LayoutOutput
from tests.parity.examples import DECISION


class Labels(Layout):
    """Takes one frame at a time and gives labels."""

    name = "labels"
    summary = "labels"
    outputs: ClassVar = {
        "label": LayoutOutput("score", "label"),
        "mask": LayoutOutput("anomaly_map", "label"),
        "heat": LayoutOutput("anomaly_map", "normalised"),
    }
    any_batch = False

    @classmethod
    def feed(cls, frames):
        return {"image": frames[0]}

    @classmethod
    def rewrite(cls, model, decision):
        pass


def test_a_detector_without_a_map_has_the_outputs_of_the_score():
    assert list(Labels.outputs_of(has_map=True)) == ["label", "mask", "heat"]
    assert list(Labels.outputs_of(has_map=False)) == ["label"]


@pytest.mark.parametrize(
    ("form", "dtype"),
    [("raw", "float32"), ("normalised", "float32"), ("label", "bool")],
)
def test_labels_are_booleans_and_all_else_is_float32(form, dtype):
    assert LayoutOutput("score", form).dtype == dtype


@pytest.mark.parametrize(
    ("batch", "accepted"), [(1, True), ("dynamic", True), (2, False)]
)
def test_a_layout_of_one_frame_takes_no_larger_batch(batch, accepted):
    assert Labels.accepts_batch(batch) == accepted


def test_a_layout_has_no_metadata_of_its_own_by_default():
    assert Labels.model_info(DECISION) == {}
