"""`anomedge evaluate`: tables, JSON, scores, maps and overlays."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from anomedge.bundle import Bundle, write_local
from anomedge.commands import _evaluation_files
from anomedge.errors import OutputError
from anomedge.station.calibration import override_thresholds
from tests.commands.running import run


@pytest.fixture
def decides_wrongly(bundle_paths, tmp_path):
    """Return a function that copies a bundle with another threshold."""

    def make(threshold):
        root = shutil.copytree(
            bundle_paths["padim"], tmp_path / "other.anomedge"
        )
        bundle = Bundle.open(root)
        write_local(bundle, override_thresholds(bundle, threshold, threshold))
        return root

    return make


def test_table_shows_counts_intervals_changes_and_kinds(
    bundle_paths, model_paths, pictures, capsys
):
    assert run(
        "evaluate", bundle_paths["padim"], pictures / "test", "--model", model_paths["padim"], "--runtime", "ort", "openvino",
    ) == 0  # fmt: skip
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "eager torch", "onnxruntime", "openvino", "change against eager Torch", "(=)", "image AUROC", "pixel AUPRO (limit 0.3)", "false-alarm rate",
        "of 3", "0 decisions differ from eager Torch's", "are few", "regions", "the fit's", "each kind of defect",
    ):  # fmt: skip
        assert text in shown, text


def test_json_and_scores(bundle_paths, pictures, tmp_path, capsys):
    scores = tmp_path / "scores.csv"
    assert run(
        "evaluate", bundle_paths["padim"], pictures / "test", "--json", "--csv", scores, "--runtime", "ort",
    ) == 0  # fmt: skip
    content = json.loads(capsys.readouterr().out)
    image = content["columns"][0]["image"]
    with scores.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "name", "label", "kind", "score onnxruntime", "decision onnxruntime",
    ]  # fmt: skip
    found = [
        row
        for row in rows
        if (row["label"], row["decision onnxruntime"])
        == ("anomalous", "anomalous")
    ]
    assert len(found) == image["recall"]["count"]
    assert len(rows) == image["normal"] + image["anomalous"]
    assert {r["kind"] for r in rows if r["label"] == "normal"} == {"good"}


@pytest.mark.parametrize("form", ["npy", "tiff"])
def test_maps_are_raw(bundle_paths, pictures, tmp_path, form):
    folder = tmp_path / "maps"
    assert run(
        "evaluate", bundle_paths["padim"], pictures / "test", "--maps", folder, "--map-format", form, "--runtime", "ort",
    ) == 0  # fmt: skip
    files = sorted((folder / "onnxruntime").rglob(f"*.{form}"))
    names = {
        file.relative_to(folder / "onnxruntime").parts[0] for file in files
    }
    assert "good" in names and len(names) > 1
    read = (
        np.load(files[0]) if form == "npy" else np.asarray(Image.open(files[0]))
    )
    assert read.dtype == np.float32
    assert (
        read.shape == Bundle.open(bundle_paths["padim"]).manifest.geometry.image
    )


@pytest.mark.parametrize(
    ("threshold", "part"), [(1e6, "misses"), (-1.0, "false-alarms")]
)
def test_overlays_show_wrong_decisions_only(
    decides_wrongly, pictures, tmp_path, capsys, threshold, part
):
    folder = tmp_path / "wrong"
    root = decides_wrongly(threshold)
    assert run(
        "evaluate", root, pictures / "test", "--overlays", folder, "--runtime", "ort", "--json",
    ) == 0  # fmt: skip
    captured = capsys.readouterr()
    assert "local.json is in force" in captured.err
    image = json.loads(captured.out)["columns"][0]["image"]
    drawn = list((folder / "onnxruntime" / part).rglob("*.png"))
    count = image["anomalous" if part == "misses" else "normal"]
    assert len(drawn) == len(list(folder.rglob("*.png"))) == count
    if part == "misses":
        green = (np.asarray(Image.open(drawn[0])) == (0, 255, 0)).all(axis=-1)
        assert green.any()


def test_maps_that_cannot_be_written_end_with_2_after_the_figures(
    bundle_paths, pictures, tmp_path, capsys, monkeypatch
):
    def refuse(*_):
        raise OutputError("the disk is full")

    monkeypatch.setattr(_evaluation_files.PictureFiles, "save", refuse)
    assert run(
        "evaluate", bundle_paths["padim"], pictures / "test", "--maps", tmp_path / "maps",
    ) == 2  # fmt: skip
    captured = capsys.readouterr()
    assert "image AUROC" in captured.out
    assert "could not be written" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["{model}", "{test}", "--runtime", "ort"],
            "expected a bundle for these",
        ),
        (["{bundle}", "{unlabelled}"], "without a label"),
        (
            ["{bundle}", "{test}", "--maps", "{test}/maps"],
            "expected another folder",
        ),
        (
            ["{bundle}", "{test}", "--overlays", "{unlabelled}"],
            "expected a new or empty folder",
        ),
        (["{bundle}", "{test}/missing"], "expected a folder of pictures"),
    ],
)
def test_wrong_use_is_one_line(
    bundle_paths, model_paths, pictures, capsys, arguments, message
):
    places = {
        "model": model_paths["padim"],
        "bundle": bundle_paths["padim"],
        "test": pictures / "test",
        "unlabelled": pictures / "held_back",
    }
    assert run("evaluate", *(a.format(**places) for a in arguments)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error:") == 1


def test_a_refused_data_set_leaves_no_folder(
    bundle_paths, pictures, tmp_path, capsys
):
    given = ("--maps", tmp_path / "maps", "--overlays", tmp_path / "overlays")
    missing = pictures / "missing"
    assert run("evaluate", bundle_paths["padim"], missing, *given) == 2
    assert "expected a folder of pictures" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
