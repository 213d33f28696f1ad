"""Options of a training: what a resumed one must have alike, and what the card records."""

import pytest

from anomedge.errors import InputError
from anomedge.pipelines.training import TrainOptions


class Own(TrainOptions):
    """With a field of the detector's own."""

    width: int = 3


def test_a_resumed_training_may_differ_in_resume_alone():
    one, two = (Own.checked(resume=resume) for resume in (False, True))
    assert one.compared() == two.compared()
    assert one.compared()["width"] == "3"
    assert one.compared() != Own.checked(width=4).compared()


def test_options_whose_content_is_compared_may_differ():
    class Named(Own):
        not_compared = Own.not_compared | {"width"}

    one, two = (Named.checked(width=width) for width in (1, 2))
    assert one.compared() == two.compared()
    assert "width" not in one.compared()


def test_the_card_records_options_of_the_training_itself():
    recorded = Own.checked(flip="both").recorded()
    assert recorded["flip"] == "both"
    assert "width" not in recorded
    assert "resume" not in recorded


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"train_batch": 0},
        {"learning_rate": 0.0},
        {"held_out": 1.0},
        {"rotation": 181.0},
        {"brightness": 1.0},
        {"device": "gpu"},
        {"patience": 0},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    flag = f"--{next(iter(wrong)).replace('_', '-')} "
    with pytest.raises(InputError, match=f"got {flag}") as error:
        TrainOptions.checked(**wrong)
    assert "pattern" not in str(error.value)


def test_a_share_of_held_out_images_needs_patience():
    assert TrainOptions.checked(patience=2, held_out=0.3).held_out == 0.3
    with pytest.raises(InputError, match=r"--held-out 0\.3.*--patience 10"):
        TrainOptions.checked(held_out=0.3)
    with pytest.raises(InputError, match="got --patience 0; expected at least"):
        TrainOptions.checked(patience=0, held_out=0.3)
