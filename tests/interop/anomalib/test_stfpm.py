"""Files of anomalib's STFPM: recognised by teacher and student, which keep their places."""

from types import SimpleNamespace

import torch

from anomedge.interop.anomalib import import_native
from anomedge.interop.anomalib.stfpm import ImportedStfpm
from tests.interop.anomalib import builder

TEACHER = "teacher_model.feature_extractor.conv1.weight"
STUDENT = "student_model.feature_extractor.conv1.weight"


def matches(*names):
    return ImportedStfpm.matches(SimpleNamespace(tensors=dict.fromkeys(names)))


def test_a_file_needs_teacher_and_student_and_nothing_else():
    assert matches(TEACHER, STUDENT)
    assert not matches(TEACHER)
    assert not matches(STUDENT)
    assert not matches(TEACHER, STUDENT, "memory_bank")
    assert not matches()


def test_teacher_and_student_keep_their_weights(tmp_path):
    state = builder.model_state("stfpm")
    path = tmp_path / "model.ckpt"
    torch.save(builder.checkpoint_27("stfpm", state), path)
    pipeline = import_native(path).pipeline
    networks = pipeline.state_dict()
    for owner, key in (("teacher", TEACHER), ("student", STUDENT)):
        name = f"{owner}.feature_extractor.conv1.weight"
        assert torch.equal(networks[name], state[key])
