"""INT8 on the command line: options that contradict each other, exit codes, notes, and the default precision."""

import json
import shutil

import pytest

from anomedge import Inspector
from anomedge.bundle import Bundle
from anomedge.commands._common_options import chosen_precision
from anomedge.commands._quantisation import int8_options, speed_note
from anomedge.errors import BundleError, InputError
from anomedge.testing import assert_parity
from tests.commands.running import run


def options(calibrate=(), refit_on=(), only=False, labelled=()):
    return int8_options(calibrate, refit_on, only, labelled, 3, 0.5)


def test_options_of_a_quantisation():
    assert options() is None
    found = options(["a"], labelled=["b"])
    assert [str(path) for path in found.calibrate] == ["a"]
    assert [str(path) for path in found.labelled] == ["b"]
    assert (found.refit, found.most_flips, found.most_auroc_drop) == (True, 3, 0.5)  # fmt: skip
    assert not options(["a"], only=True).refit


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"calibrate": ["a"], "refit_on": ["b"], "only": True}, "one of them"),
        ({"refit_on": ["b"]}, "give --calibrate DIR"),
        ({"only": True}, "give --calibrate DIR"),
        ({"labelled": ["b"]}, "give --calibrate DIR"),
    ],
)
def test_options_that_contradict_each_other_are_refused(given, match):
    with pytest.raises(InputError, match=match):
        options(**given)


def test_the_note_is_for_int8_under_onnxruntime():
    (line,) = speed_note("int8", ["openvino", "onnxruntime"])
    assert "openvino computes them in INT8" in line
    assert speed_note("int8", ["openvino"]) == []
    assert speed_note("fp32", ["onnxruntime"]) == []


def exporting(path, target, *more):
    frame = ["--frame", "96x128", "--golden", "synthetic"]
    return run("export", path, "-o", target, *frame, "--precision", "int8", *more)  # fmt: skip


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ((), "with --calibrate"),
        (("--quantise-only",), "give --calibrate DIR"),
        (("--calibrate", "{train}", "--max-flips", "-1"), "-1 flips"),
        (("--calibrate", "{train}", "--max-auroc-drop", "2"), "AUROC drop of at most 2"),
        (("--calibrate", "{held_back}"), "got 0 of the 8 pictures"),
        (("--calibrate", "{train}", "--precision", "fp32"), "expected int8 alone"),
        (("--calibrate", "missing"), "missing"),
    ],
)  # fmt: skip
def test_refusals_end_with_exit_code_2(more, named, model_paths, pictures, tmp_path, capfd):  # fmt: skip
    folders = {name: pictures / name for name in ("train", "held_back")}
    given = [text.format(**folders) for text in more]
    model = tmp_path / "part.safetensors"
    shutil.copyfile(model_paths["padim"], model)
    assert exporting(model, tmp_path / "part.anomedge", *given) == 2
    assert named in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [model.name]


@pytest.mark.slow
def test_an_unreachable_budget_ends_with_exit_code_3(model_paths, pictures, tmp_path, capfd):  # fmt: skip
    model = tmp_path / "part.safetensors"
    shutil.copyfile(model_paths["padim"], model)
    given = ["--calibrate", pictures / "train", "--refit-on", pictures / "held_back"]  # fmt: skip
    given += ["--calibrate", pictures / "held_back", "--max-auroc-drop", "0"]
    assert exporting(model, tmp_path / "part.anomedge", *given) == 3
    assert "layers with most noise" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [model.name]


@pytest.fixture
def folder(int8_folders, tmp_path):
    """A copy of an INT8 bundle with its models."""
    return shutil.copytree(int8_folders["patchcore"], tmp_path / "int8")


@pytest.mark.slow
def test_commands_run_the_only_precision_of_a_bundle(folder, pictures, capfd):
    bundle = folder / "part.anomedge"
    for arguments in (
        ("verify", bundle, "--batch", "1"),
        ("predict", bundle, pictures / "test", "--json"),
        ("evaluate", bundle, pictures / "test"),
        ("bench", bundle, "--rounds", "1", "--batch", "1", "--no-memory"),
        ("inspect", bundle, "--graph"),
        ("inspect", folder / "part.int8.safetensors"),
        ("threshold", bundle, "--normal", pictures / "held_back", "--rate", "0.2"),
    ):  # fmt: skip
        assert run(*arguments) == 0, capfd.readouterr().err
    said = capfd.readouterr().out
    assert said.count("layers quantised on 8 pictures") == 2
    assert said.count("int8 is not faster there") == 2
    assert chosen_precision(Bundle.open(bundle), None) == "int8"
    assert chosen_precision(Bundle.open(bundle), "fp32") == "fp32"


def test_fp32_is_the_default_where_a_bundle_has_it(bundle_paths):
    assert chosen_precision(Bundle.open(bundle_paths["padim"]), None) == "fp32"


@pytest.mark.slow
def test_the_python_api_names_the_precision(folder):
    bundle = folder / "part.anomedge"
    for call in (Inspector.open, assert_parity):
        with pytest.raises(BundleError, match="expected one of: int8"):
            call(bundle)


@pytest.mark.slow
def test_verify_compares_with_both_models(folder, pictures, capfd):
    given = ["verify", folder / "part.anomedge", "--model", folder / "part.int8.safetensors", "--batch", "1"]  # fmt: skip
    float_model = ["--float-model", folder / "part.safetensors"]
    assert run(*given, *float_model, "--images", pictures / "train") == 0
    assert "0 of 8 labels differ" in capfd.readouterr().err
    assert run(*given, *float_model) == 2
    assert "without --model or --images" in capfd.readouterr().err


@pytest.mark.slow
def test_verify_refuses_the_float_model_as_the_original(folder, capfd):
    given = ["verify", folder / "part.anomedge", "--batch", "1"]
    assert run(*given, "--model", folder / "part.safetensors") == 2
    assert "part.safetensors" in capfd.readouterr().err


@pytest.mark.slow
def test_inspect_and_report_show_the_quantisation(folder, tmp_path, capfd):
    assert run("inspect", folder / "part.int8.safetensors", "--json") == 0
    content = json.loads(capfd.readouterr().out)
    assert content["quantisation"]["flips"] == 0
    page = tmp_path / "page.html"
    assert run("report", folder / "part.anomedge", "-o", page, "--batch", "1", "--no-bench", "--pictures", "0") == 0  # fmt: skip
    assert "layers quantised on 8 pictures" in page.read_text()
