"""Uint8 frames in OpenCV's order of channels."""

import numpy as np

from anomedge.layouts.bgr import Bgr
from tests.layouts.graphs import SHAPE, frames_graph, same_outputs
from tests.parity.examples import DECISION


def test_the_graph_gives_the_bundles_outputs():
    frames = np.random.default_rng(0).integers(0, 256, (2, *SHAPE, 3), np.uint8)
    assert same_outputs(Bgr, frames)
    assert (
        Bgr.feed(frames)["bgr"][0, 0, 0].tolist()
        == frames[0, 0, 0, ::-1].tolist()
    )


def test_uint8_is_cast_first():
    model = frames_graph()
    Bgr.rewrite(model, DECISION)
    assert model.graph.node[0].op_type == "Cast"
    assert model.graph.node[0].input[0] == model.graph.input[0].name == "bgr"
