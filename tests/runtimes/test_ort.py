"""ONNX Runtime: packages that do not load."""

import numpy as np
import pytest

from anomedge import runtimes
from anomedge.errors import RuntimeFailure
from anomedge.runtimes import ort


def test_a_vendor_made_for_another_numpy_is_told_from_a_graph_that_does_not_open(
    bundle, monkeypatch
):
    def fails(session):
        raise ImportError  # all that onnxruntime 1.17 says to its caller beside numpy 2

    monkeypatch.setattr(runtimes.get("ort"), "_open", fails)
    with pytest.raises(
        RuntimeFailure,
        match=rf"does not load beside numpy {np.__version__}.*'numpy<2'",
    ):
        runtimes.open(bundle, "ort")


def test_a_vendor_that_does_not_load_is_a_failure_of_that_runtime(monkeypatch):
    def broken():
        raise ImportError("libvendor.so.1 is missing")

    monkeypatch.setattr(ort, "import_onnxruntime", broken)
    message = "onnxruntime could not find device cpu: libvendor"
    with pytest.raises(RuntimeFailure, match=message):
        runtimes.check_device(["onnxruntime"], "cpu")
