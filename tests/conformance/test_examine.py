"""A right client conforms; each planted mistake is named with its stage."""

import numpy as np
import pytest
from PIL import Image

from anomedge.conformance import Answer, examine
from tests.conformance.planted import Planted


def half_and_back(frame):
    picture = Image.fromarray(frame)
    small = picture.resize((80, 72), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(picture.size, Image.Resampling.BILINEAR))


def test_a_right_client_conforms(inspector):
    result = examine(
        inspector, Planted(inspector), most=3, batches=True, maps=True
    )
    assert result.findings == ()
    assert result.passed
    assert result.frames == 7
    assert result.not_examined == {}


@pytest.mark.parametrize(
    ("stage", "words", "mistake"),
    [
        ("colour", "BGR", {"change": lambda f: f[..., ::-1]}),
        (
            "layout",
            "channels first",
            {"change": lambda f: f.transpose(2, 0, 1).reshape(f.shape)},
        ),
        ("layout", "bottom to top", {"change": lambda f: f[::-1]}),
        ("range", "255", {"change": lambda f: f // 255}),
        ("resize", "bilinear", {"change": half_and_back}),
        ("score", "no known", {"score": lambda s: 3 * s + 1}),
        ("precision", "bfloat16", {"score": lambda s: s * 1.004}),
        ("threshold", ">=", {"at_threshold": True}),
        ("threshold", "float64", {"float32_threshold": True}),
        ("local.json", "ignores", {"reads_local": False}),
        ("local.json", "another bundle", {"checks_owner": False}),
        ("NaN", "NaN", {"refuses_nan": False}),
        ("size", "takes a frame", {"checks_size": False}),
        ("hashes", "SHA-256", {"checks_files": False}),
        ("batch", "order", {"reversed_batch": True}),
        ("batch", "labels", {"one_label": True}),
        ("map", "deviates", {"anomaly_map": lambda m: m[::-1]}),
        ("map", "not finite", {"anomaly_map": lambda m: m * np.nan}),
    ],
)
def test_a_planted_mistake_is_named(inspector, stage, words, mistake):
    client = Planted(inspector, **mistake)
    result = examine(inspector, client, most=3, batches=True, maps=True)
    assert not result.passed
    found = {finding.stage: finding.text for finding in result.findings}
    assert stage in found, found
    assert words in found[stage]
    # A mistake of one stage is not blamed on others.
    assert set(found) <= {stage, "map"}


def test_a_normalised_score_is_named(inspector):
    client = Planted(
        inspector, score=lambda s: float(inspector.decision.normalised(s))
    )
    result = examine(inspector, client, most=3)
    assert result.findings[0].stage == "score"
    assert "normalised" in result.findings[0].text


def test_a_client_that_refuses_everything_departs_from_the_protocol(inspector):
    result = examine(
        inspector, lambda *_: Answer.refused("exit code 1: no"), most=2
    )
    assert [finding.stage for finding in result.findings] == ["protocol"]
    assert result.frames == 0


def test_the_bundle_itself_is_not_changed(inspector):
    before = inspector.bundle.read("model.onnx")
    examine(inspector, Planted(inspector), most=1)
    assert inspector.bundle.read("model.onnx") == before
    assert not (inspector.bundle.path / "local.json").exists()
