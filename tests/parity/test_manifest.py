"""What a manifest claims, against the model file and this release."""

import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from anomedge.parity.records import PictureCount
from anomedge.parity.verdict import cautions_on
from tests.commands.running import run
from tests.parity.forging import ONE, decided, sign, statement


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
    # The graphs state the decision as well, and `weights` compares it.
    expected = (
        {"tolerances"} if claim == "tolerances" else {"decision", "weights"}
    )
    assert named(certificate) == expected
    assert certificate.failures[0].startswith(f"bundle {min(expected)}: ")


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
    assert named(certificate) == {"geometry", "interfaces"}
    assert not certificate.cells


def test_a_layout_as_ir_alone_fails_and_is_named(copy, proven):
    variant = statement(copy, "variants")["fp32"]
    alone = {"anomalib_openvino": variant["openvino"]}
    certificate = proven(sign(copy, variants={"fp32": variant | alone}))
    # The contract in its file is that of the frames.
    assert named(certificate) == {"graphs", "interfaces", "weights"}
    assert certificate.cells


def test_a_graph_that_no_variant_names_fails(copy, proven):
    (copy / "anomalib.onnx").write_bytes((copy / "model.onnx").read_bytes())
    assert named(proven(sign(copy))) == {"graphs"}


@pytest.mark.slow
def test_another_licence_is_named(copy, proven):
    assert named(proven(sign(copy, licence={"weights": "mine"}))) == {"licence"}


def test_stretched_pictures_are_said():
    counts = PictureCount(
        **(
            dict.fromkeys(PictureCount.model_fields, 0)
            | {
                "total": 9,
                "resized": 7,
                "distinct": 9,
                "above": 1,
                "below": 8,
                "sizes": (),
            }
        )
    )
    assert [*cautions_on(counts)] == [
        "7 of 9 pictures were stretched to the frame"
    ]


def test_without_a_model_wide_tolerances_are_said_and_fail(copy, capfd):
    sign(copy, **wide(copy))
    assert run("verify", copy, *ONE) == 3
    assert (
        "bundle tolerances: fp32 batch is 1e+300; this release allows 5e-05"
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
def test_stages_left_out_of_the_manifest_are_missed(copy, proven):
    left = [
        name
        for name in statement(copy, "stages")
        if not name.startswith("features")
    ]
    assert "stages" in named(proven(sign(copy, stages=left)))


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
