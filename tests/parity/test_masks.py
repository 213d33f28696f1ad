"""The map near the pixel threshold of 30; the scale is 10, so that a tolerance of 0.1 is 1."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from anomedge.bundle import Bundle
from anomedge.parity import Plan, prove
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.golden import read_golden
from anomedge.parity.half import HALF
from anomedge.parity.masks import CHECK, MaskMeter
from anomedge.parity.outputs import Outputs
from tests.conftest import RUNTIMES
from tests.parity.examples import DECISION, comparison
from tests.parity.forging import sign
from tests.parity.planting import rebuilt

NAMES = ["a", "b", "c"]
FP16 = TOLERANCES["fp16"]
SCORES = np.zeros(3, np.float32)


def maps(centre=30.0, spread=0.5, count=3):
    generator = np.random.default_rng(0)
    values = generator.uniform(-spread, spread, (count, 1, 40, 40))
    return (centre + values).astype(np.float32)


def meter(original, copy, names=NAMES, **fields):
    expected = Outputs(SCORES[: len(names)], original)
    made = comparison(expected, names, **({"tolerance": FP16} | fields))
    judged = MaskMeter(made)
    judged.add(Outputs(SCORES[: len(names)], copy))
    return judged


def check(*given, **fields):
    return next(iter(meter(*given, **fields).checks("ort")), None)


def test_rounding_passes():
    original = maps()
    noise = np.random.default_rng(1).normal(0, 0.1, original.shape)
    found = check(original, original + noise.astype(np.float32))
    assert found.passed
    assert found.detail == ""
    assert found.error == pytest.approx(0.01, rel=0.1)
    assert (found.name, found.tolerance) == (CHECK, pytest.approx(0.02))


@pytest.mark.parametrize("shift", [0.9, -0.9, 0.25])
def test_a_shift_of_the_whole_map_fails_within_the_tolerance(shift):
    original = maps()
    found = check(original, original + np.float32(shift))
    assert not found.passed
    assert found.error == pytest.approx(abs(shift) / 10, rel=1e-3)
    assert "masks differ; allowed 2.0e-02" in found.detail


def test_pixels_that_change_sides_fail_though_their_mean_stays():
    original = maps()
    found = check(original, 60 - original)
    assert abs(float((60 - 2 * original).mean())) < 0.02
    assert not found.passed


def test_errors_far_from_the_threshold_are_left_to_the_maps_tolerance():
    original = maps()
    original[..., 20:] += 20
    copy = original.copy()
    copy[..., 20:] += 0.9
    assert check(original, copy).error == 0


def test_a_number_that_is_not_finite_fails():
    original = maps()
    copy = original.copy()
    copy[0, 0, 3, 3] = np.nan
    found = check(original, copy)
    assert not found.passed
    assert found.error == np.inf


def test_where_few_pixels_or_pictures_are_near_all_are_judged():
    far = maps(centre=60)
    one = maps(centre=60)
    one[0] = maps()[0]
    copy = far.copy()
    copy[..., :20] += 0.9
    for original in (far, one):
        assert not check(original, original + 0.9).passed
        found = check(original, original + (copy - far))
        # Values of 60 have a scale of 10 as well.
        assert found.error == pytest.approx(0.09 / 2**0.5, rel=1e-3)


def test_extreme_frames_do_not_count():
    original = maps()
    names = ["extreme/grey", "extreme/black", "a"]
    copy = original.copy()
    copy[:2] += 0.9
    assert check(original, copy, names=names).error == 0
    names = ["extreme/grey", "extreme/black", "extreme/white"]
    judged = meter(original, original - 9, names)
    assert list(judged.cautions("ort")) == []
    assert [each.error for each in judged.checks("ort")] == [0]


def test_both_thresholds_are_judged():
    local = DECISION.model_copy(update={"pixel_threshold": 60.0})
    original = maps()
    found = check(original, original + 0.9, decision=local, exported_decision=DECISION)  # fmt: skip
    assert not found.passed
    found = check(original + 30, original + 30.9, decision=local, exported_decision=DECISION)  # fmt: skip
    assert not found.passed


def test_a_mask_that_is_lost_is_said():
    original = maps(centre=30.5, spread=0.4)
    (line,) = meter(original, original - 0.95).cautions("ort")
    assert line.startswith(
        "the mask of a under ort overlaps the original's by 0.0"
    )
    assert "(1600 pixels), and 2 more pictures" in line
    assert list(meter(original, original).cautions("ort")) == []


def test_small_masks_are_not_said():
    original = maps(centre=20)
    original[0, 0, 0, 0] = 30.5
    assert list(meter(original, original - 0.9).cautions("ort")) == []
    original[0, 0, 0, :2] = 30.5
    (line,) = meter(original, original - 0.9).cautions("ort")
    assert "(2 pixels)" in line


def test_a_detector_without_a_map_has_nothing_to_judge():
    judged = meter(None, None)
    assert [*judged.checks("ort"), *judged.cautions("ort")] == []


def lowered(by):
    """Lower the map, not the score."""

    def edit(graph):
        for node in graph.node:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    if name == "anomaly_map":
                        names[place] = "anomaly_map.right"
        graph.initializer.append(
            numpy_helper.from_array(np.float32(by), "map.offset")
        )
        graph.node.append(
            helper.make_node(
                "Sub", ["anomaly_map.right", "map.offset"], ["anomaly_map"]
            )
        )

    return edit


def test_a_bundle_whose_map_is_lowered_within_fp16s_tolerance_fails(
    bundle_paths, tmp_path
):
    whole = Bundle.open(bundle_paths["padim"])
    root = tmp_path / "part.anomedge"
    offset = 0.045 * whole.manifest.decision.scale
    forged = rebuilt(whole, root, lowered(offset))
    variant = forged.manifest.variants["fp32"]
    bundle = sign(root, variants={"fp32": variant, "fp16": variant})
    plan = Plan([RUNTIMES[0]], (1,), "fp16", threads=1)
    certificate = prove(bundle, read_golden(bundle), plan)
    (cell,) = certificate.cells
    assert cell.failures == ()
    failures = [line for line in certificate.failures if CHECK in line]
    others = [line for line in certificate.failures if HALF not in line]
    assert failures == others
    assert len(failures) == 1
