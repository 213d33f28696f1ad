"""Options of EfficientAD: defaults, and the teacher that is required."""

import pytest

from anomedge.errors import InputError
from anomedge.pipelines.efficient_ad_options import EfficientAdOptions


def test_a_training_without_a_teacher_is_refused_at_once(tmp_path):
    for given in ({}, {"teacher": tmp_path / "absent.pth"}):
        with pytest.raises(InputError, match="give --teacher FILE"):
            EfficientAdOptions.checked(**given)


def test_defaults_are_those_of_the_paper():
    fields = EfficientAdOptions.model_fields
    defaults = {name: field.default for name, field in fields.items()}
    assert defaults["model_size"] == "small"
    assert (defaults["learning_rate"], defaults["weight_decay"]) == (1e-4, 1e-5)
    assert defaults["train_batch"] == 1
    assert (defaults["padding"], defaults["pad_maps"]) == (False, True)
