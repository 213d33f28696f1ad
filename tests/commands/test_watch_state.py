"""`anomedge watch --state` and `--done`: a restart goes on where the last run was."""

import shutil

import pytest

from tests.commands.test_watch import (
    folder,  # noqa: F401 - a fixture
    lines,
    named,
    part,  # noqa: F401 - a fixture
    run,
)


@pytest.fixture
def station(part, folder, tmp_path):  # noqa: F811
    """Arguments of a run over three pictures, with a state."""
    return [part, folder, "--poll", "0.01", "--state", tmp_path / "state"]


def names(text):
    return [line["name"] for line in named(lines(text), "frame")]


def test_a_restart_inspects_what_came_while_it_was_down(
    station, folder, capfd  # noqa: F811
):  # fmt: skip
    assert run(*station, "--once") == 0
    said = lines(capfd.readouterr().out)
    assert len({line["id"] for line in named(said, "frame")}) == 3
    assert run(*station, "--once") == 0
    assert names(capfd.readouterr().out) == []
    shutil.copy(next(folder.iterdir()), folder / "new.png")
    # Also with --new: new is what the state does not know.
    assert run(*station, "--new", "--limit", "1") == 0
    assert names(capfd.readouterr().out) == ["new.png"]


def test_a_restart_with_an_exchanged_bundle_goes_on_and_says_so(
    station, bundle_paths, folder, capfd  # noqa: F811
):  # fmt: skip
    assert run(*station, "--once") == 0
    assert not named(lines(capfd.readouterr().out), "bundle")
    shutil.copy(next(folder.iterdir()), folder / "new.png")
    other = [bundle_paths["patchcore"], *station[1:], "--once"]
    assert run(*other) == 0
    said = lines(capfd.readouterr().out)
    (started,), (bundle,) = named(said, "started"), named(said, "bundle")
    assert bundle["state"] == "applied"
    assert bundle["digest"] == started["digest"] != bundle["old_digest"]
    assert [line["name"] for line in named(said, "frame")] == ["new.png"]
    assert run(*other) == 0
    assert not named(lines(capfd.readouterr().out), "bundle")


def test_decided_pictures_are_moved_and_undecided_ones_stay(
    part, folder, tmp_path, capfd  # noqa: F811
):  # fmt: skip
    (folder / "bad.png").write_bytes(b"no picture")
    done = ["--done", tmp_path / "done", "--once", "--poll", "0.01"]
    assert run(part, folder, *done) == 2
    assert len(names(capfd.readouterr().out)) == 3
    assert [path.name for path in folder.iterdir()] == ["bad.png"]
    assert len(list((tmp_path / "done").iterdir())) == 3


@pytest.mark.parametrize(
    ("source", "arguments", "said"),
    [
        ("0", ["--state", "a"], "got --state with camera0"),
        ("0", ["--done", "a"], "got --done with camera0"),
        (None, ["--at-most-once"], "without --state"),
        (None, ["--done", None], "the watched folder"),
        (None, ["--state", "file"], "which cannot be used"),
        (None, ["--state", "in/state"], "in the watched folder"),
    ],
)
def test_wrong_use_is_refused_before_inspection(
    source, arguments, said, part, folder, tmp_path, monkeypatch, capfd  # noqa: F811
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no database, but of some length")
    given = [folder if word is None else word for word in arguments]
    assert run(part, source or folder, *given) == 2
    captured = capfd.readouterr()
    assert said in " ".join(captured.err.split())
    assert captured.out == ""
