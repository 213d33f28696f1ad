"""The layout of every bundle: the frames as they are, the graph as it is."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from anomedge.layouts.frames import Frames
from tests.parity.examples import DECISION


def test_frames_are_fed_as_they_are():
    frames = np.zeros((2, 4, 6, 3), np.uint8)
    feeds = Frames.feed(frames)
    assert list(feeds) == ["frames"]
    assert feeds["frames"] is frames


def test_the_graph_is_left_as_it_is():
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B"])
        for name in ("x", "score")
    ]
    node = helper.make_node("Identity", ["x"], ["score"])
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    model = helper.make_model(graph)
    before = model.SerializeToString()
    Frames.rewrite(model, DECISION)
    assert model.SerializeToString() == before
    assert not Frames.adds_graph


@pytest.mark.parametrize("batch", [1, 7, "dynamic"])
def test_every_batch_is_taken(batch):
    assert Frames.accepts_batch(batch)


def test_outputs_are_raw():
    outputs = Frames.outputs_of(has_map=True)
    assert {name: each.form for name, each in outputs.items()} == {
        "score": "raw",
        "anomaly_map": "raw",
    }
    assert list(Frames.outputs_of(has_map=False)) == ["score"]
