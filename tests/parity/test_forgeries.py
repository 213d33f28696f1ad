"""Bundles and certificates whose hashes are right and whose claims are not: whoever can write a bundle can sign it again."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from anomedge.bundle import Bundle, write_manifest
from anomedge.export.proof import reference_from_model
from anomedge.images import read_folders
from anomedge.parity import cells
from anomedge.parity.certificate import Certificate
from anomedge.parity.comparison import Comparison
from anomedge.parity.contract import check_copies
from anomedge.parity.golden import read_golden
from anomedge.parity.manifest import notes_on
from anomedge.parity.outputs import Outputs
from anomedge.parity.proof import prove
from anomedge.parity.records import BUNDLE, CheckResult, PictureCount
from anomedge.parity.stored import (
    keep_certificate,
    stored_certificates,
    vouching_certificate,
)
from anomedge.parity.verdict import cautions_on
from anomedge.verification import plan_of
from tests.commands.running import run
from tests.conftest import FRAME, RUNTIMES

ONE = ("--runtime", RUNTIMES[0], "--batch", "1")


@pytest.fixture
def copy(bundle_paths, tmp_path):
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    for path in (
        root / "certificates"
    ).iterdir():  # other tests verify the session's bundle
        if path.name != "host.json":
            path.unlink()
    return root


def sign(root, **changed):
    """Make the manifest right again after files or statements were changed, as anybody can."""
    content = json.loads((root / "manifest.json").read_bytes())
    fields = {
        name: value
        for name, value in content.items()
        if name not in {"files", "digest"}
    }
    (root / "manifest.json").unlink()
    write_manifest(root, fields | changed)
    return Bundle.open(root)


def statement(root, name):
    return json.loads((root / "manifest.json").read_bytes())[name]


def scale_scores(root, factor):
    """Multiply map and score by a factor, in the graph's own bytes, so that the tapped graph still finds its weights."""
    proto = onnx.load(root / "model.onnx")
    tensor = next(
        tensor
        for tensor in proto.graph.initializer
        if "to_map.rows" in tensor.name
    )
    tensor.raw_data = (
        (numpy_helper.to_array(tensor) * np.float32(factor))
        .astype(np.float32)
        .tobytes()
    )
    (root / "model.onnx").write_bytes(proto.SerializeToString())
    shutil.rmtree(root / "openvino")
    variant = statement(root, "variants")["fp32"] | {"openvino": None}
    return {"variants": {"fp32": variant}}


def wide(root):
    return {
        "tolerances": {
            name: dict.fromkeys(own, 1e300)
            for name, own in statement(root, "tolerances").items()
        }
    }


def decided(root, **changed):
    return {"decision": statement(root, "decision") | changed}


@pytest.fixture
def proven(pictures, model_paths, models):
    """A proof of a bundle against eager Torch, by one runtime; few blends, for speed."""

    def against_the_model(bundle, blended=2):
        given = read_folders([pictures / "test"])
        reference = reference_from_model(
            models["padim"], model_paths["padim"], given, FRAME, blended, bundle
        )
        return prove(bundle, reference, plan_of(bundle, [RUNTIMES[0]], [1]))

    return against_the_model


def named(certificate):
    return {
        check.name
        for check in certificate.checks
        if check.kind == "bundle" and not check.passed
    }


CLAIMS = {
    "threshold": lambda root: decided(root, threshold=1e9),
    "scale": lambda root: decided(root, scale=1e30),
    "normalisation": lambda root: decided(root, minimum=-1e9, maximum=1e9),
    "tolerances": wide,
}


@pytest.mark.slow
@pytest.mark.parametrize("claim", ["scale", "tolerances"])
def test_a_bundle_cannot_bring_its_own_yardstick(copy, proven, claim):
    certificate = proven(
        sign(copy, **scale_scores(copy, 0.001), **CLAIMS[claim](copy))
    )
    assert not certificate.passed
    assert named(certificate) >= {
        "tolerances" if claim == "tolerances" else "decision"
    }
    errors = [cell.score_error for cell in certificate.cells]
    assert (
        min(errors) > 1
    )  # in units of the model file's scale, whatever the bundle says


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_alone_fails_and_is_named(copy, proven, claim):
    certificate = proven(sign(copy, **CLAIMS[claim](copy)))
    assert named(certificate) == {
        "tolerances" if claim == "tolerances" else "decision"
    }
    assert certificate.failures[0].startswith(
        f"bundle {named(certificate).pop()}: "
    )


def test_a_shift_without_a_flip_fails_whatever_the_tolerances_say(copy, proven):
    certificate = proven(sign(copy, **scale_scores(copy, 1.001), **wide(copy)))
    assert named(certificate) == {"tolerances"}
    assert any("score off by" in line for line in certificate.failures)


@pytest.mark.slow
def test_another_geometry_is_a_failed_proof(copy, proven, model_paths, capfd):
    size = [80, 80]
    outputs = [dict(output) for output in statement(copy, "outputs")]
    for output in outputs:
        output["shape"] = [1, 64, 72] if output["shape"] else []
    bundle = sign(copy, image={"size": size, "crop": [64, 72]}, outputs=outputs)
    certificate = proven(bundle)
    assert named(certificate) == {"geometry"}
    assert not certificate.cells
    assert any("nothing was compared" in line for line in certificate.failures)
    assert run("verify", copy, "--model", model_paths["padim"], *ONE) == 3
    assert "bundle geometry: is " in capfd.readouterr().err


def test_maps_of_another_size_are_a_failed_proof(copy, proven):
    size = statement(copy, "image")["size"]
    outputs = [dict(output) for output in statement(copy, "outputs")]
    for output in outputs:
        output["shape"] = [1, 60, 70] if output["shape"] else []
    path = copy / "golden" / "anomaly_map.npy"
    np.save(path, np.ascontiguousarray(np.load(path)[..., :60, :70]))
    image = {"size": size, "crop": [60, 70]}
    certificate = proven(sign(copy, image=image, outputs=outputs))
    assert named(certificate) == {"geometry"}
    assert not certificate.cells


def test_a_layout_as_ir_alone_fails_and_is_named(copy, proven):
    variant = statement(copy, "variants")["fp32"]
    alone = {"anomalib_openvino": variant["openvino"]}
    certificate = proven(sign(copy, variants={"fp32": variant | alone}))
    assert named(certificate) == {"graphs"}
    assert certificate.cells


def test_a_graph_that_no_variant_names_fails(copy, proven):
    (copy / "anomalib.onnx").write_bytes((copy / "model.onnx").read_bytes())
    assert named(proven(sign(copy))) == {"graphs"}


@pytest.mark.slow
def test_another_licence_is_named(copy, proven):
    assert named(proven(sign(copy, licence={"weights": "mine"}))) == {"licence"}


def test_variants_that_were_not_run_are_said(copy, proven):
    fp32 = statement(copy, "variants")["fp32"]
    certificate = proven(sign(copy, variants={"fp32": fp32, "fp16": fp32}))
    assert "not run: the bundle's variants fp16" in certificate.cautions
    assert "not run: openvino/model.xml" in certificate.cautions


def test_a_frame_of_few_pixels_and_stretched_pictures_are_said(copy):
    bundle = Bundle.open(copy)
    small = bundle.manifest.model_copy(
        update={
            "input": bundle.manifest.input.model_copy(
                update={"height": 2, "width": 2}
            )
        }
    )
    *_, note = notes_on(
        Bundle(bundle.path, small), plan_of(bundle, RUNTIMES, [1])
    )
    assert (
        note == "a frame of 2x2 is less than half the detector's image of 72x80"
    )
    counts = PictureCount(
        **(
            dict.fromkeys(PictureCount.model_fields, 0)
            | {"total": 9, "resized": 7, "distinct": 9}
        )
    )
    assert [*cautions_on(counts, [])] == [
        "7 of 9 pictures were stretched to the frame"
    ]


@pytest.mark.slow
def test_a_machine_called_host_does_not_take_the_place_of_eager_torch(
    copy, monkeypatch
):
    before = (copy / "certificates" / "host.json").read_bytes()
    monkeypatch.setattr("platform.node", lambda: "HOST")
    assert run("verify", copy, *ONE) == 0
    assert (copy / "certificates" / "host.json").read_bytes() == before
    assert (copy / "certificates" / "device.json").is_file()
    assert run("verify", copy, *ONE, "--name", "Host") == 2


def test_without_a_model_wide_tolerances_are_said_and_fail(copy, capfd):
    sign(copy, **wide(copy))
    assert run("verify", copy, *ONE) == 3
    assert (
        "bundle tolerances: fp32 batch is 1e+300; this release allows 1e-05"
        in capfd.readouterr().err
    )


def test_without_a_model_an_impossible_scale_fails(copy, capfd):
    sign(copy, **decided(copy, scale=1e30))
    assert run("verify", copy, *ONE) == 3
    assert (
        "bundle scale: is 1e+30; all scores lie within"
        in capfd.readouterr().err
    )


@pytest.mark.slow
def test_golden_scores_that_were_rewritten_are_known_by_the_model(
    copy, proven, capfd
):
    scores = np.load(copy / "golden" / "score.npy")
    np.save(copy / "golden" / "score.npy", scores * np.float32(1.001))
    certificate = proven(sign(copy))
    assert named(certificate) == {"golden frames"}
    scale_scores(
        copy, 1.0
    )  # the graph alone, so that the certificate of the export is of another bundle
    np.save(copy / "golden" / "score.npy", scores)
    sign(
        copy,
        variants={
            "fp32": statement(copy, "variants")["fp32"] | {"openvino": None}
        },
    )
    assert run("verify", copy, *ONE) == 0
    assert "only the bundle vouches for them" in " ".join(
        capfd.readouterr().out.split()
    )


@pytest.mark.slow
def test_golden_frames_without_stages_prove_no_stages(copy, capfd):
    golden = [entry | {"stages": False} for entry in statement(copy, "golden")]
    for folder in (copy / "golden").iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    sign(copy, golden=golden)
    assert run("verify", copy, *ONE) == 3
    assert "not checked: preprocessed" in capfd.readouterr().err


@pytest.mark.slow
def test_stages_left_out_of_the_manifest_are_missed(copy, proven):
    left = [
        name
        for name in statement(copy, "stages")
        if not name.startswith("features")
    ]
    assert "stages" in named(proven(sign(copy, stages=left)))


@pytest.mark.slow
def test_the_decision_of_the_device_is_shown_and_no_failure(
    copy, model_paths, pictures, capfd
):
    assert run("threshold", copy, "--set", "3.5") == 0
    capfd.readouterr()
    arguments = (
        "verify",
        copy,
        "--model",
        model_paths["padim"],
        "--images",
        pictures / "test",
        *ONE,
    )
    assert run(*arguments, "--json") == 0
    certificate = json.loads(capfd.readouterr().out)
    assert certificate["local_thresholds"]
    assert certificate["threshold"] == 3.5
    assert run(*arguments) == 0
    said = capfd.readouterr().out
    assert "local      threshold 3.5" in said
    assert "in force   local.json" in said


@pytest.mark.slow
def test_a_flip_at_the_threshold_of_the_export_counts_beside_the_devices_own(
    copy, proven, monkeypatch
):
    bundle = Bundle.open(copy)
    threshold = bundle.manifest.decision.threshold
    assert run("threshold", copy, "--set", str(threshold * 50)) == 0

    def moved(session, pictures, frame, batch):
        maps = np.zeros(
            (len(pictures), 1, *bundle.manifest.geometry.image),
            dtype=np.float32,
        )
        return Outputs(np.full(len(pictures), threshold * 1.01), maps)

    monkeypatch.setattr(cells, "collect", moved)
    lines = [
        line
        for line in proven(Bundle.open(copy), blended=0).failures
        if "flipped" in line
    ]
    assert lines
    assert all("at the threshold of the export" in line for line in lines)


@pytest.mark.slow
def test_wider_tolerances_are_the_users_to_ask_for_and_are_said(copy, capfd):
    tolerances = statement(copy, "tolerances")
    sign(
        copy,
        tolerances=tolerances
        | {
            "fp32": {
                name: 2 * value for name, value in tolerances["fp32"].items()
            }
        },
    )
    assert run("verify", copy, *ONE) == 3
    assert run("verify", copy, *ONE, "--widen", "2", "--name", "line7") == 0
    assert "caution: tolerances widened 2 times" in " ".join(
        capfd.readouterr().out.split()
    )
    (stored,) = [
        stored
        for stored in stored_certificates(Bundle.open(copy))
        if stored.name == "line7.json"
    ]
    assert "tolerances widened 2 times" in stored.verdict
    assert run("verify", copy, "--widen", "0.5") == 2
    assert run("verify", copy, "--widen", "1000") == 2


def test_a_frame_that_no_graph_takes_is_refused_before_eager_torch_works(
    copy, model_paths, monkeypatch, capfd
):
    sign(
        copy, input=statement(copy, "input") | {"height": 16384, "width": 16384}
    )
    monkeypatch.setattr(
        "anomedge.export.proof.reference_from_model",
        lambda *_, **__: pytest.fail("eager Torch ran"),
    )
    assert run("verify", copy, "--model", model_paths["padim"], *ONE) == 2
    assert "16384" in capfd.readouterr().err


# Certificates


def host(root):
    return json.loads((root / "certificates" / "host.json").read_bytes())


def put(root, name, content):
    (root / "certificates" / f"{name}.json").write_text(json.dumps(content))
    found = {
        stored.name: stored for stored in stored_certificates(Bundle.open(root))
    }
    return found[f"{name}.json"]


def test_the_certificate_of_the_export_passes(copy):
    (stored,) = stored_certificates(Bundle.open(copy))
    assert (stored.name, stored.objection, stored.passed) == (
        "host.json",
        "",
        True,
    )
    assert stored.certificate.about.model
    assert vouching_certificate(Bundle.open(copy)) == "host.json"


FORGED = {
    "no cells": lambda c: c.update(cells=[]),
    "an error over its tolerance": lambda c: c["cells"][0].update(score_error=18.6),
    "a negative error": lambda c: c["cells"][0].update(score_error=-1.0),
    "a flip": lambda c: c["cells"][0].update(flips=["a.png"]),
    "no pictures": lambda c: c["cells"][0].update(pictures=0),
    "a batch that was not compared": lambda c: c["cells"][-1].update(batch_error=None),
    "no checks": lambda c: c.update(checks=[]),
    "no contract": lambda c: c.update(checks=[k for k in c["checks"] if k["kind"] != "contract"]),
    "no stages": lambda c: c.update(checks=[k for k in c["checks"] if k["kind"] != "stage"]),
    "no copies": lambda c: c.update(checks=[k for k in c["checks"] if not k["name"].startswith("copies")]),
    "a stage over its share": lambda c: next(k for k in c["checks"] if k["kind"] == "stage").update(error=1.0, tolerance=2.0),
    "a clause that was broken": lambda c: next(k for k in c["checks"] if k["kind"] == "contract").update(passed=False),
    "a cell of a runtime without checks": lambda c: c["cells"].append(c["cells"][0] | {"runtime": "tensorrt"}),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGED)
def test_verdicts_are_recomputed(copy, forgery):
    content = host(copy)
    FORGED[forgery](content)
    for claim in ({}, {"failures": [], "passed": True, "cautions": []}):
        stored = put(copy, "forged", content | claim)
        assert stored.passed is False, stored
        assert stored.verdict.startswith("FAILED: ")


UNFIT = {
    "digest": lambda c: c.update(bundle="0" * 64),
    "model.onnx": lambda c: c["about"]["graphs"].update(
        {"model.onnx": "0" * 64}
    ),
    "golden frames": lambda c: c["about"].update(golden="0" * 64),
    "threshold": lambda c: c["about"].update(decision="0" * 64),
    "stages": lambda c: c.update(stage_names=c["stage_names"][1:]),
    "graph that onnxruntime ran": lambda c: c["about"].update(graphs={}),
    "states no tolerances": lambda c: c.update(tolerances={}),
    "another threshold or scale": lambda c: c.update(scale=99.0),
    "wider": lambda c: c["tolerances"]["fp32"].update(score=1e300),
}


@pytest.mark.parametrize("statement", UNFIT)
def test_a_certificate_of_something_else_is_not_about_this_bundle(
    copy, statement
):
    content = host(copy)
    UNFIT[statement](content)
    stored = put(copy, "forged", content)
    assert stored.passed is None
    assert stored.verdict.startswith("not about this bundle: ")
    assert statement in stored.verdict


def test_another_threshold_is_another_decision(copy, capfd):
    assert run("threshold", copy, "--set", "3.5") == 0
    (stored,) = stored_certificates(Bundle.open(copy))
    assert stored.passed is None
    assert "in force is 3.5" in stored.objection
    capfd.readouterr()
    assert run("inspect", copy, "--json") == 0
    (shown,) = json.loads(capfd.readouterr().out)["certificates"]
    assert shown["passed"] is None
    assert (
        vouching_certificate(Bundle.open(copy)) == "host.json"
    )  # golden scores know no threshold
    assert run("threshold", copy, "--reset") == 0
    assert stored_certificates(Bundle.open(copy))[0].passed


@pytest.mark.slow
def test_rows_of_a_file_never_enter_an_honest_certificate(copy):
    content = host(copy)
    for name in ("cells", "checks"):
        content[name] += [
            row | {"runtime": "tensorrt"}
            for row in content[name]
            if row["runtime"] == RUNTIMES[0]
        ]
    put(copy, "line7", content)
    assert run("verify", copy, *ONE, "--name", "line7") == 0
    honest = json.loads((copy / "certificates" / "line7.json").read_bytes())
    assert {cell["runtime"] for cell in honest["cells"]} == {RUNTIMES[0]}
    content["about"]["decision"] = "0" * 64
    put(copy, "line7", content)
    assert run("verify", copy, *ONE, "--name", "line7") == 0
    assert all(
        "tensorrt" not in path.name
        for path in (copy / "certificates").glob("line7.*tensorrt*0*")
    )


@pytest.mark.parametrize("others", [0, 150])
def test_a_failed_statement_refutes_every_certificate_of_the_bundle(
    copy, others
):
    """However many files lie beside them: none is looked for in a limited list."""
    bundle, content = sign(copy, **decided(copy, threshold=1e9)), host(copy)
    content["bundle"] = bundle.manifest.digest
    for name in ("host", "line7", *(f"a{number}" for number in range(others))):
        (copy / "certificates" / f"{name}.json").write_text(json.dumps(content))
    failed = CheckResult(
        runtime=BUNDLE,
        kind="bundle",
        name="decision",
        detail="threshold",
        passed=False,
    )
    proof = Certificate.from_json(content)
    keep_certificate(
        bundle,
        "bench",
        proof.model_copy(update={"checks": (*proof.checks, failed)}),
    )
    assert not list((copy / "certificates").glob("*.json"))


def test_a_manifest_without_stages_fails(copy, capfd):
    sign(
        copy,
        stages=[],
        golden=[
            entry | {"stages": False} for entry in statement(copy, "golden")
        ],
    )
    assert run("verify", copy, *ONE) == 3
    assert (
        "bundle stages: lack preprocessed, anomaly_map, score"
        in capfd.readouterr().err
    )


def test_copies_of_a_picture_are_run_as_a_batch(bundle_paths):
    """A fixed batch is filled up with copies of its last picture, so a graph may not know them from others."""
    bundle = Bundle.open(bundle_paths["padim"])
    reference = read_golden(bundle)

    class KnowsCopies:
        name = RUNTIMES[0]

        def run(self, feed):
            frames = feed["frames"]
            places = [
                next(
                    i
                    for i, p in enumerate(reference.pictures)
                    if (p.frame() == f).all()
                )
                for f in frames
            ]
            score, maps = (
                reference.outputs.score[places],
                reference.outputs.anomaly_map[places],
            )
            alike = all((frame == frames[0]).all() for frame in frames)
            return {
                "score": score * (not (alike and self.zeroes)),
                "anomaly_map": maps,
            }

    session = KnowsCopies()
    plan = plan_of(bundle, [RUNTIMES[0]], [1, 8])
    comparison = Comparison.of(bundle, reference, plan)
    for session.zeroes in (False, True):
        checks = check_copies(session, comparison, plan.batches)
        assert [(check.name, check.passed) for check in checks] == [
            ("copies at batch 8", not session.zeroes)
        ]


def test_certificates_of_older_releases_are_told_apart(copy):
    stored = put(
        copy,
        "older",
        {"schema_version": 1, "bundle": "0" * 64, "cells": [], "failures": []},
    )
    assert stored.passed is None
    assert "older release" in stored.verdict


def test_a_certificate_reads_back_as_it_was(copy):
    content = host(copy)
    certificate = Certificate.from_json(content)
    assert certificate.to_json() == content
    assert content["passed"] is True
    assert content["failures"] == []


# Few pictures


@pytest.mark.slow
def test_two_black_pictures_are_few(copy, model_paths, tmp_path, capfd):
    from PIL import Image

    (tmp_path / "black").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (128, 96)).save(tmp_path / "black" / f"{name}.png")
    arguments = (
        "verify",
        copy,
        "--model",
        model_paths["padim"],
        "--images",
        tmp_path / "black",
        *ONE,
    )
    assert run(*arguments) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert (
        "caution: few pictures: 2 of your own, 2 of them uniform or repeated"
        in said
    )
    assert "caution: no picture near the threshold" in said or "blended" in said
