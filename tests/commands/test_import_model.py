"""anomedge import: the model file, the lines and the JSON, and every refusal. The file is a stand-in."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from anomedge.interop import import_file as importing
from anomedge.interop.anomalib import StoredThresholds
from anomedge.pipelines.model import load
from tests.commands.running import run
from tests.interop.stand_in import VALIDATED, foreign_model, stand_in


@pytest.fixture
def model(models):
    return models["padim"]


@pytest.fixture
def calls(monkeypatch, model):
    return stand_in(monkeypatch, model, foreign_model())


def last_line(capsys):
    """Return the last line of standard error; there is one."""
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_the_model_file_is_written_and_every_source_is_printed(
    calls, model, tmp_path, capsys
):
    target = tmp_path / "model.safetensors"
    assert run("import", "part.ckpt", "-o", target) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "detector: padim (from the file)" in shown
    assert "image threshold: 3 (from the file)" in shown
    assert any(line.startswith("levels: none") for line in shown)
    assert shown[-1].startswith(f"{target}: padim")
    assert "imported from part.ckpt (anomalib 2.7), raised by" in shown[-1]
    loaded = load(target)
    assert loaded.card.imported == "d" * 64
    assert (loaded.card.fitted, loaded.card.known) == ((), None)
    assert "part.ckpt (anomalib 2.7)" in loaded.card.licence["weights"]
    assert loaded.decision.origin.imported_from == "part.ckpt (anomalib 2.7)"
    wanted = model.pipeline.state_dict()
    assert loaded.pipeline.state_dict().keys() == wanted.keys()


def test_names_with_line_feeds_stay_in_their_lines(
    monkeypatch, model, tmp_path, capsys
):
    foreign = replace(foreign_model(), path=Path("p\nerror: q.ckpt"))
    stand_in(monkeypatch, model, foreign)
    target = tmp_path / "m\nerror: n.safetensors"
    assert run("import", "p", "-o", target) == 0
    said = capsys.readouterr().out
    assert "error: q.ckpt" in said
    assert not [x for x in said.splitlines() if x.startswith("error")]
    card = load(target).card
    assert card.weights == "imported from p\\nerror: q.ckpt (anomalib 2.7)"
    assert "\n" not in card.licence["weights"]
    assert run("inspect", target) == 0
    assert "\nerror" not in capsys.readouterr().out
    assert run("import", "p", "-o", target) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1


def test_names_that_are_not_utf_8_are_stored_escaped(
    monkeypatch, model, tmp_path, capsys
):
    foreign = replace(foreign_model(), path=Path("caf\udce9.ckpt"))
    stand_in(monkeypatch, model, foreign)
    target = tmp_path / "caf\udce9.safetensors"
    assert run("import", "p", "-o", target, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["origin"]["imported_from"].startswith("caf\\xe9.ckpt ")
    assert run("inspect", target, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["path"].endswith("caf\\xe9.safetensors")


@pytest.mark.filterwarnings(
    "ignore::anomedge.interop.decision.UnsuitableThresholdWarning"
)
def test_json_has_the_decision_and_the_sources(
    calls, pictures, tmp_path, capsys
):
    target = tmp_path / "model.safetensors"
    given = ["--held-back", pictures / "held_back", "--size", "64x72"]
    assert run("import", "part.ckpt", "-o", target, "--json", *given) == 0
    content = json.loads(capsys.readouterr().out)
    assert calls[0][2] == (64, 72)
    assert content["detector"] == "padim"
    assert content["sha256"] == "d" * 64
    assert content["origin"]["normal"] == 6
    first = {"what": "detector", "value": "padim", "source": "file"}
    assert content["taken"][0] == first
    assert {line["source"] for line in content["taken"]} == {"file", "computed"}


def test_the_detector_is_handed_on(calls, tmp_path):
    target = tmp_path / "model.safetensors"
    given = ["--detector", "padim", "--threshold", "4"]
    assert run("import", "part.ckpt", "-o", target, *given) == 0
    assert calls[0][1] == "padim"
    decision = load(target).decision
    assert (decision.threshold, decision.origin.rule) == (4.0, "given")


def test_held_back_pictures_place_a_missing_threshold(
    monkeypatch, model, pictures, tmp_path, capsys
):
    foreign = foreign_model(StoredThresholds())
    stand_in(monkeypatch, model, foreign)
    target = tmp_path / "model.safetensors"
    given = ["--held-back", pictures / "held_back", "--rate", "0.3"]
    assert run("import", "part.ckpt", "-o", target, *given) == 0
    origin = load(target).decision.origin
    assert (origin.rule, origin.rate) == ("false-alarm-rate", 0.3)
    assert (
        "false-alarm rate 0.3 on 6 normal pictures" in capsys.readouterr().out
    )


def test_an_existing_model_is_kept_without_force(calls, tmp_path, capsys):
    target = tmp_path / "model.safetensors"
    target.write_text("kept")
    assert run("import", "part.ckpt", "-o", target) == 2
    assert target.read_text() == "kept"
    assert not calls
    assert run("import", "part.ckpt", "-o", target, "--force") == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rule", "balanced"], "without --held-back"),
        (["--rule", "other"], "got the rule 'other'"),
        (["--size", "64"], "expected height x width"),
        (["--threshold", "nan"], "got --threshold nan"),
        (["--threshold", "1e300"], "expected a number that float32 has"),
        (["--normal", "ok"], "got --normal without --held-back"),
        (["--held-back", "missing"], "expected a folder of pictures"),
    ],
)
def test_wrong_options_are_refused_before_the_import(
    calls, tmp_path, capsys, given, said
):
    target = tmp_path / "model.safetensors"
    assert run("import", "part.ckpt", "-o", target, *given) == 2
    assert said in last_line(capsys)
    assert not calls
    assert not target.exists()


def test_a_threshold_of_pixels_needs_a_map(
    monkeypatch, calls, tmp_path, capsys
):
    monkeypatch.setattr(importing, "_try_on_images", lambda imported: False)
    target = tmp_path / "model.safetensors"
    given = ["--pixel-threshold", "4"]
    assert run("import", "part.ckpt", "-o", target, *given) == 2
    assert "got --pixel-threshold for a detector without" in last_line(capsys)
    assert not target.exists()


def test_a_file_without_thresholds_is_refused_before_the_import(
    monkeypatch, model, tmp_path, capsys
):
    calls = stand_in(monkeypatch, model, foreign_model(StoredThresholds()))
    target = tmp_path / "model.safetensors"
    assert run("import", "part.ckpt", "-o", target) == 2
    said = last_line(capsys)
    assert "part.ckpt (anomalib 2.7) holds no threshold" in said
    assert "--held-back" in said
    assert "--threshold" in said
    assert not calls


def test_one_held_back_picture_is_refused(calls, pictures, tmp_path, capsys):
    only = tmp_path / "held"
    only.mkdir()
    picture = next((pictures / "held_back").iterdir())
    (only / picture.name).write_bytes(picture.read_bytes())
    given = ["-o", tmp_path / "m.safetensors", "--held-back", only]
    assert run("import", "part.ckpt", *given) == 2
    assert "expected at least 2" in last_line(capsys)
    assert not calls


def test_unreadable_held_back_pictures_are_refused(
    calls, pictures, tmp_path, capsys
):
    folder = tmp_path / "held"
    folder.mkdir()
    for number, picture in enumerate((pictures / "held_back").iterdir()):
        content = picture.read_bytes()
        (folder / picture.name).write_bytes(content[:50] if number else content)
    given = ["-o", tmp_path / "m.safetensors", "--held-back", folder]
    assert run("import", "part.ckpt", *given) == 2
    assert "pictures cannot be used" in capsys.readouterr().err
    assert not calls


def test_a_file_is_opened_once(monkeypatch, model, tmp_path):
    """Thresholds and tensors are those of one file, also if another one replaces it meanwhile."""
    stand_in(monkeypatch, model, foreign_model())
    read, opened = importing.read_foreign, []

    def counted(path):
        opened.append(path)
        return read(path)

    monkeypatch.setattr(importing, "read_foreign", counted)
    target = tmp_path / "model.safetensors"
    assert run("import", "part.ckpt", "-o", target) == 0
    assert len(opened) == 1


def test_with_anomalib_needs_it_installed(monkeypatch, calls, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "anomalib", None)
    target = tmp_path / "model.safetensors"
    assert run("import", "part.ckpt", "-o", target, "--with-anomalib") == 2
    assert "pip install '.[anomalib]'" in last_line(capsys)
    assert not calls


def test_versions_of_anomalib_that_compare_by_at_least_are_lowered(
    monkeypatch, model, tmp_path
):
    stand_in(monkeypatch, model, foreign_model(VALIDATED, version="1.2"))
    target = tmp_path / "model.safetensors"
    assert run("import", "part.ckpt", "-o", target) == 0
    decision = load(target).decision
    assert decision.threshold < 3.0
    assert decision.origin.shift < 0


def test_inspect_shows_the_source(calls, tmp_path, capsys):
    target = tmp_path / "model.safetensors"
    run("import", "part.ckpt", "-o", target)
    capsys.readouterr()
    assert run("inspect", target) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "imported from part.ckpt (anomalib 2.7)" in shown
    assert "unknown pictures, in the file of SHA-256 dddd" in shown
    assert "5 % of the threshold" in shown


def test_the_file_itself_is_not_replaced_by_the_model(calls, tmp_path, capsys):
    path = tmp_path / "part.ckpt"
    path.write_bytes(b"weights")
    assert run("import", path, "-o", path, "--force") == 2
    assert "expected another name" in last_line(capsys)
    assert path.read_bytes() == b"weights"
