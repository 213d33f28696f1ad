"""Whether the graphs of a bundle carry a contract, read from their files."""

import shutil

import onnx
import pytest

from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.parity.carried_contracts import carried_contracts
from tests.test_bad_weather import resigned


@pytest.fixture
def copy(bundle_paths, tmp_path):
    return shutil.copytree(bundle_paths["patchcore"], tmp_path / "copy")


def rewritten(path, change):
    """Change the properties of the model's ONNX file; write a manifest that lists the file."""
    model = onnx.load(path / "model.onnx")
    change(model.metadata_props)
    onnx.save(model, path / "model.onnx")
    resigned(path)
    return carried_contracts(Bundle.open(path))


def test_the_export_writes_a_contract_into_every_graph(bundle_paths):
    found = carried_contracts(Bundle.open(bundle_paths["padim"]))
    assert found.graphs == found.carried == 2
    assert found.fits


def test_local_values_are_not_those_of_the_graphs(copy):
    bundle = Bundle.open(copy)
    made = bundle.manifest.decision
    same = LocalSettings(threshold=made.threshold)
    assert carried_contracts(write_local(bundle, same)).fits
    other = LocalSettings(threshold=made.threshold + 1, maximum=1e6)
    found = carried_contracts(write_local(bundle, other))
    assert found.overridden == ("threshold", "maximum")
    assert found.is_whole
    assert not found.fits


def test_a_graph_without_a_contract_is_counted(copy):
    found = rewritten(copy, lambda props: props.__delitem__(slice(None)))
    assert (found.graphs, found.carried, found.faults) == (2, 1, ())
    assert not found.fits


def test_another_value_is_named(copy):
    def change(props):
        (entry,) = [p for p in props if p.key == "anomedge.threshold"]
        entry.value = "0.5"

    found = rewritten(copy, change)
    (fault,) = found.faults
    assert fault.startswith("model.onnx: threshold '0.5'; expected '")
    assert not found.fits


def test_a_graph_that_cannot_be_read_is_named(copy):
    (copy / "model.onnx").write_bytes(b"\xca\x01\x00")
    resigned(copy)
    found = carried_contracts(Bundle.open(copy))
    assert found.faults == ("model.onnx has local functions",)
    assert found.carried == 1
