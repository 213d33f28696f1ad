"""Record of a teacher: kept in its file, and missing in other files."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from anomedge.pipelines.training.teacher_record import (
    TeacherRecord,
    read_record,
    write_teacher,
)

RECORD = TeacherRecord(
    backbone="b", weights="w", weights_licence="MIT", steps=3, seed=1
)
TENSORS = {"conv1.bias": torch.ones(2)}


def test_record_and_tensors_are_read_again(tmp_path):
    one, other = (tmp_path / f"{name}.safetensors" for name in "ab")
    for path in (one, other):
        write_teacher(TENSORS, RECORD, path)
    assert read_record(one) == RECORD
    assert torch.equal(load_file(one)["conv1.bias"], TENSORS["conv1.bias"])
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"anomedge_teacher": "{"},
        {"anomedge_teacher": "[]"},
        {
            "anomedge_teacher": RECORD.model_dump_json().replace(
                "MIT", "M" * 9999
            )
        },
    ],
)
def test_other_files_have_no_record(metadata, tmp_path):
    path = tmp_path / "teacher.safetensors"
    save_file(TENSORS, path, metadata=metadata)
    assert read_record(path) is None


def test_files_that_cannot_be_read_have_no_record(tmp_path):
    path = tmp_path / "teacher.safetensors"
    assert read_record(path) is None
    path.write_bytes(b"no safetensors")
    assert read_record(path) is None
    torch.save(TENSORS, tmp_path / "teacher.pth")
    assert read_record(tmp_path / "teacher.pth") is None
