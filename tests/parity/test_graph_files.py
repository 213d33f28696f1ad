"""Graph files that do not match their manifest, with hashes that are right again."""

from xml.etree import ElementTree as ET

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from anomedge.bundle import Bundle
from anomedge.bundle.graph_contract import as_properties
from anomedge.export.tracing import keep_shipped_outputs
from anomedge.export.writing import write_tapped
from anomedge.layouts import LAYOUTS
from anomedge.parity.graph_files import faults_of_files
from anomedge.parity.metadata import contract_of
from tests.parity.forging import sign, statement
from tests.parity.planting import both, rebuilt

NAMES = ("interfaces", "opset", "weights", "segments")


def failed(bundle):
    faults = faults_of_files(bundle)
    assert tuple(faults) == NAMES
    return {name: text for name, text in faults.items() if text}


def edited(root, name, edit):
    """Change an ONNX file of a bundle, not its weights, and sign the bundle."""
    proto = onnx.load(root / name, load_external_data=False)
    edit(proto.graph)
    (root / name).write_bytes(proto.SerializeToString(deterministic=True))
    return sign(root)


def test_an_exported_bundle_has_no_fault(bundle):
    assert failed(bundle) == {}


def reordered(graph):
    outputs = list(graph.output)
    del graph.output[:]
    graph.output.extend(reversed(outputs))


def another_output(graph):
    graph.output.append(
        helper.make_tensor_value_info(graph.node[3].output[0], 1, None)
    )


def optional_input(graph):
    name = graph.initializer[0].name
    graph.input.append(helper.make_tensor_value_info(name, 1, None))


def another_size(graph):
    graph.input[0].type.tensor_type.shape.dim[1].dim_value += 1


@pytest.mark.parametrize(
    "edit", [reordered, another_output, optional_input, another_size]
)
@pytest.mark.parametrize("name", ["model.onnx", "stages.onnx"])
def test_inputs_and_outputs_are_the_manifests(copy, edit, name):
    faults = failed(edited(copy, name, edit))
    assert faults["interfaces"].startswith(f"{name} has the ")


def test_a_cut_graph_has_no_further_output(copy):
    faults = failed(edited(copy, "segments.onnx", another_output))
    assert faults.keys() == {"interfaces", "segments"}


def of_ir(root):
    path = root / "openvino" / "model.xml"
    if not path.is_file():
        pytest.skip("the bundle has no IR: openvino is not installed")
    return path


def test_results_of_an_ir_are_in_the_manifests_order(copy):
    path = of_ir(copy)
    tree = ET.parse(path)
    layers = tree.getroot().find("layers")
    score, mask = (x for x in layers if x.get("type") == "Result")
    layers.remove(score)
    layers.append(score)
    assert mask in layers
    tree.write(path)
    assert failed(sign(copy)).keys() == {"interfaces"}


def test_bytes_behind_the_weights_of_an_ir_are_counted(copy):
    path = of_ir(copy).with_suffix(".bin")
    path.write_bytes(path.read_bytes() + b"payload")
    assert failed(sign(copy)) == {
        "weights": "openvino/model.bin has 7 bytes that belong to no constant"
    }


def test_bytes_between_and_behind_external_weights_are_counted(
    bundle_paths, tmp_path
):
    whole = Bundle.open(bundle_paths["padim"])
    root = tmp_path / "part.anomedge"
    # It moves the weights into a file of their own.
    bundle = rebuilt(whole, root, both(), shipped=both())
    assert failed(bundle) == {}
    path = root / "model.onnx.data"
    path.write_bytes(path.read_bytes() + b"payload")
    assert failed(sign(root)) == {
        "weights": "model.onnx.data has 7 bytes that belong to no constant"
    }


def test_constants_that_nothing_reads_are_named(copy):
    def add(graph):
        graph.initializer.append(
            numpy_helper.from_array(np.zeros(3, np.float32), "payload")
        )

    assert failed(edited(copy, "stages.onnx", add)) == {
        "weights": "stages.onnx: constant 'payload' is read by no node",
        "segments": "segments.onnx does not belong to stages.onnx: its constants or outputs differ",
    }


def test_values_lie_in_files_of_weights(copy):
    def move(graph):
        tensor = next(t for t in graph.initializer if t.external_data)
        entry = next(e for e in tensor.external_data if e.key == "location")
        entry.value = "golden/anomaly_map.npy"

    faults = failed(edited(copy, "stages.onnx", move))
    assert (
        "lie in golden/anomaly_map.npy, which holds no weights"
        in faults["weights"]
    )


def test_a_constant_takes_the_bytes_of_its_shape(copy):
    def widen(graph):
        tensor = next(t for t in graph.initializer if t.external_data)
        entry = next(e for e in tensor.external_data if e.key == "length")
        entry.value = str(int(entry.value) + 4)

    faults = failed(edited(copy, "stages.onnx", widen))
    assert "bytes; expected" in faults["weights"]


def test_the_manifests_operator_set_is_that_of_every_graph(copy):
    stated = statement(copy, "opset")
    faults = failed(sign(copy, opset=stated + 1))
    assert (
        f"model.onnx has the operator sets '' {stated}; the manifest says '' {stated + 1}"
        in faults["opset"]
    )


def with_layout(root, edit=None):
    """Add the graph of a layout, as the export does, and change it."""
    bundle = Bundle.open(root)
    layout = LAYOUTS.get("anomalib")
    proto = onnx.load(root / "stages.onnx")
    keep_shipped_outputs(proto)
    layout.rewrite(proto, bundle.manifest.decision)
    contract = as_properties(contract_of(bundle, layout))
    for key, value in contract.items():
        proto.metadata_props.add(key=key, value=value)
    if edit is not None:
        edit(proto.graph)
    model = root / "model.onnx"
    write_tapped(proto, model, model, root / "anomalib.onnx")
    variant = statement(root, "variants")["fp32"]
    return sign(
        root, variants={"fp32": variant | {"anomalib_onnx": "anomalib.onnx"}}
    )


def test_a_layouts_graph_has_the_layouts_inputs_and_outputs(copy):
    assert failed(with_layout(copy)) == {}
    faults = failed(with_layout(copy, reordered))
    assert faults["interfaces"].startswith("anomalib.onnx has the outputs")
    assert faults.keys() == {"interfaces"}


def test_a_file_that_cannot_be_read_is_a_fault(copy):
    content = (copy / "model.onnx").read_bytes()
    value = onnx.load(copy / "model.onnx").graph.input[0].SerializeToString()
    name = b"\x0a\x06frames"
    assert value.startswith(name)
    # The name's field number becomes that of the type, which then occurs twice.
    broken = value.replace(name, b"\x12\x06frames")
    (copy / "model.onnx").write_bytes(content.replace(value, broken))
    (text,) = faults_of_files(sign(copy)).values()
    assert text.startswith("a graph cannot be read (")
