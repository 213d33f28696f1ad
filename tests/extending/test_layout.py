"""An output layout from an installed distribution: exported, proven and shown in help texts, with no other file edited."""

import pytest

from anomedge.bundle import Bundle, read_manifest
from anomedge.errors import ProofFailed
from anomedge.export.bundling import ExportOptions, export
from anomedge.layouts import LAYOUTS
from anomedge.testing import assert_parity
from tests.conftest import FRAME
from tests.extending.distribution import install_distribution

LAYOUT = """
import numpy as np

from anomedge.layouts import Layout, LayoutOutput


class Gbr(Layout):
    name = "gbr"
    summary = "frames in the order green, blue, red, and a label"
    colour = "GBR"
    outputs = {
        "score": LayoutOutput("score", "raw"),
        "shown": LayoutOutput("score", "normalised"),
        "alarm": LayoutOutput("score", "label"),
    }

    @classmethod
    def feed(cls, frames):
        return {"gbr": np.ascontiguousarray(frames[..., [1, 2, 0]])}

    @classmethod
    def rewrite(cls, model, decision):
        from onnx import TensorProto, helper, numpy_helper

        graph = model.graph
        constants = {
            "order": np.array([2, 0, 1], np.int64),
            "limit": np.float32(decision.threshold),
            "width": np.float32(decision.range),
            "half": np.float32(0.5),
            "zero": np.float32(0),
            "one": np.float32(1),
        }
        for name, value in constants.items():
            tensor = numpy_helper.from_array(np.asarray(value), name)
            graph.initializer.append(tensor)
        swap = helper.make_node("Gather", ["gbr", "order"], ["frames"], axis=3)
        graph.node.insert(0, swap)
        graph.node.extend(
            [
                helper.make_node("Greater", ["score", "limit"], ["alarm"]),
                helper.make_node("Sub", ["score", "limit"], ["offset"]),
                helper.make_node("Div", ["offset", "width"], ["share"]),
                helper.make_node("Add", ["share", "half"], ["centred"]),
                helper.make_node("Clip", ["centred", "zero", "one"], ["shown"]),
            ]
        )
        graph.input[0].name = "gbr"
        del graph.output[1:]
        for name, kind in (("shown", TensorProto.FLOAT), ("alarm", TensorProto.BOOL)):
            value = helper.make_tensor_value_info(name, kind, ["batch"])
            value.type.tensor_type.shape.CopyFrom(
                graph.output[0].type.tensor_type.shape
            )
            graph.output.append(value)
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return install_distribution(
        tmp_path / "site",
        "gbr_layout",
        LAYOUT,
        {"anomedge.layouts": "gbr = gbr_layout:Gbr"},
    )


def test_its_graph_is_exported_and_proven(
    site, model_paths, tmp_path, monkeypatch
):
    target = tmp_path / "part.anomedge"
    options = ExportOptions(
        frame=FRAME, runtimes=["ort"], batches=[1], layout="gbr"
    )
    certificate = export(model_paths["padim"], target, options)
    names = {check.name for check in certificate.checks if check.passed}
    assert {"gbr outputs", "gbr score", "gbr shown", "gbr alarm"} <= names
    graph = read_manifest(target).variants["fp32"].graph("gbr")
    assert graph == "gbr.onnx"
    assert "gbr" in LAYOUTS.names()

    # Without the distribution, nothing proves the layout's graph.
    monkeypatch.undo()
    with pytest.raises(AssertionError, match="got layout 'gbr'"):
        assert_parity(Bundle.open(target), "ort", batches=[1])


def test_a_wrong_graph_fails_by_name(site, model_paths, tmp_path, monkeypatch):
    layout, target = LAYOUTS.get("gbr"), tmp_path / "part.anomedge"
    plain = layout.feed
    monkeypatch.setattr(layout, "feed", lambda x: plain(255 - x))
    options = ExportOptions(
        frame=FRAME, runtimes=["ort"], batches=[1], layout="gbr"
    )
    with pytest.raises(ProofFailed, match="gbr score"):
        export(model_paths["padim"], target, options)
    assert not target.exists()
