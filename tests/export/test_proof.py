"""A copy that does not decide as the original is not published; every way to differ is planted and must be found."""

import dataclasses
import json
import os
import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from anomedge.bundle import Bundle, write_manifest
from anomedge.commands._arguments import parse_size
from anomedge.errors import ModelError, ProofFailed
from anomedge.export import bundling
from anomedge.export import tracing as graph
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.proof import reference_from_model
from anomedge.images import read_folders
from anomedge.parity import Plan, prove
from anomedge.parity.golden import read_golden
from anomedge.pipelines.fitting import SmallSampleWarning, fit
from anomedge.pipelines.model import load, save
from tests.conftest import FRAME, RUNTIMES, tiny_options


def test_the_certificate_says_what_was_compared(
    bundle, pictures, model_paths, models, detector
):
    folders = [pictures / "test", pictures / "train"]
    reference = reference_from_model(
        models[detector], model_paths[detector], read_folders(folders), FRAME
    )
    certificate = prove(bundle, reference, Plan(RUNTIMES, (1, 2, 3, 8)))
    assert certificate.passed, certificate.failures
    count = certificate.pictures
    assert (count.labelled, count.fitted, count.extreme) == (15, 8, 4)
    assert count.total == 15 + count.blended + 4
    assert count.blended == 20
    assert len(certificate.cells) == 4 * len(RUNTIMES)
    assert {c.kind for c in certificate.checks} == {
        "pixels",
        "stage",
        "contract",
        "bundle",
    }
    decision = bundle.decision
    for picture, score in zip(
        reference.pictures, reference.outputs.score, strict=True
    ):
        if picture.name.startswith("blended/"):
            assert abs(score - decision.threshold) <= 0.01 * decision.threshold


def test_golden_frames_prove_it_again_without_torch(bundle):
    reference = read_golden(bundle)
    certificate = prove(bundle, reference, Plan(RUNTIMES, (1, 2)))
    assert certificate.passed, certificate.failures
    assert certificate.reference == "golden frames"
    assert len([c for c in certificate.checks if c.kind == "stage"]) >= 5 * len(
        RUNTIMES
    )


def planted(bundle, tmp_path, change) -> Bundle:
    """A bundle whose graph was changed and whose manifest agrees: only a proof can tell."""
    root = tmp_path / "planted.anomedge"
    shutil.copytree(bundle.path, root)
    shutil.rmtree(root / "certificates")
    proto = onnx.load(root / "model.onnx")
    change(proto.graph)
    (root / "model.onnx").write_bytes(proto.SerializeToString())
    (root / "manifest.json").unlink()
    fields = bundle.manifest.model_dump(exclude={"files", "digest"})
    variant = dict(fields["variants"]["fp32"], openvino=None)
    write_manifest(root, fields | {"variants": {"fp32": variant}})
    return Bundle.open(root)


def scaled(fragment, factor, graph):
    changed(fragment, lambda values: values * np.float32(factor), graph)


def changed(fragment, change, graph):
    """In place and of one length, so that the tapped graph still finds the weights where it knows them to be."""
    tensor = next(t for t in graph.initializer if fragment in t.name)
    tensor.raw_data = (
        change(numpy_helper.to_array(tensor)).astype(np.float32).tobytes()
    )


PLANTED = {
    "preprocessed": lambda graph: scaled("frontend", 1.001, graph),
    "features": lambda graph: scaled("conv_stem", 1.01, graph),
    "distances": lambda graph: scaled("gaussian.rows", 1.01, graph),
    "anomaly_map": lambda graph: scaled("to_map.rows", 1.01, graph),
}


@pytest.mark.parametrize("stage", PLANTED)
def test_an_error_is_found_and_named_by_its_stage(
    bundle_paths, tmp_path, stage, runtime
):
    bundle = planted(
        Bundle.open(bundle_paths["padim"]), tmp_path, PLANTED[stage]
    )
    certificate = prove(bundle, read_golden(bundle), Plan([runtime], (1,)))
    assert not certificate.passed
    wrong = [
        c.name
        for c in certificate.checks
        if c.kind in {"pixels", "stage"} and not c.passed
    ]
    assert wrong[0].startswith(stage), wrong


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
    assert all(
        g.name.startswith(("synthetic/", "extreme/", "blended/"))
        for g in manifest.golden
    )


def test_nan_is_a_failure(bundle, models, model_paths, pictures, detector):
    reference = reference_from_model(
        models[detector],
        model_paths[detector],
        read_folders([pictures / "test"]),
        FRAME,
        blended=0,
    )
    outputs = dataclasses.replace(
        reference.outputs, score=np.full_like(reference.outputs.score, np.nan)
    )
    certificate = prove(
        bundle,
        dataclasses.replace(reference, outputs=outputs),
        Plan(RUNTIMES[:1], (1,)),
    )
    assert not certificate.passed


def test_sizes_are_read():
    assert parse_size("1080x1920") == (1080, 1920)


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
