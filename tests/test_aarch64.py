"""The parts of the emulated check that run without an emulator, and the files of the device kits."""

import configparser
import json
import re
import runpy
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"
KITS = ROOT / "runtimes"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield runpy.run_path(str(SCRIPTS / "check-aarch64"))


@pytest.fixture
def emulated(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import _emulated

    return _emulated


def result(label, score):
    return {"label": label, "score": score}


def test_equal_labels_pass_and_state_the_largest_difference(script):
    here = [result("normal", 1.0), result("anomalous", 4.0)]
    there = [result("normal", 1.0), result("anomalous", 4.0004)]
    outcome, note = script["compared"](here, there)
    assert outcome == "passed"
    assert "2 of 2 labels" in note
    assert "1.0e-04" in note


@pytest.mark.parametrize(
    "there",
    [[], [result("normal", 1.0)], [result("normal", 1.0), result("normal", 4)]],
)
def test_missing_results_and_other_labels_fail(script, there):
    here = [result("normal", 1.0), result("anomalous", 4.0)]
    assert script["compared"](here, there)[0] == "FAILED"


def test_notes_describe_the_output_of_verify_and_bench(script):
    cell = {
        "pictures": 14,
        "batch": 1,
        "score_error": 2e-6,
        "map_error": 3e-6,
        "flips": [],
    }
    stage = {"kind": "stage", "passed": True}
    certificate = {"cells": [cell], "checks": [stage, {"kind": "bundle"}]}
    note = script["certificate_note"](certificate)
    assert note == (
        "14 golden pictures, batch 1: score 2.0e-06, map 3.0e-06 of the scale, "
        "0 flips, 1 of 1 stages"
    )
    rows = [
        {"runtime": "onnxruntime", "median": 2.0},
        {"runtime": "openvino", "median": 3.0},
    ]
    assert "onnxruntime 1.00, openvino 1.50" in script["bench_note"](rows)
    assert script["_parsed"]("no JSON", script["bench_note"]) == ""


def test_a_failed_command_states_its_last_line(script):
    done = subprocess.CompletedProcess([], 3, "", "first\nerror: flips")
    step = script["_step"]("verify ort", done, 1.0, "14 pictures")
    assert step.outcome == "FAILED"
    assert step.note == "14 pictures; exit code 3: error: flips"


def test_the_report_has_a_date_and_versions(script, tmp_path):
    bundle = tmp_path / "part.anomedge"
    bundle.mkdir()
    manifest = {"digest": "ab" * 32, "input": {"height": 480, "width": 640}}
    (bundle / "manifest.json").write_text(json.dumps(manifest))

    class Device:
        def versions(self):
            return {"onnxruntime": "1.99"}

    run = script["Emulation"](Device(), tmp_path, bundle, tmp_path)
    steps = [script["Step"]("verify ort", "passed", 12.4, "0 flips")]
    page = script["report"](run, steps)
    assert re.match(r"# Emulated aarch64, \d{4}-\d\d-\d\d\n", page)
    assert "| onnxruntime | 1.99 |" in page
    assert "frames 480x640" in page
    assert "| verify ort | passed | 12 | 0 flips |" in page


def test_the_processor_is_stated_for_libraries_that_read_it(emulated, tmp_path):
    emulated.state_processor(tmp_path)
    text = (tmp_path / "proc" / "cpuinfo").read_text()
    assert text.count("CPU part\t: 0xd0b") == text.count("processor\t:")
    cpu = tmp_path / "sys/devices/system/cpu/cpu0/regs/identification"
    assert int((cpu / "midr_el1").read_text(), 16) >> 4 & 0xFFF == 0xD0B


def test_the_launcher_runs_emulated_python(emulated, tmp_path, monkeypatch):
    """A stand-in for the emulator prints its arguments."""
    emulator = tmp_path / "emulator"
    emulator.write_text('#!/bin/sh\necho "$@" "$PYTHONHOME"\n')
    emulator.chmod(0o755)
    monkeypatch.setattr(emulated, "_emulator", lambda folder: emulator)
    monkeypatch.setattr(emulated, "_root", lambda folder: folder / "root")
    monkeypatch.setattr(emulated, "_site", lambda folder, *more: folder)
    device = emulated.prepare(tmp_path / "device", ["ort"], [])
    done = subprocess.run(
        [device.python, "-m", "anomedge"], capture_output=True, text=True
    )
    root = tmp_path / "device" / "root"
    assert f"-0 {device.python} -L {root}" in done.stdout
    assert done.stdout.endswith(f"python3.11 -m anomedge {root}/usr\n")


def test_the_clone_is_run_and_not_a_wheel_of_it(emulated, tmp_path):
    for name in ("anomedge", "numpy"):
        with zipfile.ZipFile(tmp_path / f"{name}-1-x.whl", "w") as archive:
            archive.writestr(f"{name}.py", "")
        emulated._unpack(tmp_path / f"{name}-1-x.whl", tmp_path)
    assert (tmp_path / "numpy.py").exists()
    assert not (tmp_path / "anomedge.py").exists()


def test_a_missing_compiler_or_source_is_a_reason(
    emulated, tmp_path, monkeypatch
):
    import _native_aarch64

    device = emulated.Device(tmp_path, tmp_path, tmp_path, tmp_path)
    monkeypatch.setattr(_native_aarch64, "SOURCES", tmp_path)
    with pytest.raises(_native_aarch64.Skipped, match="no native runner"):
        _native_aarch64.run_native(
            device, "openvino", tmp_path, tmp_path, tmp_path
        )
    (tmp_path / "CMakeLists.txt").touch()
    monkeypatch.setattr(_native_aarch64.shutil, "which", lambda name: None)
    with pytest.raises(_native_aarch64.Skipped, match="is not installed"):
        _native_aarch64.run_native(
            device, "openvino", tmp_path, tmp_path, tmp_path
        )
    monkeypatch.setattr(_native_aarch64.shutil, "which", lambda name: name)
    with pytest.raises(_native_aarch64.Skipped, match="has no openvino"):
        _native_aarch64.run_native(
            device, "openvino", tmp_path, tmp_path, tmp_path
        )
    (tmp_path / "onnxruntime").mkdir()
    monkeypatch.setattr(_native_aarch64, "HEADERS", tmp_path)
    with pytest.raises(_native_aarch64.Skipped, match="libonnxruntime-dev"):
        _native_aarch64.run_native(
            device, "onnxruntime", tmp_path, tmp_path, tmp_path
        )


def test_the_native_runner_is_compared_with_this_machine(emulated):
    from _native_aarch64 import compare

    from anomedge.conformance.client import Answer

    values = np.ones((2, 3), np.float32)
    expected = [SimpleNamespace(label="normal", score=4.0, anomaly_map=values)]

    def note(score=4.0, label="normal", map_error=0.0):
        answer = Answer(np.array([score]), (label,), values + map_error)
        return compare(expected, [answer], scale=2.0)

    assert "1 of 1 labels" in note()
    assert "score 5.0e-06" in note(score=4.00001)
    with pytest.raises(RuntimeError, match="expected normal"):
        note(label="anomalous")
    with pytest.raises(RuntimeError, match="at most"):
        note(score=4.001)
    with pytest.raises(RuntimeError, match="at most"):
        note(map_error=np.float32(0.001))
    with pytest.raises(RuntimeError, match="exit code 2"):
        compare(expected, [Answer.refused("exit code 2: error")], 2.0)


class Unit(configparser.RawConfigParser):
    """A unit file of systemd, in which keys may repeat."""

    def __init__(self, path):
        super().__init__(strict=False, interpolation=None)
        self.optionxform = str
        self.read_string(path.read_text())


def test_the_unit_runs_the_command_with_a_watchdog():
    service = Unit(KITS / "anomedge@.service")["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert service["Restart"] == "always"
    assert " watch " in service["ExecStart"]
    example = (KITS / "station.env").read_text()
    names = set(re.findall(r"^([A-Z]+)=", example, flags=re.MULTILINE))
    used = set(re.findall(r"\$\{?([A-Z_]+)", service["ExecStart"]))
    assert used - {"STATE_DIRECTORY"} == names


@pytest.mark.parametrize("kit", ["intel", "jetson"])
def test_each_kit_has_an_offline_container_and_groups(kit):
    steps = (KITS / kit / "Containerfile").read_text()
    assert "--no-index" in steps
    assert "--require-hashes" in steps
    assert "USER anomedge" in steps
    service = Unit(KITS / kit / "service.conf")["Service"]
    assert {"video", "render"} == set(service["SupplementaryGroups"].split())
