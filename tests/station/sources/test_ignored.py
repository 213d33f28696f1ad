"""Entries that are no pictures are counted once each, and told once for each kind."""

from anomedge.station.sources._ignored import Ignored


def test_each_kind_is_told_once_with_the_number_of_its_entries():
    ignored = Ignored()
    first = ignored.note({"a.txt": ".txt", "b": "folder", "c.txt": ".txt"})
    assert (first.event, first.name, first.count) == ("ignored", "a.txt", 3)
    assert ".txt, folder" in first.message
    second = ignored.note({"c.txt": ".txt", "d.txt": ".txt", "e.log": ".log"})
    assert (second.name, second.count) == ("e.log", 1)
    assert ".txt" not in second.message
    assert ignored.count == 5


def test_nothing_new_is_not_told_again():
    ignored = Ignored()
    assert ignored.note({}) is None
    assert ignored.note({"a.txt": ".txt"}) is not None
    assert ignored.note({"a.txt": ".txt"}) is None
    assert ignored.note({"b.txt": ".txt"}) is None
    assert ignored.count == 2


def test_a_folder_of_many_kinds_is_told_a_limited_number_of_times():
    ignored = Ignored()
    told = [ignored.note({f"x.{n}": f".{n}"}) for n in range(50)]
    assert sum(notice is not None for notice in told) == 20
    assert ignored.count == 50
    both = Ignored().note({f"x.{n}": f".{n}" for n in range(50)})
    assert both.count == 20
