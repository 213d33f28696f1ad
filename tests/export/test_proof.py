"""A copy that does not decide as the original is not published; every way to differ is planted and must be found."""

import dataclasses
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from anomedge.bundle import Bundle, write_manifest
from anomedge.export.proof import reference_from_model
from anomedge.images import read_folders
from anomedge.parity import Plan, prove
from anomedge.parity.golden import read_golden
from tests.conftest import FRAME, RUNTIMES


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
    assert count.total == 15 + count.blended + count.levels + 4
    assert count.levels >= 4
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
        if picture.generated == "blended":
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
