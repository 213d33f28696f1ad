"""The folder where programs of a user keep their state."""

import os
from pathlib import Path

import pytest

from anomedge.errors import InputError
from anomedge.files import state_folder


def test_the_folder_is_in_the_stated_one(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "kept"))
    assert state_folder() == tmp_path / "kept" / "anomedge"
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("stated", [None, "", "relative"])
def test_without_one_it_is_in_the_home_of_the_user(
    monkeypatch, tmp_path, stated
):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if stated is not None:
        monkeypatch.setenv("XDG_STATE_HOME", stated)
    assert state_folder() == tmp_path / ".local" / "state" / "anomedge"


def test_it_is_looked_up_at_each_call(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "one"))
    first = state_folder()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "two"))
    assert state_folder() != first


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    for name in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(InputError, match="set XDG_STATE_HOME or HOME"):
        state_folder()
