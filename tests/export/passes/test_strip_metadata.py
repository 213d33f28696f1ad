from onnx import helper

from anomedge.export.passes.strip_metadata import StripMetadata
from tests.export.passes.graphs import TARGET, model_of


def test_metadata_inner_shapes_and_versions_are_removed():
    model = model_of(helper.make_node("Relu", ["frames"], ["y"]), opset=17)
    clean = model_of(helper.make_node("Relu", ["frames"], ["y"]), opset=17)
    model.producer_name, model.producer_version = "torch", "9.9"
    model.doc_string = model.graph.node[0].doc_string = "/home/me/model.py"
    note = model.graph.node[0].metadata_props.add()
    note.key, note.value = "stack", "/home/me/model.py"
    model.graph.value_info.append(model.graph.input[0])
    assert StripMetadata(TARGET).apply(model)
    StripMetadata(TARGET).apply(clean)
    assert model.SerializeToString() == clean.SerializeToString()
