"""The contract in the graph: every number round-trips, and nothing is stated that the bundle does not hold."""

import pytest

from anomedge.bundle import Bundle
from anomedge.bundle.graph_contract import (
    InputForm,
    as_properties,
    entries_of_contract,
)

FORM = InputForm("frames", "NHWC", "RGB", (0, 255), "raw")


def with_decision(bundle, **changed):
    decision = bundle.manifest.decision.model_copy(update=changed)
    return bundle.manifest.model_copy(update={"decision": decision})


@pytest.mark.parametrize("threshold", [0.1, 1e-9, 12345.678901234567, -3.5e300])
def test_numbers_keep_every_bit(bundle_paths, threshold):
    bundle = Bundle.open(bundle_paths["padim"])
    manifest = with_decision(bundle, threshold=threshold)
    found = entries_of_contract(manifest, FORM)
    assert float(found["threshold"]) == threshold
    for name in ("minimum", "maximum", "scale", "pixel_threshold"):
        assert float(found[name]) == getattr(manifest.decision, name)


def test_a_detector_without_a_map_has_no_pixel_threshold(bundle_paths):
    bundle = Bundle.open(bundle_paths["padim"])
    manifest = with_decision(bundle, pixel_threshold=None)
    assert "pixel_threshold" not in entries_of_contract(manifest, FORM)


def test_the_input_is_the_bundles(bundle_paths):
    manifest = Bundle.open(bundle_paths["padim"]).manifest
    found = as_properties(entries_of_contract(manifest, FORM))
    assert found["anomedge.height"] == str(manifest.input.height)
    assert found["anomedge.values"] == "0 255"
    assert found["anomedge.model"] == manifest.model
    assert not found.keys() & {"anomedge.resize", "anomedge.levels"}
