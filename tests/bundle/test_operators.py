"""Graphs that keep a state, draw random numbers, or read values from files whose hashes are not checked: all refused."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from anomedge import runtimes
from anomedge.bundle import Bundle, write_manifest
from anomedge.bundle.operators import (
    IR_OPERATORS,
    ONNX_OPERATORS,
    faults_of_ir,
    faults_of_onnx,
)
from anomedge.bundle.protobuf import (
    LENGTHS,
    Spoilt,
    varint,
)
from anomedge.errors import BundleError, RuntimeFailure
from anomedge.runtimes import graph_file
from anomedge.runtimes.external_tensors import external_tensors
from tests.commands.running import run
from tests.conftest import RUNTIMES

LOCATION = 14
ONE_IN_33_BITS = bytes([0x81, 0x80, 0x80, 0x80, 0x10])


def piece(number, content):
    return varint(number << 3 | LENGTHS) + varint(len(content)) + content


def located(end=b"\x70\x01"):
    """A tensor whose values are said to lie in a file of the bundle that no hash covers; `end` says that they do."""
    tensor = TensorProto(name="w", dims=[1], data_type=1)
    for key, value in (
        ("location", "part.anomedge/certificates/w.bin"),
        ("length", "4"),
    ):
        tensor.external_data.append(
            onnx.StringStringEntryProto(key=key, value=value)
        )
    return tensor.SerializeToString() + end


def sparse():
    indices = numpy_helper.from_array(
        np.zeros(1, np.int64), ""
    ).SerializeToString()
    return piece(1, located()) + piece(2, indices) + varint(3 << 3) + b"\x01"


def with_initializer(content):
    return lambda model: model.graph.MergeFromString(piece(5, content))


def with_attribute(number, content, kind):
    """A node Constant whose attribute has a field of this number."""
    attribute = (
        piece(1, b"sparse_value")
        + piece(number, content)
        + varint(20 << 3)
        + varint(kind)
    )
    node = piece(2, b"w") + piece(4, b"Constant") + piece(5, attribute)
    return lambda model: model.graph.MergeFromString(piece(1, node))


def with_function(model):
    attribute = piece(1, b"v") + piece(5, located()) + varint(20 << 3) + b"\x04"
    model.MergeFromString(
        piece(25, piece(1, b"W") + piece(10, b"foreign") + piece(11, attribute))
    )


HIDDEN = {
    "sparse initializer": lambda model: model.graph.MergeFromString(
        piece(15, sparse())
    ),
    "sparse value": with_attribute(22, sparse(), 11),
    "sparse values": with_attribute(23, sparse(), 12),
    "function": with_function,
    "training": lambda model: model.MergeFromString(
        piece(20, piece(1, piece(5, located())))
    ),
}
"""References to files in messages that were not searched."""

DISGUISED = {
    "33 bits": varint(LOCATION << 3) + ONE_IN_33_BITS,
    "then ignored": b"\x70\x01\x70\x02",
    "longer key": b"\xf0\x00\x01",
    "packed": piece(LOCATION, b"\x01"),
    "65 bits": b"\x70" + bytes([0x81] + [0x80] * 8 + [0x02]),
}
"""Ends of a tensor that parsers understand in different ways."""


def small():
    """A graph y = x + w, without w."""
    value = helper.make_tensor_value_info
    add = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [add], "g", [value("x", 1, [1])], [value("y", 1, [1])]
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


def changed(change):
    model = small()
    change(model)
    return model.SerializeToString()


def disguised(end):
    """Written by hand, because `onnx` would normalise it."""
    graph = small().graph.SerializeToString() + piece(5, located(end))
    model = small()
    model.ClearField("graph")
    return model.SerializeToString() + piece(7, graph)


@pytest.fixture
def root(bundle_paths, tmp_path, monkeypatch):
    """A copy of a bundle; the references above resolve from the current folder."""
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    (root / "certificates" / "w.bin").write_bytes(np.float32([777]).tobytes())
    monkeypatch.chdir(tmp_path)
    return root


def signed(root, **files):
    content = json.loads((root / "manifest.json").read_bytes())
    content["variants"]["fp32"] |= files
    (root / "manifest.json").unlink()
    write_manifest(
        root,
        {
            name: value
            for name, value in content.items()
            if name not in {"files", "digest"}
        },
    )
    return Bundle.open(root)


def with_graph(root, content):
    (root / "model.onnx").write_bytes(content)
    return signed(root, openvino=None)


def assert_refused(root, content, runtime):
    assert list(faults_of_onnx(content))
    with pytest.raises(
        BundleError, match=r"model\.onnx .*export the bundle again"
    ):
        runtimes.open(with_graph(root, content), runtime=runtime)


@pytest.mark.parametrize("place", HIDDEN)
def test_values_in_messages_that_hide_them(root, runtime, place):
    assert_refused(root, changed(HIDDEN[place]), runtime)


@pytest.mark.parametrize("end", DISGUISED)
def test_references_that_parsers_read_differently(root, runtime, end):
    with pytest.raises(BundleError):
        runtimes.open(
            with_graph(root, disguised(DISGUISED[end])), runtime=runtime
        )
    with pytest.raises(Spoilt):
        external_tensors(disguised(DISGUISED[end]))


@pytest.mark.parametrize("place", HIDDEN)
def test_values_are_found_in_every_message(place):
    """Outside a bundle such graphs are opened, with the values read once by us and never by the vendor."""
    assert [
        tensor.file for tensor in external_tensors(changed(HIDDEN[place]))
    ] == ["part.anomedge/certificates/w.bin"]


def test_a_reference_that_states_its_file_twice():
    tensor = TensorProto.FromString(located())
    tensor.external_data.append(
        onnx.StringStringEntryProto(key="location", value="other")
    )
    with pytest.raises(Spoilt, match="twice"):
        external_tensors(changed(with_initializer(tensor.SerializeToString())))


def test_a_reference_that_both_walks_missed_is_found_in_the_bytes(
    root, runtime, monkeypatch
):
    monkeypatch.setattr(graph_file, "faults_of_onnx", lambda content: iter(()))
    monkeypatch.setattr(graph_file, "external_tensors", lambda content: [])
    bundle = with_graph(root, changed(with_initializer(located())))
    with pytest.raises(
        BundleError, match="refers to a file whose hash is not checked"
    ):
        runtimes.open(bundle, runtime=runtime)


@pytest.mark.skipif(
    "onnxruntime" not in RUNTIMES, reason="ONNX Runtime's own option"
)
def test_onnxruntime_resolves_no_reference(root, monkeypatch):
    for name, found in (
        ("faults_of_onnx", iter(())),
        ("external_tensors", []),
        ("has_references", False),
    ):
        monkeypatch.setattr(
            graph_file, name, lambda content, found=found: found
        )
    bundle = with_graph(root, changed(with_initializer(located())))
    with pytest.raises(RuntimeFailure, match="could not open"):
        runtimes.open(bundle, runtime="onnxruntime")


# --- operators -------------------------------------------------------------------------------------------------------

INNER = helper.make_graph(
    [], "inner", [], [helper.make_tensor_value_info("i", 1, [1])]
)
NODES = {
    "RandomUniform": helper.make_node(
        "RandomUniform", [], ["w"], shape=[1], seed=3.0
    ),
    "RandomNormalLike": helper.make_node("RandomNormalLike", ["x"], ["w"]),
    "Bernoulli": helper.make_node("Bernoulli", ["x"], ["w"]),
    "Multinomial": helper.make_node("Multinomial", ["x"], ["w"]),
    "Loop": helper.make_node("Loop", ["rounds"], ["w"], body=INNER),
    "If": helper.make_node(
        "If", ["x"], ["w"], then_branch=INNER, else_branch=INNER
    ),
    "Scan": helper.make_node(
        "Scan", ["x"], ["w"], body=INNER, num_scan_inputs=1
    ),
    "SequenceMap": helper.make_node("SequenceMap", ["x"], ["w"], body=INNER),
    "Optional": helper.make_node("Optional", ["x"], ["w"]),
    "Dropout": helper.make_node("Dropout", ["x", "ratio", "on"], ["w"]),
    "graph of its own": helper.make_node("Relu", ["x"], ["w"], body=INNER),
    "of the vendor": helper.make_node(
        "Gelu", ["x"], ["w"], domain="com.microsoft"
    ),
    "plugin": helper.make_node("EfficientNMS_TRT", ["x"], ["w"]),
}


@pytest.mark.parametrize("node", NODES)
def test_operators_that_may_answer_otherwise_next_time(root, runtime, node):
    assert_refused(
        root,
        changed(lambda model: model.graph.node.insert(0, NODES[node])),
        runtime,
    )


def test_dropout_that_is_off_is_allowed():
    off = helper.make_node("Dropout", ["x"], ["w"])
    assert not list(
        faults_of_onnx(changed(lambda model: model.graph.node.insert(0, off)))
    )


LAYER = '<layer id="1" name="n" type="{}" version="{}"/>'
IRS = {
    **{
        f"type {kind}": LAYER.format(kind, "opset6")
        for kind in ("ReadValue", "Assign", "RandomUniform", "Multinomial")
    },
    **{
        f"type {kind}": LAYER.format(kind, "opset8")
        for kind in ("Loop", "If", "TensorIterator", "Anything")
    },
    **{
        f"foreign memory {kind}": LAYER.format(kind, "opset8")
        for kind in ("GatherND", "ExperimentalDetectronTopKROIs")
    },
    "setting": LAYER.format("Relu", "opset1").replace(
        "/>", '><data reverse_input_channels="True"/></layer>'
    ),
    "extension": LAYER.format("Relu", "extension"),
    "no version": '<layer id="1" name="n" type="Relu"/>',
    "inner graph": '<layer id="1" name="n" type="Relu" version="opset1"><body/></layer>',
    "namespace": '<layer xmlns="urn:x" id="1" name="n" type="ReadValue" version="opset6"/>',
    "in notes": "<rt_info>"
    + LAYER.format("ReadValue", "opset6")
    + "</rt_info>",
    "cdata": "<![CDATA[]]>",
    "not closed": "<layer>",
}


@pytest.mark.parametrize("layer", IRS)
def test_layers_that_may_answer_otherwise_next_time(layer):
    content = f'<net name="n" version="11"><layers>{IRS[layer]}</layers></net>'.encode()
    assert list(faults_of_ir(content))
    assert not list(
        faults_of_ir(
            content.replace(
                IRS[layer].encode(), LAYER.format("ReLU", "opset1").encode()
            )
        )
    )


def test_an_ir_with_entities_or_of_another_root():
    for content in (
        b'<!DOCTYPE net [<!ENTITY a "b">]><net/>',
        b"<other/>",
        "<net/>".encode("utf-16"),
        b"",
    ):
        assert list(faults_of_ir(content))


def test_the_lists_name_known_operators_without_state():
    schemas = {
        schema.name: schema
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.domain == ""
    }
    assert schemas.keys() >= ONNX_OPERATORS
    graphs = onnx.defs.OpSchema.AttrType.GRAPH
    for name in ONNX_OPERATORS:
        assert not any(
            attribute.type == graphs
            for attribute in schemas[name].attributes.values()
        ), name
        assert not name.startswith(("Random", "Sequence", "Optional")), name
    assert not IR_OPERATORS & {
        "ReadValue",
        "Assign",
        "RandomUniform",
        "Multinomial",
        "Loop",
        "If",
        "TensorIterator",
    }


def test_graphs_of_the_export_have_no_fault(bundle):
    graphs = [
        name
        for name in bundle.manifest.files
        if name.endswith((".onnx", ".xml"))
    ]
    assert len(graphs) == 4
    for name in graphs:
        assert not list(
            (faults_of_ir if name.endswith(".xml") else faults_of_onnx)(
                bundle.read(name)
            )
        ), name


def stateful(path):
    """Give an IR a state: the score of the first 500 calls is right, later ones are zero."""
    content = path.read_text()
    layer = LAYER.format("ReadValue", "opset6").replace('id="1"', 'id="999999"')
    path.write_text(content.replace("</layers>", layer + "</layers>", 1))


@pytest.mark.skipif(
    "onnxruntime" not in RUNTIMES,
    reason="the other runtime is the one that opens the IR",
)
def test_a_proof_looks_at_graphs_that_it_does_not_run(root, capfd):
    stateful(root / "openvino" / "model.xml")
    signed(root)
    assert run("verify", root, "--runtime", "onnxruntime", "--batch", "1") == 3
    assert (
        "bundle operators: openvino/model.xml has layer 'n' of type ReadValue (opset6)"
        in capfd.readouterr().err
    )


@pytest.mark.skipif("openvino" not in RUNTIMES, reason="OpenVINO's own format")
def test_an_ir_with_a_state_is_not_opened(root):
    stateful(root / "openvino" / "model.xml")
    with pytest.raises(BundleError, match="ReadValue"):
        runtimes.open(signed(root), runtime="openvino")


@pytest.mark.skipif("openvino" not in RUNTIMES, reason="OpenVINO's layers")
def test_an_onnx_graph_that_becomes_an_unlisted_layer_is_not_opened(root):
    """GatherND of OpenVINO reads beyond its input, so it finds what the run before left there."""
    value = helper.make_tensor_value_info
    indices = numpy_helper.from_array(np.array([[999]]), "w")
    node = helper.make_node("GatherND", ["x", "w"], ["y"])
    inputs, outputs = [value("x", 1, [4])], [value("y", 1, [1])]
    graph = helper.make_graph([node], "g", inputs, outputs, [indices])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    with pytest.raises(BundleError, match="type GatherND in OpenVINO"):
        runtimes.open(with_graph(root, model.SerializeToString()), "openvino")


def test_bytes_of_another_format_and_countless_fields_are_refused():
    """ONNX Runtime takes bytes with this mark for its own format; the same bytes are a valid protocol buffer."""
    both = varint(1 << 3) + b"\x0a" + piece(2, b"ORTM")
    assert list(faults_of_onnx(both)) == [
        "has the mark of ONNX Runtime's own format"
    ]
    (fault,) = faults_of_onnx(piece(14, b"") * 1_000_001)
    assert "over 1000000 fields" in fault
    (fault,) = faults_of_ir(b" " * (17 << 20))
    assert fault.startswith("has 17825792 bytes")


@pytest.mark.parametrize(
    "name",
    ["MatMulInteger", "QLinearMatMul", "ConvInteger", "GRU", "LSTM", "RNN"],
)
def test_operators_that_leave_memory_unwritten_are_not_allowed(name):
    """ONNX Runtime leaves outputs of some as they were where a dimension is zero: a state from run to run."""
    assert name not in ONNX_OPERATORS


def test_onnxruntime_does_not_guess_the_format(root, monkeypatch):
    import onnxruntime

    told, real = [], onnxruntime.InferenceSession

    def opened(content, settings, **more):
        told.append(
            settings.get_session_config_entry("session.load_model_format")
        )
        return real(content, settings, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    with runtimes.open(root, runtime="onnxruntime"):
        assert told == ["ONNX"]
