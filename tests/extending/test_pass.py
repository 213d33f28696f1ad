"""A graph pass from an installed distribution: it runs in every export, with no other file edited."""

import onnx
import pytest

from anomedge.errors import ExportError
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.passes import PASSES, Target, apply_passes
from tests.conftest import FRAME
from tests.extending.distribution import install_distribution

MODULE = """
from anomedge.errors import ExportError
from anomedge.export.passes import Pass


class NumberNodes(Pass):
    name = "number_nodes"
    after = ("lower_opset",)

    def requires(self, model):
        if model.opset_import[0].version != self.target.opset:
            raise ExportError("number_nodes expected the target's opset")

    def rewrite(self, model):
        for number, node in enumerate(model.graph.node):
            node.name = f"node_{number}"
        return True

    def ensures(self, model):
        names = {node.name for node in model.graph.node}
        if len(names) < len(model.graph.node):
            raise ExportError("number_nodes expected unique names")
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return install_distribution(
        tmp_path / "site",
        "number_nodes_pass",
        MODULE,
        {"anomedge.passes": "number_nodes = number_nodes_pass:NumberNodes"},
    )


def test_it_runs_in_an_export(site, model_paths, tmp_path):
    target = tmp_path / "part.anomedge"
    options = ExportOptions(frame=FRAME, batch=1, runtimes=["ort"])
    assert export(model_paths["padim"], target, options).passed
    graph = onnx.load(target / "model.onnx").graph
    names = [node.name for node in graph.node]
    assert names == [f"node_{number}" for number in range(len(names))]


def test_its_requirements_and_promises_are_checked(site, monkeypatch):
    member = PASSES.get("number_nodes")
    relu = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([relu], "g", [], [])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)]
    )
    with pytest.raises(ExportError, match="expected the target's opset"):
        member(Target(18, None, FRAME)).apply(model)
    model.graph.node.append(onnx.helper.make_node("Relu", ["y"], ["z"]))
    monkeypatch.setattr(member, "rewrite", lambda self, model: False)
    with pytest.raises(ExportError, match="expected unique names"):
        member(Target(17, None, FRAME)).apply(model)


def test_a_broken_distribution_is_named_and_does_not_stop_exports(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    install_distribution(
        tmp_path / "site",
        "broken_pass",
        "raise RuntimeError('no licence')",
        {"anomedge.passes": "broken = broken_pass:Broken"},
    )
    value = onnx.helper.make_tensor_value_info("x", 1, ["batch", 3])
    graph = onnx.helper.make_graph([], "g", [value], [value])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)]
    )
    with pytest.warns(UserWarning, match="broken_pass cannot be loaded"):
        changed = apply_passes(model, Target(17, None, FRAME))
    assert changed == ["strip_metadata", "name_batch"]
