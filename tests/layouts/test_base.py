"""Layouts in general: outputs of a detector without a map, element types, batches."""

from typing import ClassVar

import numpy as np
import pytest

from anomedge.layouts import LAYOUTS
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


@pytest.mark.parametrize("name", LAYOUTS.names())
def test_the_contract_states_the_input_that_is_fed(name):
    layout = LAYOUTS.get(name)
    form = layout.form()
    frames = np.zeros((1, 4, 6, 3), np.uint8)
    frames[0, 1, 2] = 255
    if form.colour != "grey":
        frames[0, 1, 2, 1:] = 0
    (fed,) = layout.feed(frames).values()
    channel = {"RGB": 0, "BGR": 2, "grey": 0}[form.colour]
    place = {"N": 0, "H": 1, "W": 2, "C": channel}
    assert tuple(np.argwhere(fed)[0]) == tuple(place[a] for a in form.axes)
    assert (fed.min(), fed.max()) == form.values
    assert form.layout == name


def test_normalised_scores_are_stated():
    assert Labels.form().scores == "normalised"
    assert LAYOUTS.get("anomalib").form().scores == "normalised"
    assert LAYOUTS.get("frames").form().scores == "raw"


@pytest.mark.parametrize(
    ("name", "precisions"),
    [("frames", set()), ("anomalib", {"fp32"}), ("grey", {"fp32", "fp16"})],
)
def test_a_layout_is_written_in_its_precisions(name, precisions):
    layout = LAYOUTS.get(name)
    written = {p for p in ("fp32", "fp16") if layout.is_written_in(p)}
    assert written == precisions
