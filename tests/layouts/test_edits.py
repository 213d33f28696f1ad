"""Edits of graphs that layouts share."""

import numpy as np

from anomedge.layouts.edits import feed_frames, node
from tests.layouts.graphs import SHAPE, frames_graph, run


def test_another_input_takes_the_place_of_frames():
    model = frames_graph()
    nodes = [node("Cast", ["x"], "frames", to=1)]
    feed_frames(
        model, "x", "uint8", (0, 1, 2, 3), nodes, {"spare": np.float32(1)}
    )
    assert [each.name for each in model.graph.input] == ["x"]
    assert model.graph.node[0].name == "layout_frames"
    assert model.graph.initializer[-1].name == "spare"
    frames = np.full((1, *SHAPE, 3), 7, np.uint8)
    score, _ = run(model, {"x": frames})
    np.testing.assert_allclose(score, 7, rtol=1e-6)
