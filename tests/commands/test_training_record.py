"""The training of a model in one line."""

import pytest

from anomedge.commands._training_record import trained
from anomedge.pipelines.training import TrainOptions
from anomedge.pipelines.training.record import TrainingRecord
from tests.commands.test_bundle_tables import model_content, model_rows


def record(held_out=None, **options):
    return TrainingRecord(
        epochs=9,
        kept=7,
        loss=0.5,
        held_out=held_out,
        device="cpu",
        options=TrainOptions.checked(**options).recorded(),
    ).model_dump(mode="json")


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "augmentations: none"),
        ({"rotation": 10.0}, "augmentations: rotation 10.0"),
        (
            {"flip": "vertical", "brightness": 0.2},
            "augmentations: flip vertical, brightness 0.2",
        ),
    ],
)
def test_augmentations_are_shown(options, shown):
    assert trained(record(**options)).endswith(shown)


def test_inspect_shows_the_training_of_a_trained_detector_only():
    assert "trained" not in model_rows()
    card = model_content()["card"]
    training = record(held_out=0.25, mixed_precision=True)
    rows = model_rows(card=card | {"training": training})
    assert rows["trained"] == (
        "epoch 7 of 9, loss 0.5, on held-out images 0.25, on cpu in mixed precision; augmentations: none"
    )
    assert "trained" not in model_rows(card=card | {"training": None})
