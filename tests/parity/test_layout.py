"""The proof of a layout: its outputs in their own form, against the original's raw ones."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.errors import BundleError, InputError
from anomedge.layouts import LayoutOutput
from anomedge.parity import layout as module
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.layout import (
    _Meter,
    _runs,
    check_layout,
    check_layouts,
)
from anomedge.parity.outputs import Outputs
from tests.parity.examples import DECISION, comparison
from tests.parity.sessions import Session, brightness, reference

TOLERANCE = TOLERANCES["fp32"]
NAMES = ["a", "b"]


def measured(quantity, form, values, score=(39.0, 41.0), maps=None):
    """The check of one output of two pictures; the threshold is 40, the scale 10, the range 20."""
    meter = _Meter("out", LayoutOutput(quantity, form), DECISION)
    raw = np.array([[29.0, 31.0], [29.0, 31.0]]) if maps is None else maps
    expected = Outputs(np.array(score), raw.reshape(2, 1, 1, 2))
    meter.add(np.array(values), expected, NAMES, TOLERANCE)
    return meter.check("ort", "mine", TOLERANCE)


def test_a_raw_score_is_compared_in_shares_of_the_scale():
    check = measured("score", "raw", [39.0, 41.0005])
    assert (check.name, check.passed) == ("mine out", True)
    assert check.error == pytest.approx(5e-5)
    check = measured("score", "raw", [39.002, 41.0])
    assert not check.passed
    assert check.detail == "off by 2.00e-04; allowed 1.0e-04"


def test_a_normalised_score_is_one_half_at_the_threshold():
    assert measured("score", "normalised", [0.45, 0.55]).passed
    check = measured("score", "normalised", [0.45, 0.551])
    assert check.error == pytest.approx(1e-3)
    # Half as much as of the scale, which is half the range.
    assert check.tolerance == pytest.approx(5e-5, rel=0.02)
    assert not check.passed


def test_labels_flip_by_name():
    assert measured("score", "label", [False, True]).passed
    check = measured("score", "label", [True, True])
    assert check.detail == "1 labels flipped: a"
    assert check.error is None


def test_pixels_next_to_the_threshold_are_not_counted():
    mask = [[[[False, True]]], [[[False, True]]]]
    assert measured("anomaly_map", "label", mask).passed
    mask = [[[[True, True]]], [[[True, False]]]]
    check = measured("anomaly_map", "label", mask)
    assert check.detail == "3 pixels on the wrong side"
    # The pixel threshold is 30; within 1e-3 of it both are right.
    near = np.array([[30.0005, 29.9995], [29.0, 31.0]])
    mask = [[[[False, True]]], [[[False, True]]]]
    assert measured("anomaly_map", "label", mask, maps=near).passed


@pytest.mark.parametrize("form", ["raw", "normalised"])
def test_a_number_that_is_not_finite_is_an_infinite_error(form):
    check = measured("score", form, [np.nan, 41.0])
    assert check.error == np.inf
    assert not check.passed


@pytest.mark.parametrize("form", ["raw", "label"])
def test_a_map_that_the_original_has_not_is_wrong(form):
    meter = _Meter("out", LayoutOutput("anomaly_map", form), DECISION)
    values = np.zeros((1, 1, 4, 4))
    meter.add(values, Outputs(np.array([1.0])), ["a"], TOLERANCE)
    assert not meter.check("ort", "mine", TOLERANCE).passed


def test_the_last_run_is_filled_up_with_the_first_pictures():
    assert list(_runs(3, [2, 1])) == [[0, 1], [2, 0], [0], [1], [2]]
    assert list(_runs(1, [3])) == [[0, 0, 0]]


class Variant:
    def __init__(self, *names, ir_alone=()):
        self.names, self.ir_alone = names, ir_alone

    def layouts(self):
        return self.names

    def graph(self, name):
        return f"{name}.onnx"

    def find(self, name, kind="onnx"):
        if kind != "onnx":
            return None
        known = name in self.names and name not in self.ir_alone
        return f"{name}.onnx" if known else None

    def with_model(self, name):
        assert name in self.names
        return self


def bundle(*names, **more):
    outputs = [
        SimpleNamespace(name="score", shape=()),
        SimpleNamespace(name="anomaly_map", shape=(1, 4, 4)),
    ]
    manifest = SimpleNamespace(
        input=SimpleNamespace(frame=(4, 4)),
        outputs=outputs,
        has_map=True,
        decision=DECISION,
    )
    variant = Variant(*names, **more)
    manifest.variants = {"fp32": variant}
    return SimpleNamespace(
        path="part.anomedge",
        manifest=manifest,
        variant=lambda name: variant,
        read=lambda name: b"",
    )


PLAN = SimpleNamespace(
    precision="fp32", batches=[1, 2], options=lambda runtime: None
)


def proven(monkeypatch, function):
    session = Session(function)
    kind = SimpleNamespace(from_variant=lambda *_: nullcontext(session))
    monkeypatch.setattr(module, "get", lambda runtime: kind)
    made = comparison(None, [], reference=reference(30, 50, 60))
    return check_layout(bundle("frames"), made, PLAN, "ort", "frames")


def test_every_output_of_a_layout_is_checked(monkeypatch):
    checks = proven(monkeypatch, lambda feed: brightness(feed["frames"]))
    assert [check.name for check in checks] == [
        "frames outputs",
        "frames metadata",
        "frames score",
        "frames anomaly_map",
    ]
    assert all(check.passed for check in checks)


def test_outputs_of_another_type_or_order_are_not_measured(monkeypatch):
    def swapped(feed):
        outputs = brightness(feed["frames"])
        return dict(reversed(outputs.items()))

    check, metadata = proven(monkeypatch, swapped)
    assert metadata.passed
    assert not check.passed
    assert check.detail.startswith("got {'anomaly_map': 'float32 (2, 1, 4, 4)'")


def test_a_layout_that_is_not_installed_fails_by_name():
    (check,) = check_layouts(bundle("martian"), None, PLAN, "ort")
    assert (check.name, check.passed) == ("martian layout", False)
    assert "martian" in check.detail


def test_a_layout_as_ir_alone_is_left_to_the_check_of_graphs():
    alone = bundle("anomalib", ir_alone=["anomalib"])
    assert check_layouts(alone, None, PLAN, "ort") == []
    with pytest.raises(BundleError, match="export with --layout anomalib"):
        check_layout(alone, None, PLAN, "ort", "anomalib")


def test_an_unknown_layout_is_refused():
    with pytest.raises(InputError, match="martian"):
        check_layout(bundle(), None, PLAN, "ort", "martian")


@pytest.mark.parametrize(
    ("faults", "content"),
    [
        (module._faults_of_properties, b"\xca\x01\x00"),
        (module._faults_of_model_info, b'<!DOCTYPE net [<!ENTITY a "b">]><net/>'),
        (module._faults_of_model_info, b"<net"),
    ],
)  # fmt: skip
def test_files_that_are_not_valid_are_named_and_not_read(faults, content):
    (fault,) = faults(content, {"labels": "a b"})
    assert fault.startswith(("has ", "is no valid "))


def test_an_ir_is_compared_as_openvino_reads_it_where_it_is_installed(
    monkeypatch,
):
    def as_read(content, weights):
        return {"labels": "b a"}

    monkeypatch.setattr(module, "model_info_as_read", as_read)
    (fault,) = module._faults_as_read(b"", b"", {"labels": "a b"})
    assert fault == "as OpenVINO reads it: labels 'b a'; expected 'a b'"
    assert module._faults_as_read(b"", b"", {"labels": "b a"}) == []

    def broken(content, weights):
        raise RuntimeError("no\n such opset")

    monkeypatch.setattr(module, "model_info_as_read", broken)
    (fault,) = module._faults_as_read(b"", b"", {})
    assert fault == "OpenVINO cannot read it (no such opset)"

    def absent(content, weights):
        raise ImportError

    monkeypatch.setattr(module, "model_info_as_read", absent)
    assert module._faults_as_read(b"", b"", {"labels": "a b"}) == []


def test_a_layout_without_metadata_of_model_api_has_none():
    entry = b"<net><layers/><rt_info><model_info><a value='1'/></model_info></rt_info></net>"
    assert module._faults_of_model_info(b"<net><layers/></net>", {}) == []
    assert module._faults_of_model_info(entry, {}) == ["a '1'; expected 'none'"]
