"""States of a bundle's files: what is looked at, and which changes show."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from anomedge.bundle import local_place
from anomedge.bundle.local_settings import LOCAL_LIMIT
from anomedge.bundle.snapshot import file_state, local_names, snapshot


@pytest.fixture
def root(tmp_path):
    """A folder with the files of a bundle; no content is read."""
    made = tmp_path / "part.anomedge"
    for name in (
        "manifest.json",
        "model.onnx",
        "golden/000.png",
        "certificates/b.json",
    ):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(b"12345")
    return made


def bundle(root, local_folder=None):
    manifest = SimpleNamespace(digest="d" * 64)
    return SimpleNamespace(
        path=root, manifest=manifest, local_folder=local_folder
    )


def changed(before, after):
    """The names whose state differs."""
    names = before.keys() | after.keys()
    return {name for name in names if before.get(name) != after.get(name)}


def test_all_files_but_certificates_are_in_it(root):
    local = str(root / "local.json")
    found = snapshot(bundle(root))
    assert set(found) == {
        "manifest.json", "model.onnx", "golden/000.png", local,
    }  # fmt: skip
    assert found["golden/000.png"] == file_state(root / "golden" / "000.png")
    assert found[local] is None


def test_a_snapshot_of_the_same_files_is_the_same(root):
    assert snapshot(bundle(root)) == snapshot(bundle(root))


def renamed_over(root):
    (root / "new").write_bytes(b"12345")
    (root / "new").rename(root / "model.onnx")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda root: (root / "more").write_bytes(b""), "more"),
        (lambda root: (root / "model.onnx").unlink(), "model.onnx"),
        (lambda root: os.utime(root / "model.onnx", ns=(0, 1)), "model.onnx"),
        (renamed_over, "model.onnx"),
        (
            lambda root: (root / "golden/local.json").touch(),
            "golden/local.json",
        ),
        (lambda root: (root / "a").symlink_to("nowhere"), "a"),
    ],
    ids=["added", "removed", "touched", "renamed over", "inner local", "link"],
)
def test_a_change_of_a_file_shows(root, change, name):
    before = snapshot(bundle(root))
    change(root)
    assert changed(before, snapshot(bundle(root))) == {name}


@pytest.mark.parametrize(
    "name", ["certificates/c.json", ".local.json.a1b2c3_d.tmp"]
)
def test_files_that_are_no_content_do_not_show(root, name):
    before = snapshot(bundle(root))
    (root / name).write_bytes(b"{}")
    assert snapshot(bundle(root)) == before


def test_local_settings_show_under_their_whole_path(root):
    before = snapshot(bundle(root))
    (root / "local.json").write_text("{}")
    after = snapshot(bundle(root))
    assert changed(before, after) == {str(root / "local.json")}
    assert changed(before, after) == local_names(bundle(root))


def test_local_settings_of_a_given_folder_replace_those_beside(root, tmp_path):
    given = bundle(root, tmp_path / "set")
    place = tmp_path / "set" / ("d" * 16) / "local.json"
    assert local_names(given) == {str(place)}
    (root / "local.json").write_text("{}")
    before = snapshot(given)
    assert str(root / "local.json") not in before
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    assert changed(before, snapshot(given)) == {str(place)}


def test_a_read_only_bundle_has_two_places_of_settings(
    root, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(local_place.os, "access", lambda *_: False)
    names = local_names(bundle(root))
    assert str(root / "local.json") in names
    assert len(names) == 2
    assert names <= set(snapshot(bundle(root)))


def test_names_of_settings_do_not_depend_on_how_the_path_is_written(
    root, monkeypatch
):
    monkeypatch.chdir(root.parent)
    relative = bundle(Path(root.name))
    assert snapshot(relative) == snapshot(bundle(root))


def test_a_bundle_that_is_gone_has_no_files(tmp_path):
    gone = bundle(tmp_path / "gone", tmp_path / "set")
    assert set(snapshot(gone).values()) == {None}
    assert set(snapshot(gone)) == local_names(gone)


def test_a_state_is_that_of_a_link_and_none_without_a_file(tmp_path):
    target, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(target)
    before = file_state(link)
    target.write_bytes(b"12345")
    assert file_state(link) == before is not None
    found = target.stat()
    assert file_state(target) == (
        found.st_ino, 5, found.st_mtime_ns, found.st_ctime_ns,
    )  # fmt: skip
    assert file_state(tmp_path / "no") is None
    assert file_state(target / "below a file") is None


def test_links_to_folders_and_large_temporaries_are_noticed(root, tmp_path):
    before = set(snapshot(bundle(root)))
    (root / "more").symlink_to(tmp_path)
    large = root / ".local.json.12345678.tmp"
    with large.open("wb") as file:
        file.truncate(LOCAL_LIMIT + 1)
    assert set(snapshot(bundle(root))) - before == {"more", large.name}
