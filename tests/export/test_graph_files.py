"""Graphs of a bundle: those that a program may open alone state the contract; a forged entry fails by name."""

import re
import shutil

import onnx
import onnxruntime
import pytest

from anomedge.bundle import Bundle
from anomedge.export.graph_files import variant_files
from anomedge.layouts import LAYOUTS, Frames
from anomedge.parity.graph_files import faults_of_files
from tests.parity.forging import remove_contracts, sign


@pytest.fixture
def copy(bundle_paths, tmp_path):
    return shutil.copytree(
        bundle_paths["patchcore"], tmp_path / "part.anomedge"
    )


def edited(path, change):
    model = onnx.load(path, load_external_data=False)
    change(model.metadata_props)
    path.write_bytes(model.SerializeToString(deterministic=True))


def with_value(key, value):
    def change(properties):
        for entry in properties:
            if entry.key == f"anomedge.{key}":
                entry.value = value

    return change


def removed(properties):
    del properties[:]


def faults(root):
    return [text for text in faults_of_files(sign(root)).values() if text]


def test_a_program_with_the_file_alone_has_the_threshold(
    bundle_paths, detector
):
    root = bundle_paths[detector]
    session = onnxruntime.InferenceSession(root / "model.onnx")
    stated = session.get_modelmeta().custom_metadata_map
    decision = Bundle.open(root).manifest.decision
    assert float(stated["anomedge.threshold"]) == decision.threshold
    assert stated["anomedge.detector"] == detector


def test_graphs_of_stages_state_nothing(bundle_paths):
    for name in ("stages.onnx", "segments.onnx"):
        path = bundle_paths["padim"] / name
        assert not onnx.load(path, load_external_data=False).metadata_props


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_value("threshold", "1e9"), "threshold '1e9'"),
        (with_value("colour", "BGR"), "colour 'BGR'"),
        (with_value("height", "1"), "height '1'"),
        (lambda p: p.add(key="anomedge.more", value="x"), "more 'x'"),
        (lambda p: p.add(key="anomedge.threshold", value="1e9"), "threshold"),
    ],
)
def test_a_forged_property_is_named(copy, change, said):
    edited(copy / "model.onnx", change)
    assert any(said in text for text in faults(copy))


def test_a_forged_entry_of_an_ir_is_named(copy):
    path = copy / "openvino" / "model.xml"
    text = path.read_text()
    forged = re.sub(r'<threshold value="[^"]*"', '<threshold value="1e9"', text)
    assert forged != text
    path.write_text(forged)
    assert any("threshold '1e9'" in text for text in faults(copy))


def test_a_bundle_of_an_older_release_has_no_contract_in_any_graph(copy):
    edited(copy / "model.onnx", removed)
    assert any("axes 'none'" in text for text in faults(copy))
    remove_contracts(copy)
    assert faults(copy) == []


@pytest.mark.parametrize("name", LAYOUTS.names())
def test_a_layout_has_a_graph_in_its_precisions(name):
    layout = LAYOUTS.get(name)
    for precision in ("fp32", "fp16"):
        found = variant_files([layout], precision).find(name)
        assert (found is not None) == layout.is_written_in(precision)
    assert not Frames.is_written_in("fp32")
