"""A machine with GPUs for ONNX Runtime."""

import shutil
import sys

import pytest

from anomedge.bundle import Bundle
from anomedge.runtimes.nvidia import tf32
from tests.runtimes.nvidia.fake_onnxruntime import FakeSession, Machine


@pytest.fixture
def ort_gpu(monkeypatch):
    made = Machine()
    monkeypatch.setattr(FakeSession, "ort_gpu", made, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", made.module())
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    monkeypatch.setattr(tf32, "_setting_in_use", [])
    return made


@pytest.fixture
def padim(bundle_paths, tmp_path) -> Bundle:
    return Bundle.open(
        shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")
    )
