import os
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score, roc_auc_score

from anomedge.bundle import Bundle, write_manifest
from anomedge.errors import BundleError, InputError
from anomedge.images import Picture
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.compare import Outputs, Truth, collect, compare
from anomedge.parity.golden import (
    places_to_keep,
    places_with_stages,
    read_golden,
)
from anomedge.parity.metrics import auroc, mask_iou
from anomedge.parity.pictures import blends, extremes, synthetic
from anomedge.parity.verdict import failures_of_cell
from anomedge.threshold import Decision, Origin

ORIGIN = Origin(
    rule="false-alarm-rate",
    rate=0.01,
    source="x",
    normal=2,
    anomalous=0,
    margin=1.0,
    extrapolated=True,
    pictures="y",
)
DECISION = Decision(
    threshold=40.0,
    pixel_threshold=30.0,
    minimum=30.0,
    maximum=50.0,
    scale=10.0,
    origin=ORIGIN,
)


@given(
    st.lists(
        st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60
    )
)
def test_auroc_is_scikit_learns(pairs):
    scores, labels = (
        np.array([s for s, _ in pairs], float),
        np.array([label for _, label in pairs]),
    )
    if labels.all() or not labels.any():
        assert auroc(scores, labels) is None
    else:
        assert auroc(scores, labels) == pytest.approx(
            roc_auc_score(labels, scores)
        )


def test_scores_above_thirty_do_not_saturate():
    """Libraries that take such scores for logits squash them to ones; here only their order counts."""
    generator = np.random.default_rng(0)
    labels = generator.random(500) < 0.3
    scores = 30 + 20 * generator.random(500) + 5 * labels
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert auroc(scores.astype(np.float32) * 1e4, labels) == pytest.approx(
        roc_auc_score(labels, scores), abs=1e-4
    )


def test_torchmetrics_agrees_once_scores_are_ranked():
    import torch
    from torchmetrics.functional.classification import binary_auroc

    generator = np.random.default_rng(1)
    labels = generator.random(200) < 0.5
    scores = 30 + 20 * generator.random(200) + 5 * labels
    ranked = torch.from_numpy(scores.argsort().argsort() / 200)
    assert auroc(scores, labels) == pytest.approx(
        float(binary_auroc(ranked, torch.from_numpy(labels).long()))
    )


def test_iou():
    a, b = np.random.default_rng(0).random((2, 100)) > 0.5
    assert mask_iou(a, b) == pytest.approx(jaccard_score(a, b))
    assert mask_iou(np.zeros(3), np.zeros(3)) == 1.0


def outputs(scores, value=1.0):
    return Outputs(
        np.array(scores, np.float32),
        np.full((len(scores), 1, 2, 2), value, np.float32),
    )


def test_flips_are_named_and_errors_are_shares_of_the_scale():
    difference = compare(
        outputs([39.0, 41.0, 50.0]),
        outputs([39.0, 39.5, 50.001], 1.01),
        DECISION,
        ["a", "b", "c"],
    )
    assert difference.flips == ("b",)
    assert difference.worst == "b"
    assert difference.score_error == pytest.approx(0.15)
    assert difference.map_error == pytest.approx(0.001, rel=1e-4)
    assert difference.smallest_margin == pytest.approx(0.1)
    lines = failures_of_cell(difference, 2e-5, TOLERANCES["fp32"])
    assert [line.split()[0] for line in lines] == ["score", "map", "batch", "1"]
    same = compare(outputs([39.0]), outputs([39.0]), DECISION, ["a"])
    assert failures_of_cell(same, None, TOLERANCES["fp32"]) == ()


def test_far_above_the_scale_an_error_is_a_share_of_the_value():
    """A share of the scale, 10, would ask for more digits than float32 has; a label still cannot flip unseen."""
    digit = np.spacing(np.float32(2e6))
    extreme = compare(
        outputs([2e6], 2e6),
        outputs([2e6 + digit], 2e6 + digit),
        DECISION,
        ["white"],
    )
    assert digit / DECISION.scale > TOLERANCES["fp32"].score
    assert (
        extreme.score_error == extreme.map_error == pytest.approx(digit / 1e5)
    )
    assert (
        failures_of_cell(extreme, extreme.score_error, TOLERANCES["fp32"]) == ()
    )
    wrong = compare(
        outputs([2e6], 2e6),
        outputs([2e6 + 100], 2e6 + 100),
        DECISION,
        ["white"],
    )
    assert [
        line.split()[0]
        for line in failures_of_cell(wrong, None, TOLERANCES["fp32"])
    ] == ["score", "map"]
    near = compare(
        outputs([190.0], 190.0), outputs([190.01], 190.01), DECISION, ["a"]
    )
    assert near.score_error == pytest.approx(1e-3, rel=1e-3)


def test_nan_fails():
    difference = compare(outputs([39.0]), outputs([np.nan]), DECISION, ["a"])
    assert failures_of_cell(difference, None, TOLERANCES["fp32"])


def test_nothing_compared_is_a_failure():
    with pytest.raises(InputError, match="no pictures"):
        collect(None, [], (4, 4), 1)


def test_ranks_need_labels_and_masks():
    unknown = Truth([None, None], [None, None])
    assert unknown.ranks(outputs([1.0, 2.0])) == (None, None)
    known = Truth(
        [False, True],
        [np.zeros((2, 2), bool), np.array([[1, 0], [0, 0]], bool)],
    )
    image, pixel = known.ranks(outputs([1.0, 2.0]))
    assert (image, pixel) == (1.0, 0.5)


def test_synthetic_and_extreme_frames_are_the_same_every_time():
    for make in (extremes, synthetic):
        one, two = make((16, 24)), make((16, 24))
        assert all(
            np.array_equal(a.frame(), b.frame())
            for a, b in zip(one, two, strict=True)
        )
        assert {p.frame().shape for p in one} == {(16, 24, 3)}


def brightness(frames):
    return frames.mean(axis=(1, 2, 3))


def test_blends_lie_next_to_the_threshold_but_not_on_it():
    grain = np.random.default_rng(0).integers(
        0, 40, (4, 16, 16, 3), dtype=np.uint8
    )
    given = [
        Picture(str(v), pixels=g + np.uint8(v))
        for v, g in zip((0, 10, 90, 200), grain, strict=True)
    ]
    scores = np.array([brightness(p.frame()[None])[0] for p in given])
    found = blends(given, scores, DECISION, (16, 16), brightness, 6)
    assert len(found) == 6
    for picture in found:
        assert (
            2e-4 * DECISION.scale
            <= abs(brightness(picture.frame()[None])[0] - 40)
            <= 0.4
        )
    assert (
        blends(given[:2], scores[:2], DECISION, (16, 16), brightness, 6) == []
    )


def test_blends_keep_as_far_from_a_threshold_far_above_the_scale():
    """1e-4 of a scale of 1e-3 is less than a float32's last digit at 40."""
    fine = DECISION.model_copy(update={"scale": 1e-3})
    grain = np.random.default_rng(0).integers(
        0, 40, (4, 64, 64, 3), dtype=np.uint8
    )
    given = [
        Picture(str(v), pixels=g + np.uint8(v))
        for v, g in zip((0, 10, 90, 200), grain, strict=True)
    ]
    scores = np.array([brightness(p.frame()[None])[0] for p in given])
    found = blends(given, scores, fine, (64, 64), brightness, 6)
    assert found
    for picture in found:
        score = float(brightness(picture.frame()[None])[0])
        assert abs(score - 40) >= 2e-4 * 0.05 * 40
        digit = float(np.spacing(np.float32(40)))
        copy = compare(
            outputs([score]),
            outputs([score + np.copysign(digit, 40 - score)]),
            fine,
            [picture.name],
            1e-4,
        )
        assert failures_of_cell(copy, None, TOLERANCES["fp32"]) == ()


def test_golden_places():
    names = [
        *(f"good/{i}" for i in range(20)),
        *(f"blended/{i}" for i in range(9)),
        "extreme/black",
        "extreme/white",
    ]
    pictures = [Picture(name) for name in names]
    places = places_to_keep(pictures)
    assert [names[i] for i in places[:2]] == ["good/0", "good/4"]
    assert len(places) == 6 + 4 + 2
    assert [names[i] for i in places_with_stages(pictures)] == [
        "good/0",
        "good/4",
        "extreme/white",
    ]


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        (
            "golden/score.npy",
            1 << 20,
            r"score\.npy: got 1048576 bytes; expected at most",
        ),
        (
            "golden/anomaly_map.npy",
            64 << 20,
            r"anomaly_map\.npy: got 67108864 bytes",
        ),
        ("golden/000.png", 16 << 20, r"000\.png: got 16777216 bytes"),
        ("golden/000/rounded.npy", 256 << 20, r"golden: got 26\d{7} bytes"),
    ],
)
def test_golden_files_larger_than_any_export_writes_are_refused_unread(
    bundle_paths, tmp_path, monkeypatch, name, size, said
):
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    os.truncate(root / name, size)  # sparse: it takes no space
    fields = Bundle.open(bundle_paths["padim"]).manifest.model_dump(
        exclude={"files", "digest"}
    )
    (root / "manifest.json").unlink()
    write_manifest(root, fields)
    bundle = Bundle.open(root)
    monkeypatch.setattr(Bundle, "read", lambda *_: pytest.fail("read"))
    with pytest.raises(BundleError, match=said):
        read_golden(bundle)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,)}",
        "{'descr': [('x', '<f4', (1000000, 1000000))], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': ('<f4', (0, 0)), 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': 0, 'fortran_order': 0, 'shape': 0}",
        "(" * 200,
    ],
)
def test_arrays_that_claim_what_they_are_not(bundle_paths, tmp_path, header):
    """A header is only a claim: one of a zero-sized type ended the process, one of petabytes asked for them."""
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    text = header.ljust(117).encode() + b"\n"
    (root / "golden" / "score.npy").write_bytes(
        b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(4)
    )
    fields = Bundle.open(bundle_paths["padim"]).manifest.model_dump(
        exclude={"files", "digest"}
    )
    (root / "manifest.json").unlink()
    write_manifest(root, fields)
    with pytest.raises(BundleError):
        read_golden(Bundle.open(root))
