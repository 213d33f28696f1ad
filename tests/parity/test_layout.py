"""The proof of a layout: its outputs in their own form, against the original's raw ones."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from anomedge.errors import BundleError, InputError
from anomedge.layouts import LAYOUTS
from anomedge.parity import layout as module
from anomedge.parity.layout import _runs, check_layout, check_layouts
from tests.parity.examples import DECISION, comparison
from tests.parity.sessions import Session, brightness, reference


def test_the_order_of_the_pictures_is_drawn_for_every_batch_size():
    plan = SimpleNamespace(batches=[2, 1], seed=5)
    runs = list(_runs(6, plan, "ort"))
    assert {len(places) for places in runs[:3]} == {2}
    assert sorted(place for (place,) in runs[3:]) == [*range(6)]
    assert runs == list(_runs(6, plan, "ort"))
    assert runs != list(_runs(6, plan, "openvino"))


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
    precision="fp32", batches=[1, 2], seed=1, options=lambda runtime: None
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


def test_a_layout_of_floats_that_does_not_round_is_not_measured(monkeypatch):
    frames = LAYOUTS.get("frames")
    monkeypatch.setattr(frames, "feed", lambda f: {"frames": f / 255.0})
    check, metadata = proven(monkeypatch, lambda feed: {})
    assert metadata.passed
    assert check.detail.startswith("takes floats; expected whole grey levels")


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
