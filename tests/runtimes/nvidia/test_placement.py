"""Nodes that run on the CPU although a GPU was asked for."""

from pathlib import Path

import onnxruntime as real
import pytest

from anomedge.errors import DeviceMismatch
from anomedge.runtimes.nvidia.placement import read_placement
from tests.runtimes.nvidia.fake_onnxruntime import CPU, CUDA, TENSORRT, opened


def test_work_that_was_left_to_the_cpu_is_refused(ort_gpu, padim):
    ort_gpu.place = lambda operator, arguments: (
        CPU if operator == "Conv" else CUDA
    )
    with pytest.raises(
        DeviceMismatch,
        match=r"nodes run on the CPU: Conv .* more; expected all on the GPU",
    ):
        opened(padim)
    ort_gpu.place = lambda operator, arguments: CPU
    with pytest.raises(
        DeviceMismatch, match=rf"no node ran \(\d+ under {CPU}\)"
    ):
        opened(padim)
    ort_gpu.place = lambda operator, arguments: CUDA
    with pytest.raises(
        DeviceMismatch, match=rf"asked for {TENSORRT}, under which no node ran"
    ):
        opened(padim, "tensorrt")


def test_arithmetic_on_shapes_may_stay_on_the_cpu(ort_gpu, padim):
    small = []

    def place(operator, arguments):
        keys = ("output_size", "activation_size", "parameter_size")
        if max(int(arguments[key]) for key in keys) > 64:
            return CUDA
        small.append(operator)
        return CPU

    ort_gpu.place = place
    with opened(padim) as session:
        assert small
        assert session.placement.nodes[CPU] == len(small)
        assert session.placement.on_cpu == ()


def test_a_profile_of_the_real_package_is_understood(padim, frames, tmp_path):
    settings = real.SessionOptions()
    settings.enable_profiling, settings.profile_file_prefix = (
        True,
        str(tmp_path / "profile"),
    )
    session = real.InferenceSession(
        padim.file("model.onnx"), settings, providers=[CPU]
    )
    session.run(None, {"frames": frames})
    placement = read_placement(Path(session.end_profiling()))
    assert placement.nodes.keys() == {CPU}
    assert len(placement.on_cpu) > 10
    assert any(node.startswith("Conv ") for node in placement.on_cpu)
