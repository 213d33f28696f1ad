"""No command looks up a name or leaves a file in the home folder; vendors would do both unless told not to."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import anomedge
from tests.conftest import FRAME

PACKAGE = Path(anomedge.__file__).parent
ELSEWHERE = {"runtimes/imports.py", "lint/workers/openvino_worker.py"}
# What makes vendors behave otherwise than on a user's machine, or was set for these tests.
UNSET = ("CI", "TF_BUILD", "JENKINS_URL", "ORT_DISABLE_TELEMETRY")
# A statistic that is sent after all ends at a closed port of this machine.
NOWHERE = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect"):
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {arguments}\\n")
sys.addaudithook(watch)
"""


@pytest.fixture
def quiet(tmp_path):
    """Run a command of Python's; returns its lookups and connections, and the files that it left in its home folder."""
    home, seen, traced = (
        tmp_path / "home",
        tmp_path / "seen",
        tmp_path / "traced",
    )
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    home.mkdir()
    kept = {
        name: value for name, value in os.environ.items() if name not in UNSET
    }
    path = os.pathsep.join([str(tmp_path / "site"), str(PACKAGE.parent)])

    def run(*arguments):
        command = [*_traced(traced), sys.executable, *map(str, arguments)]
        environment = (
            kept
            | NOWHERE
            | {"HOME": str(home), "WATCHED": str(seen), "PYTHONPATH": path}
        )
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        calls = seen.read_text().splitlines() if seen.exists() else []
        if traced.exists():
            calls += [
                line
                for line in traced.read_text().splitlines()
                if "AF_INET" in line
            ]
        return calls, sorted(
            str(file.relative_to(home))
            for file in home.rglob("*")
            if file.is_file()
        )

    return run


def _traced(target):
    """With strace, calls of the vendors' own code are seen as well; where it is missing or forbidden, Python's only."""
    strace = [
        shutil.which("strace"),
        "-f",
        "--seccomp-bpf",
        "-e",
        "trace=connect,sendto",
        "-o",
        str(target),
    ]
    if (
        strace[0] is None
        or subprocess.run([*strace, "true"], capture_output=True).returncode
    ):
        return []
    return strace


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_verify_looks_up_no_name(runtime, bundle_paths, quiet):
    assert quiet(
        "-m", "anomedge", "verify", bundle_paths["padim"], "--runtime", runtime
    ) == ([], [])


@pytest.mark.slow
def test_lint_and_export_look_up_no_name(
    bundle_paths, model_paths, pictures, quiet
):
    height, width = FRAME
    assert quiet(
        "-m",
        "anomedge",
        "lint",
        bundle_paths["padim"],
        "--target",
        "openvino-cpu",
    ) == ([], [])
    made = (
        "-m",
        "anomedge",
        "export",
        model_paths["padim"],
        "-o",
        "new.anomedge",
        "--frame",
        f"{height}x{width}",
    )
    assert quiet(*made, "--golden", pictures / "test") == ([], [])


@pytest.mark.slow
def test_fit_with_given_weights_looks_up_no_name(pictures, quiet):
    """Neither timm nor huggingface_hub is asked for weights that lie here."""
    fit = (
        "-m",
        "anomedge",
        "fit",
        "padim",
        pictures / "train",
        "-o",
        "part.safetensors",
        "--size",
        "64x64",
    )
    backbone = (
        "--backbone",
        "tf_efficientnet_lite0",
        "--weights",
        "efficientnet-lite0",
    )
    assert quiet(*fit, *backbone) == ([], [])


def test_vendors_would_without_being_told(quiet):
    """The watch sees what it is there for: OpenVINO's statistics, sent by a child process."""
    calls, files = quiet(
        "-c", "import openvino_telemetry, openvino, time; time.sleep(1)"
    )
    assert any("AF_INET" in call or "getaddrinfo" in call for call in calls)
    assert "intel/openvino_ga_cid" in files


def test_an_applications_own_import_stands(quiet):
    code = """
import sys, openvino_telemetry as own
from anomedge.runtimes.imports import import_openvino
assert import_openvino() is import_openvino()
assert sys.modules["openvino_telemetry"] is own
"""
    assert quiet("-c", code) == ([], [])


def test_vendors_that_report_are_imported_in_one_place():
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE).as_posix()
        if place not in ELSEWHERE:
            assert not {"openvino", "onnxruntime"} & _imported(file), (
                f"{place}: import it as runtimes/imports.py does"
            )


def _imported(file):
    statements = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import)
    ]
    return {alias.name for statement in statements for alias in statement.names}
