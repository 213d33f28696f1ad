"""What `--state`, `--at-most-once` and `--done` open, and which uses of them are refused."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from anomedge.commands._memory import OpenMemory, open_memory
from anomedge.errors import InputError, OutputError

BUNDLE = SimpleNamespace(manifest=SimpleNamespace(digest="d" * 64))
CAMERA = SimpleNamespace(folder=None, title="camera0")


class Folder:
    """A source that records which memory it was given."""

    title = "in"

    def __init__(self, folder):
        self.folder = folder
        self.memories = []

    def remember(self, memory):
        self.memories.append(memory)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    return Folder(tmp_path / "in")


def opened(source, state=None, done=None, at_most_once=False):
    return open_memory(state, at_most_once, done, BUNDLE, source)


def test_without_options_nothing_is_opened(source):
    assert opened(source) == OpenMemory(None, None)
    assert opened(CAMERA) == OpenMemory(None, None)
    assert source.memories == []


def test_decided_files_are_moved_without_a_state(source, tmp_path):
    memory = opened(source, done=tmp_path / "a" / "done")
    assert memory.journal is None
    assert memory.done.folder == tmp_path / "a" / "done"
    assert memory.done.folder.is_dir()
    assert source.memories == []


@pytest.mark.parametrize("at_most_once", [False, True])
def test_the_source_gets_the_state(source, tmp_path, at_most_once):
    state = tmp_path / "state"
    memory = opened(source, state, tmp_path / "done", at_most_once)
    with closing(memory.journal) as journal:
        assert source.memories == [journal]
        assert journal.at_most_once is at_most_once
        assert state.is_file()
        assert memory.done.folder == tmp_path / "done"


def test_at_most_once_needs_a_state(source, tmp_path):
    with pytest.raises(InputError, match=r"without --state.*give --state"):
        opened(source, done=tmp_path / "done", at_most_once=True)
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("option", ["state", "done"])
def test_frames_without_files_cannot_be_remembered(option, tmp_path):
    with pytest.raises(
        InputError, match=f"got --{option} with camera0.*leave --{option} out"
    ):
        opened(CAMERA, **{option: tmp_path / "a"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spelling", ["in/a", "in/../in/a", "link/a"])
def test_a_state_in_the_watched_folder_is_refused(source, tmp_path, spelling):
    (tmp_path / "link").symlink_to(source.folder)
    with pytest.raises(InputError, match="in the watched folder"):
        opened(source, tmp_path / spelling)
    assert list(source.folder.iterdir()) == []
    assert source.memories == []


def test_the_source_never_gets_the_state_of_another_folder(source, tmp_path):
    opened(source, tmp_path / "state").journal.close()
    again = Folder(tmp_path / "other")
    with pytest.raises(InputError, match="of the folder"):
        opened(again, tmp_path / "state")
    assert again.memories == []


def test_a_folder_that_cannot_be_made_is_an_error_of_the_output(
    source, tmp_path
):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot create"):
        opened(source, done=tmp_path / "file" / "done")


def test_a_refused_use_creates_no_folder_and_frees_the_state(source, tmp_path):
    done, state = tmp_path / "out", tmp_path / "line.state"
    with pytest.raises(InputError, match="elsewhere"):
        opened(source, source.folder / "line.state", done)
    assert not done.exists()
    done.write_bytes(b"a file")
    with pytest.raises((InputError, OutputError)):
        opened(source, state, done)
    with closing(opened(source, state).journal):
        pass
