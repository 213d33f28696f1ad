"""`anomedge inspect MODEL --device`, as a person and as a machine use it."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from anomedge.budget import available, load
from anomedge.budget.summary import budget_of
from anomedge.budget.tracing import network_of
from tests.commands.running import run
from tests.conftest import FRAME

ROOT = Path(__file__).parents[2]
SIZE = f"{FRAME[0]}x{FRAME[1]}"


def test_the_budget_for_people(model_paths, detector, capsys):
    model = model_paths[detector]
    assert (
        run(
            "inspect",
            model,
            "--device",
            "jetson-orin-nano",
            "--frame",
            SIZE,
            "--batch",
            "4",
        )
        == 0
    )
    shown = capsys.readouterr().out
    for part in (
        f"{detector} on test_efficientnet",
        "NVIDIA Jetson Orin Nano 8GB",
        "1.28 TFLOP/s  1024 CUDA cores x 2 x 625 MHz",
        "source: NVIDIA Jetson Orin Nano Series Data Sheet",
        "model.onnx",
        "openvino/",
        "alive at once, the largest",
        "% of the device's; under ONNX Runtime",
        f"frames of {SIZE}; batch 4; float32",
        "preprocessed",
        "anomaly_map",
        "ms a frame",
        "to change:",
    ):
        assert part in shown, part


@pytest.mark.slow
def test_a_long_path_breaks_no_line(model_paths, tmp_path, capsys):
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    model = shutil.copy(model_paths["padim"], folder / "model.safetensors")
    command = ["inspect", model, "--device", "intel-n100", "--frame", SIZE]
    assert run(*command) == 0
    assert "padim on test_efficientnet" in capsys.readouterr().out


@pytest.mark.slow
def test_the_budget_for_machines(model_paths, detector, capsys):
    model = model_paths[detector]
    assert (
        run(
            "inspect",
            model,
            "--device",
            "intel-n100",
            "--frame",
            SIZE,
            "--json",
        )
        == 0
    )
    shown = json.loads(capsys.readouterr().out)
    assert (shown["detector"], shown["frame"], shown["batch"]) == (
        detector,
        list(FRAME),
        1,
    )
    assert (
        shown["device"]["bandwidth"]["value"] == 38.4e9
        and shown["device"]["bandwidth"]["source"]
    )
    assert shown["files"]["all"] == sum(
        size for name, size in shown["files"].items() if name != "all"
    )
    memory = shown["memory"]
    assert memory["peak"] == max(memory["opening"], memory["running"])
    parts = sum(
        memory[part]
        for part in (
            "constants",
            "copies",
            "freed",
            "inputs",
            "arena",
            "session",
        )
    )
    assert memory["running"] == parts - memory["reused"]
    device = load("intel-n100")
    for stage in shown["stages"]:
        limits = (
            stage["flops"] / device.fp32.value,
            stage["bytes"] / device.bandwidth.value,
        )
        assert stage["milliseconds"] == pytest.approx(1000 * max(limits))
        assert stage["held_by"] == (
            "arithmetic" if limits[0] >= limits[1] else "memory"
        )
        assert stage["bytes"] == stage["weights"] + stage["moved"]
    assert shown["milliseconds"] == pytest.approx(
        sum(stage["milliseconds"] for stage in shown["stages"])
    )
    assert shown["milliseconds_without_cache"] >= shown["milliseconds"]
    assert isinstance(shown["suggestions"], list)


@pytest.mark.slow
def test_a_batch_shares_the_constants(models):
    budgets = [
        budget_of(network_of(models["padim"], FRAME, batch), FRAME, batch)
        for batch in (1, 8)
    ]
    times = [budget.milliseconds(load("jetson-agx-orin")) for budget in budgets]
    assert times[1] < times[0]


@pytest.mark.slow
def test_a_frame_is_assumed_and_said_so(model_paths, capsys):
    assert run("inspect", model_paths["padim"], "--device", "jetson-thor") == 0
    assert (
        "frames of 1080x1920, assumed (--frame); batch 1"
        in capsys.readouterr().out
    )


@pytest.mark.slow
def test_a_board_of_ones_own(model_paths, tmp_path, capsys):
    own = load("intel-n100").model_copy(
        update={"title": "the box under the belt"}
    )
    path = tmp_path / "box.json"
    path.write_text(own.model_dump_json())
    assert (
        run("inspect", model_paths["padim"], "--device", path, "--frame", SIZE)
        == 0
    )
    shown = capsys.readouterr().out
    assert "the box under the belt" in shown
    assert "of the device's" not in shown  # nobody said how much memory it has


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["MODEL", "--device", "jetson"],
            "got device 'jetson'; expected one of: intel-core-i3-n305,",
        ),
        (["MODEL", "--device", "none.json"], "none.json cannot be read"),
        (["MODEL", "--batch", "2"], "without --device"),
        (["MODEL", "--frame", "9x9"], "without --device"),
        (
            ["MODEL", "--device", "intel-n100", "--frame", "9"],
            "expected height x width",
        ),
        (
            ["MODEL", "--device", "intel-n100", "--frame", "0x9"],
            "between 1 and 16384",
        ),
        (["MODEL", "--device", "intel-n100", "--batch", "0"], "batch"),
        (
            ["BUNDLE", "--device", "intel-n100"],
            "a budget is made before the export",
        ),
        (["missing", "--device", "intel-n100"], "missing cannot be read"),
    ],
)
def test_wrong_use(model_paths, bundle_paths, arguments, said, capfd):
    places = {"MODEL": model_paths["padim"], "BUNDLE": bundle_paths["padim"]}
    assert (
        run(
            "inspect",
            *(places.get(argument, argument) for argument in arguments),
        )
        == 2
    )
    assert said in " ".join(capfd.readouterr().err.split())


@pytest.mark.slow
def test_the_figures_are_in_the_wheel(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(
        ROOT / "anomedge",
        source / "anomedge",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        source,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        f"anomedge/budget/devices/{name}.json" for name in available()
    } <= names
