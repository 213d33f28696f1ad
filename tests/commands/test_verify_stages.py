"""`anomedge verify --stages` as a person, a machine and a device use it."""

import json
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from anomedge.__main__ import application
from anomedge.bundle import Bundle
from anomedge.commands._exit_codes import run_to_exit_code
from tests.conftest import RUNTIMES
from tests.parity.planting import altered, rebuilt
from tests.test_architecture import VENDORS


def run(*arguments):
    return run_to_exit_code(
        lambda given: application()(given, prog_name="anomedge"),
        [str(a) for a in arguments],
    )


@pytest.fixture
def whole(detector, bundle_paths, tmp_path):
    return shutil.copytree(bundle_paths[detector], tmp_path / "part.anomedge")


@pytest.fixture
def spoilt(detector, bundle_paths, tmp_path):
    edit = altered("blocks.3.0.conv_pw.", lambda weights: weights * 1.01)
    return rebuilt(
        Bundle.open(bundle_paths[detector]), tmp_path / "spoilt.anomedge", edit
    ).path


def test_every_stage_is_shown(whole, capsys):
    assert run("verify", whole, "--stages", "--batch", "1") == 0
    shown = capsys.readouterr().out
    assert "each stage by itself" in shown
    assert "EXCEEDS" not in shown
    for name in Bundle.open(whole).manifest.stages:
        assert len(
            re.findall(
                rf"^ *\w+ +{re.escape(name)} .* within *$", shown, re.MULTILINE
            )
        ) == len(RUNTIMES), name
    for runtime in RUNTIMES:
        assert f"{runtime}: every stage is within its share" in shown


@pytest.mark.slow
def test_the_first_to_exceed_is_said_in_one_line(spoilt, capfd):
    assert (
        run(
            "verify",
            spoilt,
            "--stages",
            "--batch",
            "1",
            "--runtime",
            RUNTIMES[-1],
        )
        == 3
    )
    said = capfd.readouterr()
    lines = [
        line
        for line in said.out.splitlines()
        if "first to exceed its share" in line
    ]
    assert len(lines) == 1
    assert "features/blocks.3 (error " in lines[0]
    assert f"under {RUNTIMES[-1]}: look at the backbone's precision" in lines[0]
    assert "EXCEEDS" in said.out
    assert "first to exceed its share: features/blocks.3" in said.err


@pytest.mark.slow
def test_a_failed_proof_says_it_unasked(spoilt, capfd):
    assert run("verify", spoilt, "--batch", "1") == 3
    said = capfd.readouterr()
    first = said.err.split("the proof failed")[1].splitlines()[1]
    assert "first to exceed its share: features/blocks.3" in first


def test_machines_are_told_too(spoilt, tmp_path, capsys):
    junit = tmp_path / "parity.xml"
    arguments = [
        "--stages",
        "--json",
        "--batch",
        "1",
        "--runtime",
        RUNTIMES[0],
        "--junit",
        junit,
    ]
    assert run("verify", spoilt, *arguments) == 3
    certificate = json.loads(capsys.readouterr().out)
    (finding,) = certificate["findings"]
    assert (finding["stage"], finding["passed"], finding["runtime"]) == (
        "features/blocks.3",
        False,
        RUNTIMES[0],
    )
    wrong = [row for row in certificate["stages"] if not row["passed"]]
    assert [row["name"] for row in wrong] == ["features/blocks.3"]
    assert re.fullmatch(r"channel \d+, y \d+, x \d+", wrong[0]["where"])
    assert wrong[0]["picture"] in {
        entry.name for entry in Bundle.open(spoilt).manifest.golden
    }
    (case,) = (
        ET.parse(junit)
        .getroot()
        .findall(".//testcase[@name='fp32 stage by stage']")
    )
    failure = case.find("failure")
    assert failure is not None
    assert "features/blocks.3" in failure.attrib["message"]


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["patchcore"])
def test_on_the_host_against_eager(
    whole, model_paths, pictures, detector, capsys
):
    arguments = [
        "--model",
        model_paths[detector],
        "--images",
        pictures / "test",
        "--batch",
        "1",
        "--runtime",
        RUNTIMES[0],
        "--stages",
        "--json",
    ]
    assert run("verify", whole, *arguments) == 0
    certificate = json.loads(capsys.readouterr().out)
    assert certificate["reference"] == "eager torch"
    assert {row["passed"] for row in certificate["stages"]} == {True}


def test_runtimes_alone_know_no_stages(whole, pictures, capfd):
    assert (
        run(
            "verify",
            whole,
            "--images",
            pictures / "train",
            "--batch",
            "1",
            "--stages",
        )
        == 2
    )
    assert "has no stages" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["padim"])
def test_on_a_device_with_nothing_but_its_runtime(spoilt, runtime):
    blocked = [name for name in VENDORS if name not in RUNTIMES]
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked!r}:
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Block())
from anomedge.__main__ import application
from anomedge.commands._exit_codes import run_to_exit_code
arguments = ["verify", {str(spoilt)!r}, "--stages", "--batch", "1", "--runtime", {runtime!r}]
sys.exit(run_to_exit_code(lambda given: application()(given, prog_name="anomedge"), arguments))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "first to exceed its share: features/blocks.3" in done.stdout
