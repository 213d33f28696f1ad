"""Whole exports: what is published, what is kept, and options that are refused before long work."""

import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anomedge.bundle import Bundle
from anomedge.errors import InputError, ModelError, OutputError, ProofFailed
from anomedge.export import bundling
from anomedge.export import tracing as graph
from anomedge.export.bundling import ExportOptions, check_options, export
from anomedge.parity import Plan, prove
from anomedge.parity.golden import read_golden
from anomedge.pipelines.fitting import SmallSampleWarning, fit
from anomedge.pipelines.model import load, save
from tests.conftest import FRAME, RUNTIMES, tiny_options


def test_a_failed_proof_publishes_nothing(
    model_paths, pictures, tmp_path, monkeypatch
):
    class Wrong(graph.Frontend):
        def forward(self, frames):
            return super().forward(frames) * 1.01

    monkeypatch.setattr(graph, "Frontend", Wrong)
    options = ExportOptions(
        frame=FRAME,
        golden=[pictures / "test"],
        runtimes=RUNTIMES[:1],
        batches=[1],
    )
    with pytest.raises(ProofFailed, match="no bundle was published") as failure:
        export(model_paths["padim"], tmp_path / "wrong.anomedge", options)
    assert failure.value.exit_code == 3
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_failed_proof_keeps_the_old_bundle(
    model_paths, pictures, tmp_path, monkeypatch, bundle_paths
):
    target = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], target)
    digest = Bundle.open(target).manifest.digest
    monkeypatch.setattr(
        bundling, "prove", lambda *_: failed_certificate(bundle_paths)
    )
    options = ExportOptions(
        frame=FRAME,
        golden=[pictures / "test"],
        runtimes=RUNTIMES[:1],
        batches=[1],
        force=True,
    )
    with pytest.raises(ProofFailed):
        export(model_paths["padim"], target, options)
    assert Bundle.open(target).manifest.digest == digest
    assert os.listdir(tmp_path) == ["part.anomedge"]


def failed_certificate(bundle_paths):
    from anomedge.parity import Certificate

    content = (
        bundle_paths["padim"] / "certificates" / "host.json"
    ).read_bytes()
    return Certificate.from_json(json.loads(content)).model_copy(
        update={"cells": ()}
    )


@pytest.mark.slow
def test_synthetic_frames_when_pictures_are_confidential(model_paths, tmp_path):
    certificate = export(
        model_paths["patchcore"], tmp_path / "b.anomedge",
        ExportOptions(frame=FRAME, runtimes=RUNTIMES[:1], batches=[1, 2]),
    )  # fmt: skip
    manifest = Bundle.open(tmp_path / "b.anomedge").manifest
    assert manifest.golden_source == "synthetic"
    assert certificate.pictures.labelled == 0
    assert all(golden.generated for golden in manifest.golden)


def test_a_module_as_backbone_goes_the_whole_way(pictures, tmp_path):
    torch.manual_seed(0)
    backbone = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=8, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, stride=2, padding=1),
    )
    with pytest.warns(SmallSampleWarning):
        model = fit(
            "patchcore",
            pictures / "train",
            tiny_options(
                pictures, backbone=backbone, layers=["1", "2"], weights=None
            ),
        )
    save(model, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="Sequential"):
        load(tmp_path / "m.safetensors")
    options = ExportOptions(
        frame=FRAME, runtimes=RUNTIMES, batches=[1, 2], backbone=backbone
    )
    assert export(
        tmp_path / "m.safetensors", tmp_path / "b.anomedge", options
    ).passed


@pytest.mark.slow
def test_a_fixed_batch_is_proven_among_other_neighbours(model_paths, tmp_path):
    options = ExportOptions(frame=FRAME, batch=3, runtimes=RUNTIMES)
    certificate = export(
        model_paths["patchcore"], tmp_path / "b.anomedge", options
    )
    assert {cell.batch for cell in certificate.cells} == {3}
    assert all(
        cell.batch_error is not None and cell.batch_error <= 1e-5
        for cell in certificate.cells
    )
    again = prove(
        Bundle.open(tmp_path / "b.anomedge"),
        read_golden(Bundle.open(tmp_path / "b.anomedge")),
        Plan(RUNTIMES, (3,)),
    )
    assert again.passed, again.failures


@pytest.mark.slow
def test_two_exports_are_byte_identical(
    detector, model_paths, bundle_paths, pictures, tmp_path
):
    code = "import sys; from anomedge.__main__ import run_command; sys.exit(run_command('export', sys.argv[1:]))"
    command = [
        str(model_paths[detector]),
        "-o",
        "again.anomedge",
        "--frame",
        f"{FRAME[0]}x{FRAME[1]}",
    ]
    environment = os.environ | {"PYTHONHASHSEED": "11", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--golden", str(pictures / "test")],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same(bundle_paths[detector], tmp_path / "again.anomedge")


def written(bundle: Path) -> list[Path]:
    """Return what an export writes; other tests verify the shared bundle, which adds certificates of this machine."""
    found = [path.relative_to(bundle) for path in bundle.rglob("*")]
    added = Path("certificates")
    return sorted(
        path
        for path in found
        if path.parent != added or path.name == "host.json"
    )


def assert_same(one: Path, other: Path) -> None:
    names = written(one)
    assert names == written(other)
    files = [str(name) for name in names if (one / name).is_file()]
    assert filecmp.cmpfiles(one, other, files, shallow=False)[0] == files


@pytest.mark.parametrize("precisions", [[], ["fp32", "fp32"], ["fp64"]])
def test_precisions_that_there_are_not(model_paths, tmp_path, precisions):
    with pytest.raises(InputError, match="got precision"):
        export(
            model_paths["padim"],
            tmp_path / "b",
            ExportOptions(frame=FRAME, precisions=precisions),
        )
    assert not (tmp_path / "b").exists()


def options(**changed):
    return ExportOptions(**({"frame": FRAME} | changed))


def test_runtimes_are_named_in_full_and_default_to_all(tmp_path):
    target = tmp_path / "part.anomedge"
    assert check_options(target, options(runtimes=["ort"])) == ["onnxruntime"]
    assert set(RUNTIMES) <= set(check_options(target, options()))


def test_nothing_to_prove_under_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bundling.runtimes, "usable", list)
    with pytest.raises(InputError, match="no runtime is installed to prove"):
        check_options(tmp_path / "part.anomedge", options())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"runtimes": ["caffe"]}, "caffe"),
        ({"batch": 0}, "got batch 0"),
        ({"layout": "martian"}, "martian"),
        ({"precisions": ["fp64"]}, "fp64"),
    ],
)
def test_options_are_checked_before_the_model_is_read(
    changed, message, tmp_path
):
    with pytest.raises(InputError, match=message):
        export(tmp_path / "no model", tmp_path / "b", options(**changed))


def test_a_folder_of_others_is_kept_before_the_model_is_read(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is no bundle"):
        export(tmp_path / "no model", tmp_path, options(force=True))
