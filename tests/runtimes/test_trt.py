"""TensorRT on a Jetson, where JetPack brings it."""

import pytest

from anomedge import runtimes
from anomedge.errors import RuntimeMissing
from anomedge.runtimes import trt, vendors


def test_on_a_jetson_tensorrt_is_not_installed_but_seen(monkeypatch, tmp_path):
    monkeypatch.setattr(trt, "_JETSON", tmp_path)
    monkeypatch.setattr(vendors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        RuntimeMissing, match=r"comes with JetPack; .*--system-site-packages"
    ):
        runtimes.get("trt")
    with pytest.raises(RuntimeMissing, match=r"pip install '\.\[rtx\]'"):
        runtimes.get("rtx")
