"""The benchmark of imports, without anomalib: cases, staged pictures, arithmetic, tables."""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SCRIPT = BENCHMARKS / "import_anomalib.py"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def record(**changed):
    from _import.cases import Case

    given = {
        "case": Case("2.7.0", "padim", "bottle").asked(),
        "import": {"code": 0, "seconds": 3.21, "last": ""},
        "export": {"code": 0, "seconds": 41.4, "last": ""},
        "compared": {
            "score": 2e-6,
            "map": 3e-5,
            "exact": 4e-6,
            "own": 5e-5,
            "pictures": 68,
            "anomalous": 34,
            "tied": 1,
            "flips": {
                "labels": [0, 0],
                "onnxruntime": [0, 0],
                "openvino": [0, 1],
                "their onnx": [5, 0],
            },
        },
        "deployed": {
            "onnx": {"labels": [], "shift": 0.04, "note": "frozen at batch 2"},
            "openvino": {"failed": "RuntimeError: no"},
        },
    }
    return given | changed


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_case_has_its_own_name():
    from _import.cases import VERSIONS, cases

    every = cases(quick=False)
    assert len({case.name for case in every}) == len(every)
    assert {case.version for case in every} == set(VERSIONS)
    assert {case.version for case in cases(quick=True)} == {"2.7.0"}


def test_the_native_table_shows_errors_proof_and_times():
    from _import.table import native

    lines = native([record()]).splitlines()
    assert cells(lines[-1]) == [
        *("2.7.0", "padim", "bottle", "tf_efficientnet_lite0"),
        *("2.0e-06", "3.0e-05", "4.0e-06", "5.0e-05", "passed", "3.2", "41"),
    ]
    assert lines[0].count("|") == lines[-1].count("|")


def test_generic_models_have_a_row_each():
    from _import.table import generic

    measured = {"model": "Stfpm", "route": "strict", "batch": "any"} | {
        "ort": 2e-6, "ov": 3e-6, "mb": 22.4, "operators": ["Einsum"],
    }  # fmt: skip
    failed = {"model": "Csflow", "failed": "ModelError: downloads"}
    lines = generic([measured, failed]).splitlines()
    assert cells(lines[2]) == [
        *("Stfpm", "strict", "any", "2.0e-06", "3.0e-06", "22", "Einsum"),
    ]
    assert cells(lines[3])[:2] == ["Csflow", "ModelError: downloads"]


def test_every_model_that_can_be_made_is_measured():
    from _import.cases import GENERIC
    from _shared.anomalib_checkpoints import CASES

    assert set(GENERIC) == set(CASES)


def test_flips_of_every_way_of_deciding_are_shown_and_summed():
    from _import.table import decisions

    lines = decisions([record(), record(deployed={})]).splitlines()
    assert cells(lines[2])[4:] == [
        *("68", "34", "1", "0", "0", "0 + 1 tied"),
        *("5; score off by 4.0e-02 (frozen at batch 2)", "does not run"),
    ]
    assert cells(lines[3])[-2:] == ["no file", "no file"]
    assert cells(lines[-1])[4:] == [
        *("**136**", "**68**", "**2**"),
        *("**0 of 136**", "**0 of 136**", "**0 + 2 tied of 136**"),
        *("**10 of 136**", "**0 of 0**"),
    ]


def test_wider_tolerances_are_stated():
    from _import.table import failures, native

    widened = record(
        export={"code": 0, "seconds": 1.0, "last": "", "widened": 2}
    )
    assert "passed, `--widen 2`" in native([widened])
    assert failures([widened]) == []


@pytest.mark.parametrize(
    ("ends", "commands"),
    [
        ([(3, "off by 1e-04; --widen 2 allows for it"), (0, "")], 2),
        ([(3, "2 labels flipped")], 1),
        ([(0, "")], 1),
    ],
)
def test_a_bundle_is_exported_again_with_the_factor_that_is_named(
    monkeypatch, ends, commands
):
    from _import import ours

    given = []

    def command(*arguments):
        code, last = ends[len(given)]
        given.append(arguments)
        return {"code": code, "last": last}

    monkeypatch.setattr(ours, "command", command)
    done = ours._exported("model", "-o", "bundle")
    assert len(given) == commands
    assert given[1:] in ([], [(*given[0], "--widen", "2")])
    assert done.get("widened") == (2 if commands == 2 else None)


def test_an_error_over_the_bar_a_failed_proof_and_a_flip_are_failures():
    from _import.table import failures, native

    compared = record()["compared"]
    far = record(compared=compared | {"exact": 2e-5})
    near = record(compared=compared | {"map": 1e-6, "exact": 2e-5})
    flipped = record(compared=compared | {"flips": {"openvino": [2, 1]}})
    unproven = record(export={"code": 3, "seconds": 1.0, "last": "label"})
    absent = {"case": record()["case"], "failed": "does not install"}
    name = "2.7.0-padim-bottle"
    assert failures([record(), near]) == []
    assert failures([far, flipped, unproven, absent]) == [
        f"{name}: error 2.0e-05 over 1e-05",
        f"{name}: 2 labels of openvino differ",
        f"{name}: export: label",
        f"{name}: does not install",
    ]
    assert "**over**" in native([far])
    assert "not imported" in native([absent])


def test_missing_files_of_anomalib_are_listed_with_reasons():
    from _import.table import unavailable

    assert unavailable([record()]) == (
        "- 2.7.0-padim-bottle, openvino: RuntimeError: no"
    )
    assert unavailable([record(deployed={})]) == ""


def test_a_picture_at_the_threshold_is_tied():
    from _import.compare import tied

    ours = {"threshold": np.array(10.0), "scale": np.array(2.0)}
    scores = np.array([9.9, 10.0, 10.0007, 10.001])
    assert tied(scores, ours).tolist() == [False, True, True, False]


def test_errors_are_shares_of_anomalibs_range():
    from _import.compare import errors, share

    maps = np.array([[0.0, 8.0]])
    theirs = {"scores": np.array([0.0, 4.0]), "maps": maps, "mapped": [1, 1]}
    ours = {"scores": np.array([0.0, 5.0]), "maps": maps + np.array([0.4, 0.0])}
    exact = {
        "scores": np.array([5.0, 7.0]),
        "maps": maps + np.array([0.8, 0.0]),
    }
    assert errors(ours, theirs, exact) == pytest.approx(
        {"score": 0.25, "map": 0.05, "exact": 1.0, "own": 1.5}
    )
    with pytest.raises(ValueError, match=r"got \(2,\) beside \(1, 2\)"):
        share(np.zeros(2), np.zeros((1, 2)))


def test_pictures_are_linked_once_under_unique_names(tmp_path):
    from _import.pictures import listed, staged

    source = tmp_path / "data" / "cookies"
    for name in (
        "train/good/1.jpg",
        "train/good/2.jpg",
        "test/good/1.jpg",
        "test/chip/1.jpg",
        "test/chip/2.jpg",
        "ground_truth/chip/2_mask.png",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode())
    for _ in range(2):
        folder = staged(tmp_path / "data", "cookies", tmp_path / "work", 1)
    names = [str(path.relative_to(folder)) for path in listed(folder)]
    assert names == [
        *("all/test/chip-1.jpg", "all/test/chip-2.jpg"),
        *("all/test/good-1.jpg", "all/train/1.jpg"),
    ]
    assert (folder / "masked" / "chip-2.jpg").read_bytes() == b"test/chip/2.jpg"
    assert [path.name for path in (folder / "masks").iterdir()] == [
        "chip-2.png"
    ]
    with pytest.raises(SystemExit, match="has no train/good; expected"):
        staged(tmp_path, "bottle", tmp_path / "work", 1)


def test_a_version_is_installed_once(tmp_path, monkeypatch):
    from _import import environment

    commands = []

    def run(command, **_):
        commands.append(command)
        (tmp_path / "2.3.3").mkdir(exist_ok=True)

    monkeypatch.setattr(environment.subprocess, "run", run)
    for _ in range(2):
        found = environment.overlay_of(tmp_path, "2.3.3", Path("python"))
    assert found == tmp_path / "2.3.3"
    assert len(commands) == 1
    assert "anomalib==2.3.3" in commands[0]
    assert environment.overlay_of(tmp_path, "2.7.0", Path("python")) is None


def test_an_unknown_case_is_refused():
    from import_anomalib import chosen_cases

    given = {"quick": True, "only": ["2.7.0-padim-bottle"]}
    [case] = chosen_cases(argparse.Namespace(**given))
    assert case.model == "padim"
    with pytest.raises(SystemExit, match="got --only x; expected some of"):
        chosen_cases(argparse.Namespace(quick=True, only=["x"]))


def test_the_script_explains_itself():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "--data" in done.stdout
