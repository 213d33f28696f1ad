"""Score and map out of the results of modules."""

import re

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.outputs import raw_outputs
from tests.interop.modules import Prediction, Result

SCORE, MAP = torch.tensor([1.0, 2.0]), torch.rand(2, 1, 4, 6)


@pytest.mark.parametrize(
    "result",
    [
        (SCORE, MAP),
        [SCORE[:, None], MAP[:, 0]],
        (SCORE.double(), MAP.double()),
        (SCORE.clone().requires_grad_(), MAP.clone().requires_grad_()),
        {"pred_score": SCORE, "anomaly_map": MAP, "extra": 3},
        {"score": SCORE, "map": MAP},
        Prediction(SCORE, None, MAP),
        Result(SCORE, MAP),
    ],
    ids=lambda result: type(result).__name__,
)
def test_kinds_of_results(result):
    score, anomaly_map = raw_outputs(result, 2)
    assert torch.equal(score, SCORE)
    assert torch.equal(anomaly_map, MAP)
    assert not score.requires_grad and not anomaly_map.requires_grad


@pytest.mark.parametrize(
    "result",
    [
        SCORE,
        SCORE[:, None, None],
        {"score": SCORE},
        Prediction(SCORE, None, None),
    ],
)
def test_score_alone(result):
    score, anomaly_map = raw_outputs(result, 2)
    assert torch.equal(score, SCORE)
    assert anomaly_map is None


def test_squeezed_score_of_one_image():
    assert raw_outputs(torch.tensor(3.0), 1).score.tolist() == [3.0]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ((SCORE,), "1 values"),
        ((SCORE, MAP, MAP), "3 values"),
        ({"anomaly_map": MAP}, "without pred_score or score"),
        (Prediction(None, None, MAP), "Prediction, without"),
        (None, "NoneType, without"),
        (MAP, "that of a map"),
        ((MAP, SCORE), "return the score first"),
        (SCORE[:1], "expected (2,)"),
        (torch.rand(2, 5), "one value per image"),
        (torch.tensor(1.0), "expected (2,)"),
        ((SCORE, torch.rand(2, 3, 4, 6)), "expected (2, 1, H, W)"),
        ((SCORE, torch.rand(1, 4, 6)), "for 2 images"),
        ((SCORE, 3), "a int"),
        (([1.0, 2.0], MAP), "a list"),
    ],
)
def test_other_results_are_refused(result, message):
    with pytest.raises(ModelError, match=re.escape(message)):
        raw_outputs(result, 2)
