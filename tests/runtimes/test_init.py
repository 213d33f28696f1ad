"""Runtimes by name, and the extra that brings a missing one."""

import pytest

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import InputError, RuntimeMissing
from anomedge.runtimes import vendors
from anomedge.verification import plan_of


def test_named_in_full_and_in_short():
    for full, short in (("onnxruntime", "ort"), ("openvino", "ov")):
        assert (
            runtimes.get(full)
            is runtimes.get(short)
            is runtimes.get(short.upper())
        )
    with pytest.raises(
        InputError, match=r"onnxruntime \(ort\), openvino \(ov\)"
    ):
        runtimes.get("caffe")


def test_a_missing_vendor_names_the_extra(monkeypatch):
    monkeypatch.setattr(vendors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeMissing, match=r"pip install '\.\[ort\]'"):
        runtimes.get("ort")
    with pytest.raises(
        RuntimeMissing, match="no runtime is installed that runs here"
    ):
        runtimes.open("anything")


def test_defaults_leave_out_what_cannot_run_here(machine, bundle_paths):
    machine.install("10.3.0")
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    bundle = Bundle.open(bundle_paths["padim"])
    machine.gpus("GeForce RTX 4090", capability=(8, 9))
    assert runtimes.usable()[-2:] == ["tensorrt", "tensorrt-rtx"]
    machine.gpus("H200", capability=(9, 0))
    assert runtimes.usable()[-1] == plan_of(bundle).runtimes[-1] == "tensorrt"
    machine.gpus()
    assert (
        runtimes.usable()
        == plan_of(bundle).runtimes
        == ["onnxruntime", "openvino"]
    )
    assert plan_of(bundle, ["trt"]).runtimes == ["tensorrt"]
