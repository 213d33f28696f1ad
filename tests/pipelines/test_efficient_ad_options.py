"""Options of EfficientAD: defaults, and the teacher that is required."""

import pytest

from anomedge.errors import InputError
from anomedge.pipelines.efficient_ad_options import EfficientAdOptions
from anomedge.pipelines.training.teacher_record import (
    TeacherRecord,
    write_teacher,
)


def test_a_training_without_a_teacher_is_refused_at_once(tmp_path):
    with pytest.raises(
        InputError, match=r"got no --teacher; .* give --teacher"
    ):
        EfficientAdOptions.checked()
    absent = tmp_path / "absent.pth"
    with pytest.raises(InputError, match=r"absent\.pth; .* check the path"):
        EfficientAdOptions.checked(teacher=absent)


def test_paths_are_not_compared_when_a_training_is_resumed(tmp_path):
    (tmp_path / "a").mkdir()
    named = []
    for name in ("one.pth", "a/../other.pth"):
        (tmp_path / name).touch()
        given = {"teacher": tmp_path / name, "penalty": tmp_path / name}
        named.append(EfficientAdOptions.checked(**given).compared())
    assert named[0] == named[1]
    assert {"padding", "epochs"} <= named[0].keys()


def test_the_licence_of_the_teacher_is_known_after_its_file_is_gone(tmp_path):
    path = tmp_path / "teacher.safetensors"
    record = TeacherRecord(
        backbone="b", weights="w", weights_licence="MIT", steps=1, seed=0
    )
    write_teacher({}, record, path)
    options = EfficientAdOptions.checked(teacher=path)
    path.unlink()
    assert options.weights_licence() == "MIT"
    path.touch()
    other = EfficientAdOptions.checked(teacher=path)
    assert other.weights_licence() == "as their publisher says"


def test_defaults_are_those_of_the_paper():
    fields = EfficientAdOptions.model_fields
    defaults = {name: field.default for name, field in fields.items()}
    assert defaults["model_size"] == "small"
    assert (defaults["learning_rate"], defaults["weight_decay"]) == (1e-4, 1e-5)
    assert defaults["train_batch"] == 1
    assert (defaults["padding"], defaults["pad_maps"]) == (False, True)
