"""The fastest runtime of a machine, by rules; a chosen runtime that does not open is an error with the alternatives."""

import sys

import pytest

from anomedge import runtimes
from anomedge.errors import InputError, RuntimeFailure, RuntimeMissing
from anomedge.inspector import Inspector
from anomedge.runtimes.choice import RANKS, Choice, explained
from anomedge.runtimes.nvidia import providers


def test_a_cpu_takes_the_first_by_name_unless_int8_is_faster_elsewhere():
    choice = runtimes.choice_here()
    assert (choice.runtime, choice.equal) == ("onnxruntime", ("openvino",))
    assert "may be as fast or faster" in choice.line
    choice = runtimes.choice_here("int8")
    assert (choice.runtime, choice.equal) == ("openvino", ())
    assert "INT8" in choice.line
    assert "by rule" in choice.line


@pytest.mark.parametrize(
    ("precision", "device", "options"),
    [("bf16", None, ()), ("fp32", "npu", ()), ("fp32", None, ("hint",))],
)
def test_runtimes_that_do_not_take_the_options_are_left_out(
    precision, device, options
):
    choice = runtimes.choice_here(precision, device, options)
    assert (choice.runtime, choice.others) == ("openvino", ())


def test_a_gpu_comes_first(machine, monkeypatch):
    machine.gpus("Orin")
    assert runtimes.choice_here().runtime == "onnxruntime"
    monkeypatch.setattr(providers, "is_built_with_cuda", lambda name: True)
    choice = runtimes.choice_here()
    assert (choice.runtime, choice.device) == ("onnxruntime", "cuda")
    machine.install("10.3.0")
    choice = runtimes.choice_here()
    assert (choice.runtime, choice.device) == ("tensorrt", None)
    assert choice.others == ("onnxruntime", "openvino")
    assert "Orin" in choice.line
    assert runtimes.choice_here(device="cpu").runtime == "onnxruntime"
    assert runtimes.choice_here(device="CUDA:0").runtime == "tensorrt"
    machine.gpus()
    choice = runtimes.choice_here()
    assert (choice.runtime, choice.device) == ("onnxruntime", None)


def test_a_gpu_engine_comes_before_a_portable_one(machine):
    machine.install("10.3.0")
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    machine.gpus("GeForce RTX 4090", capability=(8, 9))
    choice = runtimes.choice_here()
    assert choice.runtime == "tensorrt"
    assert choice.others[0] == "tensorrt-rtx"


def test_a_broken_fastest_runtime_is_an_error_with_the_alternatives(
    machine, monkeypatch, bundle_paths, tmp_path
):
    broken = tmp_path / "site" / "tensorrt"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(
        "raise ImportError('libnvdla_compiler.so: cannot open shared object file')"
    )
    monkeypatch.syspath_prepend(str(broken.parent))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    machine.gpus("Orin")
    with pytest.raises(
        RuntimeMissing,
        match=r"libnvdla_compiler\.so.*doctor.*--runtime onnxruntime or openvino",
    ):
        Inspector.open(bundle_paths["padim"])
    with Inspector.open(bundle_paths["padim"], "onnxruntime") as inspector:
        assert inspector.session.choice is None


def test_errors_of_the_bundle_are_not_blamed_on_the_choice():
    choice = Choice("a", None, "", ("b",))
    error = InputError("no such bundle")
    assert explained(error, choice) is error
    assert explained(RuntimeFailure("x"), Choice("a", None, "")).args == ("x",)


def test_every_runtime_states_a_known_rank():
    found = [each for each in runtimes.available().values() if each.runs_here()]
    assert {each.preference("fp32").speed for each in found} <= set(RANKS)
