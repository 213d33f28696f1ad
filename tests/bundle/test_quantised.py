"""The quantisation that a bundle states, for a person, and its bounds."""

import pytest
from pydantic import ValidationError

from anomedge.bundle.quantised import QuantisedNetworks, differing_fields

FIELDS = {
    "float_model": "0123456789abcdef" * 4,
    "quantised": 9,
    "kept": {},
    "pictures": 30,
    "refitted": True,
    "compared": 130,
    "flips": 2,
    "auroc_drop": 0.0015,
    "rounding": 0.012,
}


def test_the_lines_state_layers_labels_and_rounding():
    layers, labels = QuantisedNetworks(**FIELDS).lines
    assert layers == (
        "int8: 9 layers quantised on 30 pictures, 0 in float32; statistics estimated again on quantised features, thresholds carried over"
    )
    assert labels == (
        "against the float detector (0123456789abcdef): 2 of 130 labels differ, AUROC -0.0015; "
        "rounding moves scores by 0.012 of the scale"
    )


def test_layers_in_float32_are_named_by_their_effect():
    effects = {f"layer{n}": n / 10 for n in range(10)}
    stated = QuantisedNetworks(**(FIELDS | {"kept": {"net": effects}, "refitted": False}))  # fmt: skip
    first, _, kept = stated.lines
    assert "10 in float32; statistics those of the float detector" in first
    assert "net.layer9 (0.9), net.layer8 (0.8)" in kept
    assert kept.endswith("net.layer2 (0.2) and 2 more")


def test_layers_of_the_same_name_are_told_apart():
    kept = {"teacher": {"conv": 0.2}, "student": {"conv": 0.1}}
    *_, named = QuantisedNetworks(**(FIELDS | {"kept": kept})).lines
    assert named.endswith("teacher.conv (0.2), student.conv (0.1)")


@pytest.mark.parametrize("drop", [0.0, 1e-6, -1e-6])
def test_an_equal_auroc_has_no_minus(drop):
    _, labels = QuantisedNetworks(**(FIELDS | {"auroc_drop": drop})).lines
    assert "AUROC +0.0000;" in labels


@pytest.mark.parametrize(
    "wrong",
    [
        {"flips": -1},
        {"rounding": float("nan")},
        {"float_model": "x" * 65},
        {"other": 1},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        QuantisedNetworks(**(FIELDS | wrong))


def test_fields_that_differ_are_named():
    own = QuantisedNetworks(**FIELDS)
    forged = QuantisedNetworks(**(FIELDS | {"flips": 0, "float_model": "0" * 64}))  # fmt: skip
    assert differing_fields(own, own) == ()
    assert differing_fields(forged, own) == ("float_model", "flips")
    assert differing_fields(None, own) == ("quantisation",)
    assert differing_fields(own, None) == ("quantisation",)
    assert differing_fields(None, None) == ()
