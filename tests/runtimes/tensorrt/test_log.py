"""Lines that TensorRT logs, and libraries that are missing."""

import importlib
import warnings

import pytest

from anomedge import runtimes
from anomedge.errors import RuntimeMissing
from anomedge.runtimes.tensorrt.log import LogRecorder


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "libnvdla_compiler.so: cannot open shared object file: No such file or directory",
            r"libnvdla_compiler\.so is missing; on a Jetson it comes with nvidia-l4t-dla-compiler",
        ),
        (
            "libnvinfer.so.10: cannot open shared object file",
            r"libnvinfer\.so\.10 is missing; it comes with TensorRT",
        ),
        (
            "libstrange.so.3: cannot open",
            r"libstrange\.so\.3 is missing; install the package that brings",
        ),
        ("undefined symbol: x", "undefined symbol: x; install it again"),
    ],
)
def test_a_missing_library_is_named(machine, graph, monkeypatch, error, said):
    machine.install("10.3.0")
    real = importlib.import_module

    def importing(name, *more):
        if name == "tensorrt":
            raise ImportError(error)
        return real(name, *more)

    monkeypatch.setattr(importlib, "import_module", importing)
    with pytest.raises(RuntimeMissing, match=said):
        runtimes.open(graph(), runtime="trt")


def test_each_warning_is_told_once(new, graph):
    told = [
        ["WARNING", "weights were  cast\ndown"],
        ["INFO", "hush"],
        ["VERBOSE", "hush"],
        ["WARNING", "another"],
    ]
    new.reading = [
        ("WARNING", "another"),
        ("WARNING", "read on another device"),
    ]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for name in ("one.onnx", "two.onnx"):
            runtimes.open(graph(name, says=told), runtime="trt").close()
    assert [str(warning.message) for warning in heard] == [
        "tensorrt: weights were cast down",
        "tensorrt: another",
        "tensorrt: read on another device",
    ]


def test_the_conversion_of_stored_bytes_is_no_warning():
    recorder = LogRecorder("tensorrt")
    recorder.add(
        "WARNING",
        "ModelImporter.cpp:416: UINT8 data pipeline.bank.vectors0.bytes is being converted to INT32.",
    )
    recorder.emit_warnings()
    recorder.add("WARNING", "UINT8 data frames is being converted to INT32.")
    with pytest.warns(UserWarning, match="UINT8 data frames"):
        recorder.emit_warnings()
