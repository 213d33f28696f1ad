"""Detectors under evaluation: options, results of runtimes and of eager Torch."""

import numpy as np
import pytest

from anomedge.errors import BundleError, InputError, RuntimeFailure
from anomedge.evaluation.detectors import (
    Options,
    _EagerDetector,
    bundle_or_model,
    subject_of,
)
from tests.parity.examples import DECISION


@pytest.mark.parametrize("options", [{"batch": 0}, {"replicates": 9}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="expected at least 1, 0 and 100"):
        Options(**options)


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        ({}, False),
        ({"batch": 4, "seed": 1, "normal": "ok"}, False),
        ({"model": "m.safetensors"}, True),
        ({"runtimes": ["ort"]}, True),
        ({"precision": "fp16"}, True),
        ({"device": "cpu"}, True),
        ({"threads": 1}, True),
    ],
)
def test_options_of_runtimes_need_a_bundle(options, needs):
    assert Options(**options).needs_bundle == needs


def test_a_model_alone_takes_no_option_of_a_runtime(tmp_path):
    with pytest.raises(InputError, match="expected a bundle for these"):
        subject_of(tmp_path / "m.safetensors", Options(threads=2))


def test_a_file_is_a_model_and_a_folder_is_a_bundle(tmp_path):
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"")
    assert bundle_or_model(str(model)) == model
    with pytest.raises(BundleError, match="expected the folder of a bundle"):
        bundle_or_model(tmp_path / "missing")


class ListedOutputs:
    """A session of eager Torch that gives these scores in turn, and maps of them."""

    name, version, running_on = "eager torch", "1", "cpu"

    def __init__(self, *scores):
        self.left = list(scores)

    def run(self, feeds):
        assert feeds["frames"].shape == (1, 4, 4, 3)
        score = np.array([self.left.pop(0)], np.float32)
        return {"score": score, "anomaly_map": score.reshape(1, 1, 1, 1)}


def eager(decision, *scores):
    frames = [np.zeros((4, 4, 3), np.uint8)] * len(scores)
    return _EagerDetector(ListedOutputs(*scores), decision).judge(frames)


def test_eager_torch_judges_one_frame_at_a_time():
    """The threshold is 40, that of pixels 30."""
    low, middle, high = eager(DECISION, 20.0, 40.0, 41.0)
    assert [each.score for each in (low, middle, high)] == [20, 40, 41]
    assert [low.anomalous, middle.anomalous, high.anomalous] == [
        False, False, True,
    ]  # fmt: skip
    assert (low.mask.tolist(), middle.mask.tolist()) == ([[False]], [[True]])
    assert high.anomaly_map.tolist() == [[41.0]]


def test_a_decision_without_a_map_gives_none():
    alone = DECISION.model_copy(update={"pixel_threshold": None})
    (result,) = eager(alone, 50.0)
    assert result.anomalous
    assert result.anomaly_map is result.mask is None


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(RuntimeFailure, match="fit the model again"):
        eager(DECISION, np.nan)
