"""The record of an INT8 search, against the graphs."""

from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from anomedge.bundle import Int8Search
from anomedge.parity.search_record import faults_of_search

RECORD = Int8Search(candidates=8, limit=127, bytes=9)


def graph(k=8, largest=127, external=False):
    node = helper.make_node("TopK", ["x", "k"], ["v", "i"])
    bank = np.array([[1, -largest]], np.int8)
    constants = [
        numpy_helper.from_array(np.array([k], np.int64), "k"),
        numpy_helper.from_array(bank, "bank"),
        numpy_helper.from_array(np.array(-128, np.int8), "zero"),
    ]
    if external:
        values = constants[1].raw_data
        constants[1].ClearField("raw_data")
        constants[1].data_location = TensorProto.EXTERNAL
        for key, value in (("location", "w.data"), ("length", len(values))):
            constants[1].external_data.add(key=key, value=str(value))
    made = helper.make_graph([node], "anomedge", [], [], constants)
    return helper.make_model(made).SerializeToString(), bank.tobytes()


def faults(record=RECORD, quantisation=None, **changed):
    content, weights = graph(**changed)
    files = {"model.onnx": content, "w.data": weights}
    manifest = SimpleNamespace(
        search=record,
        quantisation=quantisation,
        variants={"fp32": SimpleNamespace(graph=lambda: "model.onnx")},
    )
    bundle = SimpleNamespace(manifest=manifest, read=files.__getitem__)
    return list(faults_of_search(bundle))


@pytest.mark.parametrize("external", [True, False])
def test_a_record_of_the_graphs_search(external):
    assert faults(external=external) == []
    assert faults(RECORD.model_copy(update={"limit": 64}), largest=64) == []


def test_a_bundle_without_a_search_is_not_read():
    assert faults(None, k=3) == []


@pytest.mark.parametrize("external", [True, False])
def test_a_smaller_limit_would_hide_a_caution(external):
    record = RECORD.model_copy(update={"limit": 64})
    assert faults(record, external=external) == [
        "model.onnx has integers up to 127 in the bank; the manifest says 64"
    ]


def test_another_number_of_candidates():
    assert faults(k=9) == ["model.onnx takes 9 candidates; the manifest says 8"]


def test_integers_of_quantised_networks_are_not_the_banks():
    record = RECORD.model_copy(update={"limit": 64})
    assert faults(record, quantisation=object()) == []
