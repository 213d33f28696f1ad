import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomedge.errors import IntegrityError, OutputError
from anomedge.files import atomic as files
from anomedge.files import canonical_json, safe_member


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_canonical_json_is_json_and_knows_no_order(value):
    data = canonical_json(value)
    assert json.loads(data) == value
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == data


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/../b", "/a", "a//b", "a\\b", "C:/a", "a/", "./a", "a\0"],
)
def test_members_outside_are_refused(tmp_path, name):
    with pytest.raises(IntegrityError):
        safe_member(tmp_path, name)


def test_members_through_links_are_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(IntegrityError, match="link"):
        safe_member(tmp_path, "link/x")


@pytest.mark.parametrize("exchange", [True, False])
def test_directory_appears_whole_or_not_at_all(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_rename", lambda one, other, flags: False)
    target = tmp_path / "bundle"
    with (
        pytest.raises(ValueError, match="planted"),
        files.atomic_directory(target) as folder,
    ):
        (folder / "half").write_text("half")
        raise ValueError("planted")
    assert list(tmp_path.iterdir()) == []
    with files.atomic_directory(target) as folder:
        (folder / "a").write_text("old")
    with (
        pytest.raises(OutputError, match="--force"),
        files.atomic_directory(target) as folder,
    ):
        pass
    with (
        pytest.raises(ValueError, match="planted"),
        files.atomic_directory(target, force=True) as folder,
    ):
        raise ValueError("planted")
    assert (target / "a").read_text() == "old"
    with files.atomic_directory(target, force=True) as folder:
        (folder / "b").write_text("new")
    assert sorted(os.listdir(tmp_path)) == ["bundle"]
    assert os.listdir(target) == ["b"]


def test_steps_put_the_old_one_back(tmp_path, monkeypatch):
    target, new = tmp_path / "t", tmp_path / "new"
    target.mkdir()
    (target / "a").write_text("old")
    monkeypatch.setattr(files, "_rename", lambda one, other, flags: False)
    with pytest.raises(OSError, match="No such file"):
        # `new` is not there, so the second rename fails.
        files._replace_by_steps(new, target)
    assert (target / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["t"]


def test_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "model"
    with (
        pytest.raises(ValueError, match="planted"),
        files.atomic_file(target) as temporary,
    ):
        temporary.write_text("half")
        raise ValueError("planted")
    assert os.listdir(tmp_path) == []
    with files.atomic_file(target) as temporary:
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    with (
        pytest.raises(OutputError, match="exists"),
        files.atomic_file(target) as temporary,
    ):
        pass


def test_whoever_may_read_a_new_file_may_read_these(tmp_path):
    (tmp_path / "plain").write_text("")
    with files.atomic_directory(tmp_path / "folder") as folder:
        (folder / "own").write_text("")
        (folder / "own").chmod(0o600)
    with files.atomic_file(tmp_path / "file"):
        pass
    wanted = (tmp_path / "plain").stat().st_mode
    assert (
        (tmp_path / "folder" / "own").stat().st_mode
        == (tmp_path / "file").stat().st_mode
        == wanted
    )


def test_missing_folder_is_said(tmp_path):
    with (
        pytest.raises(OutputError, match="make it first"),
        files.atomic_file(tmp_path / "no" / "model"),
    ):
        pass
