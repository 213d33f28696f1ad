"""TF32: a setting of the process under TensorRT, and a precision with a tolerance of its own."""

import os

import pytest

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.errors import InputError
from anomedge.parity.certificate import TOLERANCES
from anomedge.runtimes.nvidia import tf32
from anomedge.verification import certify, plan_of
from tests.runtimes.nvidia.fake_onnxruntime import CUDA, opened


def test_tf32_is_a_matter_of_the_process_under_tensorrt(
    ort_gpu, padim, monkeypatch
):
    with opened(padim, "tensorrt"):
        assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"
    with opened(padim, "tensorrt"), opened(padim, "cuda"):
        pass
    for device in ("tensorrt", "cuda"):
        with pytest.raises(
            InputError, match=r"NVIDIA_TF32_OVERRIDE=0 forbids it"
        ):
            opened(padim, device, precision="tf32")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    with pytest.raises(InputError, match="once per process"):
        opened(padim, "tensorrt", precision="tf32")
    monkeypatch.setattr(tf32, "_setting_in_use", [])
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    with pytest.raises(InputError, match="expected it unset or 0"):
        opened(padim, "tensorrt")
    with (
        opened(padim, "tensorrt", precision="tf32"),
        opened(padim, "cuda", precision="tf32"),
        opened(padim),
    ):
        assert [told[-1][1]["use_tf32"] for told in ort_gpu.told[-3:]] == [
            "1",
            "1",
            "0",
        ]


def test_tf32_is_proven_to_a_tolerance_of_its_own(ort_gpu, padim):
    plan = plan_of(padim, ["ort"], [1, 3], precision="tf32", device="cuda")
    certificate = certify(padim, plan)
    assert certificate.passed, certificate.failures
    assert certificate.tolerances == {"tf32": TOLERANCES["tf32"]}
    assert {
        (cell.precision, cell.running_on) for cell in certificate.cells
    } == {("tf32", CUDA)}
    assert {check.precision for check in certificate.checks} == {"tf32"}
    assert {told[0][1]["use_tf32"] for told in ort_gpu.told} == {"1"}


def test_a_cpu_has_no_tf32(padim, runtime):
    with pytest.raises(InputError, match=r"got precision tf32.* mode of"):
        runtimes.open(padim, runtime=runtime, precision="tf32")
    with pytest.raises(InputError, match=r"got precision tf32.* mode of"):
        certify(padim, plan_of(padim, [runtime], precision="tf32"))


def test_the_command_refuses_tf32_on_a_cpu_in_one_line(padim, capsys):
    from anomedge.__main__ import application

    command = lambda arguments: application()(arguments, standalone_mode=False)  # noqa: E731
    asked = [
        "verify",
        str(padim.path),
        "--runtime",
        "ort",
        "--precision",
        "tf32",
    ]
    assert run_to_exit_code(command, asked) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: got precision tf32 on CPUExecutionProvider")


def test_a_bundle_of_before_tf32_is_held_to_this_releases_tolerance(
    ort_gpu, padim
):
    manifest = padim.manifest.model_copy(
        update={"tolerances": {"fp32": padim.manifest.tolerances["fp32"]}}
    )
    older = Bundle(padim.path, manifest)
    certificate = certify(
        older, plan_of(older, ["ort"], [1], precision="tf32", device="cuda")
    )
    assert certificate.passed, certificate.failures
    assert certificate.tolerances == {"tf32": TOLERANCES["tf32"]}
