"""Detectors from exported graphs: the same as from the checkpoint, and refusals."""

import numpy as np
import onnx
import pytest
import torch

from anomedge.errors import AnomedgeError, ModelError
from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import builder, graphs


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", ["padim", "patchcore"])
def test_a_graph_is_the_model_of_its_checkpoint(name, named, tmp_path):
    path = graphs.write(name, tmp_path / "model.onnx", named)
    content = builder.checkpoint_27(name)
    expected = import_native(builder.saved(content, tmp_path))
    imported = import_native(path)
    assert imported.pipeline.config == expected.pipeline.config
    images = torch.rand(2, 3, *builder.SIZE)
    own, theirs = imported.pipeline(images), expected.pipeline(images)
    assert torch.allclose(own.anomaly_map, theirs.anomaly_map, rtol=1e-5)
    assert torch.allclose(own.score, theirs.score, rtol=1e-5)


def test_a_graph_has_a_threshold_and_a_range(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    thresholds = import_native(path).thresholds
    assert thresholds.image_threshold == 5.0
    assert (thresholds.image_range, thresholds.pixel_range) == (3.0, 6.5)
    assert thresholds.image_min is None


def test_nodes_that_lack_inputs_are_refused(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "AveragePool":
            del node.input[:]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="nodes that lack inputs"):
        import_native(path)


def edited(tmp_path, change, detector="patchcore", **options):
    """Write a graph and change it."""
    path = graphs.write(detector, tmp_path / "model.onnx", True, **options)
    model = onnx.load(path)
    change(model.graph)
    path.write_bytes(model.SerializeToString())
    return path


def replace_constant(graph, ending, values):
    tensor = next(x for x in graph.initializer if x.name.endswith(ending))
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def bias_of_other_shape(graph):
    replace_constant(graph, "weight_bias", np.ones(7, np.float32))


def deviation_of_zero(graph):
    node = next(node for node in graph.node if node.op_type == "Div")
    replace_constant(graph, node.input[1], np.zeros((3, 1, 1), np.float32))


def scaling_in_other_order(graph):
    kinds = {"Sub": "Div", "Div": "Sub"}
    for node in graph.node[:2]:
        node.op_type = kinds[node.op_type]


def bank_twice(graph):
    bank = next(x for x in graph.initializer if "memory_bank" in x.name)
    graph.initializer.append(bank)


def many_pools(graph):
    pool = next(x for x in graph.node if x.op_type == "AveragePool")
    for number in range(20):
        added = graph.node.add()
        added.CopyFrom(pool)
        added.output[0] = f"pool{number}"


def external(name):
    def change(graph):
        bank = next(x for x in graph.initializer if "memory_bank" in x.name)
        bank.ClearField("raw_data")
        bank.data_location = 1
        entry = bank.external_data.add()
        entry.key, entry.value = "location", name

    return change


def resized_to_infinity(graph):
    sizes = np.array([1, 3, np.inf, 48], np.float32)
    graph.initializer.append(onnx.numpy_helper.from_array(sizes, "sizes"))
    inputs = ["input", "", "", "sizes"]
    made = onnx.helper.make_node("Resize", inputs, ["resized"], mode="linear")
    graph.node[0].input[0] = "resized"
    graph.node.insert(0, made)


def output_in_two_lines(graph):
    graph.output[0].name = "pred\nscore"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (bias_of_other_shape, r"bias of shape \(7,\); expected \(64,\)"),
        (deviation_of_zero, "deviations from 0.0001 on"),
        (scaling_in_other_order, "a subtraction and a division"),
        (bank_twice, "two values of one name"),
        (many_pools, "the features of 22 layers"),
        (external("a\0b"), "not beside the graph"),
        (external("a\nb"), "not beside the graph"),
        (external("link.bin"), "link.bin"),
        (resized_to_infinity, "sizes that are no numbers"),
        (output_in_two_lines, "expected pred_score"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_hostile_graphs_are_refused_in_one_line(tmp_path, change, match):
    values = builder.statistics("patchcore")["memory_bank"].numpy()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "values").write_bytes(values.tobytes())
    (tmp_path / "link.bin").symlink_to(outside / "values")
    with pytest.raises(AnomedgeError, match=match) as caught:
        import_native(edited(tmp_path, change))
    assert "\n" not in str(caught.value)


def test_values_in_many_files_are_refused(tmp_path):
    def change(graph):
        for number in range(65):
            added = graph.initializer.add(name=f"n{number}", data_type=1)
            added.data_location = 1
            added.external_data.add(key="location", value=f"{number}.bin")

    with pytest.raises(ModelError, match="values in 65 files"):
        import_native(edited(tmp_path, change))
