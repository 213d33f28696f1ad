"""A session from bytes that are freed once they are parsed."""

from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.runtimes import ov
from anomedge.runtimes.parsed_once import open_parsed_once

CPU = ["CPUExecutionProvider"]


class Content(bytes):
    """Bytes that tell when they are freed."""

    made = 0
    freed: ClassVar[list[int]] = []

    def __new__(cls, content):
        cls.made += 1
        return super().__new__(cls, content)

    def __del__(self):
        self.freed.append(len(self))


@pytest.fixture
def freed(monkeypatch):
    """The sizes of freed contents; a bundle gives such contents."""
    found: list[int] = []
    monkeypatch.setattr(Content, "made", 0)
    monkeypatch.setattr(Content, "freed", found)
    read = Bundle.read
    monkeypatch.setattr(Bundle, "read", lambda *given: Content(read(*given)))
    return found


@pytest.fixture
def alive_when_optimised(monkeypatch, freed):
    """The number of contents that were not freed when ONNX Runtime began to optimise."""
    alive: list[int] = []
    native = onnxruntime.capi.onnxruntime_inference_collection.C
    parsed_by = native.InferenceSession

    class Native:
        def __init__(self, *given):
            self.parsed = parsed_by(*given)

        def initialize_session(self, *given):
            alive.append(Content.made - len(freed))
            self.parsed.initialize_session(*given)

        def __getattr__(self, name):
            return getattr(self.parsed, name)

    monkeypatch.setattr(native, "InferenceSession", Native)
    return alive


def graph() -> Content:
    """A graph that adds a number to itself."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Add", ["x", "x"], ["y"])]
    ends = [[value(name, TensorProto.FLOAT, [1])] for name in "xy"]
    model = helper.make_model(
        helper.make_graph(nodes, "g", *ends),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.checker.check_model(model)
    return Content(model.SerializeToString())


def opened(vendor, held):
    settings = onnxruntime.SessionOptions()
    return open_parsed_once(
        vendor, held, settings, providers=CPU, enable_fallback=0
    )


def test_the_graph_is_freed_before_it_is_optimised(alive_when_optimised):
    held = [graph()]
    session = opened(onnxruntime, held)
    assert alive_when_optimised == [0]
    assert held == []
    value = np.array([1.5], np.float32)
    assert session.run(None, {"x": value})[0] == [3.0]


@pytest.mark.parametrize("reads", ["its argument", "nothing private"])
def test_releases_that_are_built_otherwise_still_open(reads):
    class Plain:
        def __init__(self, content, *_, **__):
            if not content:
                raise RuntimeError("an empty graph")
            self.content = content

    class Private(Plain):
        def _create_inference_session(self):
            """Not called."""

    vendor = type("Vendor", (), {})
    vendor.InferenceSession = Private if reads == "its argument" else Plain
    content = graph()
    assert opened(vendor, [content]).content is content


def test_a_graph_that_does_not_open_says_why(capfd):
    with pytest.raises(Exception, match=r"(?i)protobuf|parse"):
        opened(onnxruntime, [b"no graph"])
    assert "EP Error" not in capfd.readouterr().out


def test_onnxruntime_holds_no_bytes_of_a_bundle_while_it_optimises(
    bundle, freed, alive_when_optimised
):
    with runtimes.open(bundle, "onnxruntime"):
        assert alive_when_optimised == [0]
    assert freed


def test_openvino_holds_no_bytes_of_a_bundle_while_it_compiles(
    bundle, freed, monkeypatch
):
    alive = []
    monkeypatch.setattr(
        ov.OvSession,
        "_refuse_unlisted_layers",
        lambda *_: alive.append(Content.made - len(freed)),
    )
    with runtimes.open(bundle, "openvino"):
        assert alive == [0]
    assert freed
