"""The folder of a training's state: where it lies, and when it is removed."""

from pathlib import Path

import pytest

from anomedge.commands._training_state import remove_state, training_state
from anomedge.errors import OutputError


@pytest.fixture
def state(tmp_path):
    state = training_state(tmp_path / "part.safetensors")
    state.parent.mkdir()
    state.touch()
    return state


def test_the_state_lies_beside_the_model():
    state = training_state(Path("models/part.v2.safetensors"))
    assert state == Path("models/part.v2.training/state.safetensors")


def test_states_and_their_temporary_files_are_removed(state):
    (state.parent / "fold-1.safetensors").touch()
    (state.parent / ".state.safetensors.a1b2.tmp").touch()
    remove_state(state)
    assert not state.parent.exists()
    remove_state(state)


def test_files_that_no_training_wrote_are_kept(state, tmp_path):
    (state.parent / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"'notes\.txt', which no training"):
        remove_state(state)
    assert state.exists()


def test_a_link_to_a_folder_is_refused_and_left_alone(state, tmp_path):
    link = tmp_path / "link.training"
    link.symlink_to(state.parent)
    with pytest.raises(OutputError, match="is a link or a file"):
        remove_state(link / "state.safetensors")
    assert state.exists()
