"""Facts of a training in a model's card."""

import pytest
from pydantic import ValidationError

from anomedge.pipelines.training.record import TrainingRecord

GIVEN = {
    "epochs": 3,
    "kept": 2,
    "loss": 0.5,
    "held_out": None,
    "device": "cpu",
    "options": {"flip": "none", "rotation": 0.0, "patience": None},
}


def test_a_record_is_read_as_it_was_written():
    record = TrainingRecord(**GIVEN)
    assert (
        TrainingRecord.model_validate_json(record.model_dump_json()) == record
    )


@pytest.mark.parametrize("wrong", [{"epochs": "many"}, {"more": 1}])
def test_other_content_is_refused(wrong):
    with pytest.raises(ValidationError):
        TrainingRecord(**(GIVEN | wrong))
