"""Layouts of float32 planes: raw outputs, whole grey levels, and the input that their contract states."""

import numpy as np
import pytest

from anomedge.layouts import LAYOUTS
from tests.layouts.graphs import SHAPE, frames_graph, same_outputs
from tests.parity.examples import DECISION

NAMES = ("nchw-rgb-255", "nchw-rgb-1", "nchw-bgr-255", "nchw-bgr-1")


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_gives_the_bundles_outputs(name):
    frames = np.random.default_rng(0).integers(0, 256, (3, *SHAPE, 3), np.uint8)
    assert same_outputs(LAYOUTS.get(name), frames)


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_a_label(name):
    outputs = LAYOUTS.get(name).outputs_of(has_map=True).values()
    assert {each.dtype for each in outputs} == {"float32"}
    assert {each.form for each in outputs} == {"raw"}


def test_the_batch_stays_open():
    model = frames_graph()
    LAYOUTS.get("nchw-bgr-1").rewrite(model, DECISION)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", 3, *SHAPE]
