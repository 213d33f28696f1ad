"""Uint8 frames of a monochrome camera."""

import numpy as np

from anomedge.layouts.grey import Grey
from tests.layouts.graphs import SHAPE, frames_graph, same_outputs
from tests.parity.examples import DECISION


def test_the_graph_gives_the_bundles_outputs_of_equal_channels():
    levels = np.random.default_rng(0).integers(0, 256, (2, *SHAPE, 1), np.uint8)
    assert same_outputs(Grey, np.repeat(levels, 3, axis=3))


def test_the_input_has_one_channel():
    model = frames_graph()
    Grey.rewrite(model, DECISION)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", *SHAPE, 1]
    assert model.graph.node[0].op_type == "Cast"
