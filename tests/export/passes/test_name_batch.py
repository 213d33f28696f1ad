import pytest
from onnx import helper

from anomedge.errors import ExportError
from anomedge.export.passes.base import Target
from anomedge.export.passes.name_batch import NameBatch
from tests.export.passes.graphs import TARGET, model_of


def test_a_batch_frozen_by_specialisation_is_refused():
    model = model_of(helper.make_node("Relu", ["frames"], ["y"]))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(ExportError, match="froze the batch to 2"):
        NameBatch(TARGET).apply(model)


def named(batch, *sizes):
    model = model_of(helper.make_node("Relu", ["frames"], ["y"]))
    for value in (*model.graph.input, *model.graph.output):
        shape = value.type.tensor_type.shape
        shape.Clear()
        for size in (batch, *sizes):
            dim = shape.dim.add()
            if size:
                dim.dim_value = size
    return model


def test_a_dynamic_batch_is_named():
    model = named(None, 4, 4, 3)
    assert NameBatch(TARGET).apply(model)
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert first.dim_param == "batch"


@pytest.mark.parametrize(
    ("batch", "sizes", "message"),
    [
        (3, (4, 4, 3), "got batch 3; expected 2"),
        (2, (4, 5, 3), r"got \[4, 5, 3\]; expected \[4, 4, 3\]"),
    ],
)
def test_other_sizes_are_refused(batch, sizes, message):
    with pytest.raises(ExportError, match=message):
        NameBatch(Target(17, 2, (4, 4))).apply(named(batch, *sizes))


def test_a_second_dynamic_axis_is_refused():
    model = named(2, 4, 4, 3)
    model.graph.output[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    with pytest.raises(ExportError, match="only the batch may be open"):
        NameBatch(Target(17, 2, (4, 4))).apply(model)
