"""Runtimes by name, and the extra that brings a missing one."""

import pytest

from anomedge import runtimes
from anomedge.errors import InputError, RuntimeMissing
from anomedge.runtimes import vendors


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
    with pytest.raises(RuntimeMissing, match=r"pip install 'anomedge\[ort\]'"):
        runtimes.get("ort")
    with pytest.raises(
        RuntimeMissing, match="no runtime is installed that runs here"
    ):
        runtimes.open("anything")
