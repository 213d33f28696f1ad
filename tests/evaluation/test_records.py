"""Records of an evaluation: strict, and the same after JSON."""

import json

import pytest
from pydantic import ValidationError

from anomedge.evaluation.records import (
    Column,
    Evaluation,
    Figure,
    LevelFigures,
    PictureTotals,
    Rate,
)


def evaluation(*bits):
    image = LevelFigures(
        normal=3,
        anomalous=2,
        threshold=1.5,
        auroc=Figure(value=0.9, low=0.8, high=1.0),
        recall=Rate(value=0.5, count=1, of=2),
    )
    columns = [
        Column(
            name=f"runtime {number}",
            version="1",
            running_on="cpu",
            image=image,
            pixel=None,
            map_bits=each,
        )
        for number, each in enumerate(bits)
    ]
    return Evaluation(
        subject="part.anomedge",
        digest="0" * 64,
        dataset="mvtec",
        precision="fp32",
        pictures=PictureTotals(normal=3, anomalous=2, masked=3, unlabelled=0),
        local_thresholds=False,
        seed=0,
        replicates=100,
        columns=tuple(columns),
    )


def test_an_evaluation_is_the_same_after_json():
    before = evaluation(24, None)
    content = json.loads(json.dumps(before.to_json()))
    after = Evaluation.model_validate(content)
    assert after == before
    assert isinstance(after.columns[0].image.recall, Rate)


@pytest.mark.parametrize(
    ("bits", "has_map"),
    [((24,), True), ((None, 19), True), ((None,), False), ((), False)],
)
def test_a_detector_has_a_map_if_any_column_kept_values(bits, has_map):
    assert evaluation(*bits).has_map == has_map


@pytest.mark.parametrize("wrong", [{"count": -1}, {"of": 0}, {"share": 1}])
def test_a_rate_is_a_count_of_something(wrong):
    with pytest.raises(ValidationError):
        Rate.model_validate({"value": 0.5, "count": 1, "of": 2} | wrong)
