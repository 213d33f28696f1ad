"""Compiled models that are kept: an entry is returned as it was written, or not at all."""

import os
import re
from pathlib import Path

import pytest

from anomedge.errors import InputError
from anomedge.runtimes import compiled_models
from anomedge.runtimes.compiled_models import (
    VARIABLE,
    CompiledModel,
    folder_of_environment,
)

FACTS = {"bundle": "ab12", "device": ["CPU", "a processor"]}


@pytest.fixture
def kept(tmp_path):
    entry = CompiledModel(tmp_path / "cache", FACTS)
    entry.write(b"compiled")
    return entry


def test_an_entry_is_returned_under_its_facts_only(kept):
    assert kept.read() == b"compiled"
    assert CompiledModel(kept.folder, FACTS | {"bundle": "cd"}).read() is None


def flip_a_byte(entry: CompiledModel) -> None:
    content = bytearray(entry.path.read_bytes())
    content[-1] ^= 1
    entry.path.write_bytes(content)


def cut_the_end(entry: CompiledModel) -> None:
    os.truncate(entry.path, entry.path.stat().st_size - 1)


def take_the_entry_of_another_graph(entry: CompiledModel) -> None:
    other = CompiledModel(entry.folder, FACTS | {"bundle": "cd"})
    other.write(b"another")
    other.path.replace(entry.path)


def link_elsewhere(entry: CompiledModel) -> None:
    entry.path.replace(entry.folder / "elsewhere")
    entry.path.symlink_to("elsewhere")


def let_others_write(entry: CompiledModel) -> None:
    entry.path.chmod(0o666)


@pytest.mark.parametrize(
    "tamper",
    [
        flip_a_byte,
        cut_the_end,
        take_the_entry_of_another_graph,
        link_elsewhere,
        let_others_write,
    ],
)
def test_an_entry_that_is_not_as_it_was_written_is_removed(kept, tamper):
    tamper(kept)
    assert kept.read() is None
    assert not os.path.lexists(kept.path)
    kept.write(b"again")
    assert kept.read() == b"again"


def test_the_folder_is_made_for_this_user_only(kept):
    assert kept.folder.stat().st_mode & 0o777 == 0o700


def open_to_others(folder: Path, _patch) -> None:
    folder.chmod(0o755)


def a_link(folder: Path, _patch) -> None:
    folder.rename(folder.with_name("real"))
    folder.symlink_to("real")


def of_another_user(_folder: Path, patch) -> None:
    user = os.geteuid() + 1
    patch.setattr(os, "geteuid", lambda: user)


def a_file(folder: Path, _patch) -> None:
    folder.rename(folder.with_name("real"))
    folder.write_text("")


@pytest.mark.parametrize(
    "change", [open_to_others, a_link, of_another_user, a_file]
)
def test_a_folder_that_is_not_this_users_alone_is_refused(
    kept, change, monkeypatch
):
    change(kept.folder, monkeypatch)
    for use in (kept.read, lambda: kept.write(b"compiled")):
        with pytest.raises(InputError, match=re.escape(str(kept.folder))):
            use()


def test_the_entries_that_were_written_first_are_removed(kept, monkeypatch):
    monkeypatch.setattr(compiled_models, "_MOST_ENTRIES", 2)
    os.utime(kept.path, (1, 1))
    for name in ("second", "third"):
        CompiledModel(kept.folder, {"bundle": name}).write(b"compiled")
    assert kept.read() is None
    assert len(list(kept.folder.iterdir())) == 2


def test_the_bytes_of_all_entries_are_limited(kept, monkeypatch):
    size = kept.path.stat().st_size
    monkeypatch.setattr(compiled_models, "_MOST_BYTES", 2 * size)
    os.utime(kept.path, (1, 1))
    second, third, large = (
        CompiledModel(kept.folder, {"bundle": name})
        for name in ("second", "third", "large")
    )
    second.write(b"compiled")
    assert kept.read() is not None
    third.write(b"compiled")
    assert kept.read() is None
    assert second.read() is not None
    # The last one stays, whatever its size.
    large.write(bytes(3 * size))
    assert list(kept.folder.iterdir()) == [large.path]


def test_what_a_killed_process_left_is_removed(kept):
    left = kept.folder / ".other.compiled.abcd_012.tmp"
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    kept.write(b"compiled")
    assert not left.exists()


def test_an_entry_that_cannot_be_written_is_a_warning(kept, monkeypatch):
    def refuse(*_arguments, **_more):
        raise compiled_models.OutputError("the disk is full")

    monkeypatch.setattr(compiled_models, "atomic_file", refuse)
    with pytest.warns(UserWarning, match="is not kept: the disk is full"):
        kept.write(b"compiled")


def test_nothing_is_kept_unless_the_environment_names_a_folder(
    tmp_path, monkeypatch
):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert folder_of_environment() is None
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert folder_of_environment() == tmp_path
