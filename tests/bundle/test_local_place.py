"""Where `local.json` lies: beside its bundle, in the user's state folder, or in a given folder."""

import pytest

from anomedge.bundle import (
    Bundle,
    LocalSettings,
    local_place,
    remove_local,
    write_local,
)
from anomedge.bundle.changes import Changes
from anomedge.errors import OutputError


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The user's state folder, which does not exist yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "anomedge" / "local"


@pytest.fixture
def read_only(copy, state, monkeypatch):
    """A bundle that this process believes it cannot write to; tests may run as root."""
    monkeypatch.setattr(local_place.os, "access", lambda *_: False)
    return copy


def test_a_bundle_that_can_be_written_holds_its_settings(copy, state):
    opened = write_local(Bundle.open(copy), LocalSettings(threshold=1.0))
    assert opened.local_path == copy / "local.json"
    assert opened.local_path.is_file()
    assert not state.exists()


def test_settings_of_a_read_only_bundle_lie_in_the_state_folder(
    read_only, state
):
    opened = write_local(Bundle.open(read_only), LocalSettings(threshold=1.0))
    digest = opened.manifest.digest
    assert opened.local_path == state / digest[:16] / "local.json"
    assert Bundle.open(read_only).decision.threshold == 1.0
    assert not (read_only / "local.json").exists()
    assert remove_local(opened).local is None
    assert not opened.local_path.exists()


def test_a_given_folder_holds_the_settings_of_every_bundle(
    copy, bundle_paths, tmp_path
):
    write_local(Bundle.open(copy), LocalSettings(threshold=3.0))
    for name, threshold in (("padim", 1.0), ("patchcore", 2.0)):
        path = copy if name == "padim" else bundle_paths[name]
        opened = Bundle.open(path, tmp_path / "given")
        assert opened.local is None, "the one in the bundle does not count"
        write_local(opened, LocalSettings(threshold=threshold))
    found = [
        Bundle.open(path, tmp_path / "given").decision.threshold
        for path in (copy, bundle_paths["patchcore"])
    ]
    assert found == [1.0, 2.0]
    assert Bundle.open(copy).decision.threshold == 3.0


def test_settings_inside_a_read_only_bundle_count_until_there_are_others(
    copy, state, monkeypatch
):
    write_local(Bundle.open(copy), LocalSettings(threshold=3.0))
    monkeypatch.setattr(local_place.os, "access", lambda *_: False)
    opened = Bundle.open(copy)
    assert opened.decision.threshold == 3.0
    assert write_local(opened, LocalSettings(threshold=4.0)).local is not None
    assert Bundle.open(copy).decision.threshold == 4.0
    with pytest.raises(OutputError, match="in force and cannot be removed"):
        remove_local(opened)
    assert Bundle.open(copy).decision.threshold == 3.0


def test_a_folder_that_cannot_be_made_is_refused(copy, tmp_path):
    (tmp_path / "file").write_text("")
    opened = Bundle.open(copy, tmp_path / "file")
    with pytest.raises(OutputError, match="give a folder that can be written"):
        write_local(opened, LocalSettings(threshold=1.0))


def test_settings_outside_the_bundle_are_watched(read_only):
    opened = Bundle.open(read_only)
    changes = Changes(opened, every=0)
    assert changes.ask() is None
    written = write_local(opened, LocalSettings(threshold=1.0))
    assert f"{written.local_path} changed" in changes.ask()
