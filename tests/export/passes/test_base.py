"""A pass: its requirements come before the rewrite, its promise after it."""

import pytest
from onnx import helper

from anomedge.errors import ExportError
from anomedge.export.passes import Pass
from tests.export.passes.graphs import TARGET, model_of


class Renaming(Pass):
    """Names the first node; the calls are kept."""

    name = "renaming"

    def __init__(self, target, failing=""):
        super().__init__(target)
        self.calls, self.failing = [], failing

    def _called(self, step, model):
        self.calls.append((step, model.graph.node[0].name))
        if step == self.failing:
            raise ExportError(f"{step} failed")

    def requires(self, model):
        self._called("requires", model)

    def rewrite(self, model):
        self._called("rewrite", model)
        changed = model.graph.node[0].name != "first"
        model.graph.node[0].name = "first"
        return changed

    def ensures(self, model):
        self._called("ensures", model)


@pytest.fixture
def model():
    return model_of(helper.make_node("Relu", ["frames"], ["y"], name="old"))


def test_a_graph_is_checked_before_and_after(model):
    made = Renaming(TARGET)
    assert made.target is TARGET
    assert made.apply(model)
    assert made.calls == [
        ("requires", "old"),
        ("rewrite", "old"),
        ("ensures", "first"),
    ]
    assert not made.apply(model)


def test_a_graph_that_lacks_the_requirements_is_left(model):
    with pytest.raises(ExportError, match="requires failed"):
        Renaming(TARGET, "requires").apply(model)
    assert model.graph.node[0].name == "old"


def test_a_broken_promise_is_an_error(model):
    with pytest.raises(ExportError, match="ensures failed"):
        Renaming(TARGET, "ensures").apply(model)


def test_a_pass_may_require_and_promise_nothing(model):
    class Plain(Pass):
        name = "plain"

        def rewrite(self, model):
            return bool(model.graph.node)

    assert Plain(TARGET).apply(model)
    assert Plain.after == ()
