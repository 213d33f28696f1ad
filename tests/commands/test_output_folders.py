"""Folders of results: made, and gone with a failure that leaves them empty."""

import pytest

from anomedge.commands._output_folders import output_folders
from anomedge.errors import InputError, OutputError
from tests.commands.running import run


def test_folders_are_made_and_stay(tmp_path):
    deep = tmp_path / "a" / "b"
    with output_folders([tmp_path / "pictures"], (deep, None)):
        assert deep.is_dir()
    assert deep.is_dir()


def test_empty_folders_go_with_a_failure(tmp_path):
    kept, filled = tmp_path / "kept", tmp_path / "filled" / "inner"
    kept.mkdir()
    folders = (kept / "a" / "b", filled, None)
    with (
        pytest.raises(KeyboardInterrupt),
        output_folders([tmp_path / "pictures"], folders),
    ):
        (filled / "x").write_text("x")
        raise KeyboardInterrupt
    assert list(kept.iterdir()) == []
    assert (filled / "x").exists()


def test_folders_among_the_pictures_are_refused(tmp_path):
    inner = tmp_path / "results"
    with (
        pytest.raises(InputError, match="expected another folder"),
        output_folders([tmp_path], (inner,)),
    ):
        pass
    assert not inner.exists()


def test_a_folder_that_cannot_be_made_takes_the_others_along(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    made = tmp_path / "made"
    with (
        pytest.raises(OutputError, match="cannot make"),
        output_folders([tmp_path / "pictures"], (made, file / "inner")),
    ):
        pass
    assert not made.exists()


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        ("predict", "-o", "out"),
        ("evaluate", "--csv", "scores.csv"),
        ("evaluate", "--overlays", "out"),
        ("verify", "--junit", "proof.xml"),
        ("bench", "--plot", "times.svg"),
        ("watch", "--sink", "verdicts.jsonl"),
        ("watch", "--spool", "spool"),
        ("watch", "--state", "state"),
    ],
)
def test_outputs_in_the_bundle_are_refused(
    copy, pictures, capfd, command, option, name
):
    more = ["--once"] if command == "watch" else []
    given = [] if command in {"verify", "bench"} else [pictures / "test"]
    words = [copy, *given, *more, option, copy / name]
    assert run(command, *words) == 2
    assert "expected a place outside" in capfd.readouterr().err
    assert not (copy / name).exists()
