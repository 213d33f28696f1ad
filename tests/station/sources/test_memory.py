"""What a source without a state knows of earlier runs: nothing; `test_journal` tests the other."""

import inspect

import pytest

from anomedge.station.journal import Journal
from anomedge.station.sources._listing import Stamp
from anomedge.station.sources._memory import Memory
from anomedge.station.sources.folder import FolderSource

PRESENT = {"a.png": Stamp(5, 7), "b.png": Stamp(6, 8)}


def test_no_file_is_known():
    assert Memory().known() == {}


def test_each_first_listing_skips_all_files():
    memory = Memory()
    assert memory.first_skip(PRESENT) == PRESENT
    assert memory.first_skip(PRESENT) == PRESENT
    assert memory.first_skip({}) == {}


def test_nothing_is_remembered_of_what_was_skipped_or_kept():
    memory = Memory()
    memory.first_skip(PRESENT)
    memory.keep_only(["a.png"])
    assert memory.known() == Memory().known() == {}


def test_what_is_known_is_no_memory_of_another_source():
    first, second = Memory(), Memory()
    first.known().update(PRESENT)
    assert (first.known(), second.known()) == ({}, {})


def test_a_folder_source_has_it_without_a_state(tmp_path):
    assert type(FolderSource(tmp_path)._memory) is Memory


@pytest.mark.parametrize("name", ["known", "first_skip", "keep_only"])
def test_a_state_takes_its_place(name):
    assert name in vars(Journal)
    assert inspect.signature(getattr(Journal, name)) == inspect.signature(
        getattr(Memory, name)
    )
