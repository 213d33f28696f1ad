"""Records before a crash are kept, and a crash, a limit and missing libraries are named."""

import subprocess

import pytest

from anomedge.doctor import processes
from anomedge.doctor.processes import ask, missing_libraries
from tests.doctor.fakes import CRASHING, HANGING, install


def test_a_crash_keeps_what_came_before(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, CRASHING)
    answer = ask(["probe", "tensorrt"], 60)
    assert [line["doctor"]["value"] for line in answer.lines] == [
        "10.3.0, imports"
    ]
    assert "ended by SIGSEGV" in answer.end


def test_a_hanging_vendor_is_stopped(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, HANGING)
    answer = ask(["probe", "tensorrt"], 1)
    assert (answer.lines, answer.end) == ((), "no answer within 1 s")


def test_output_of_vendors_is_no_record(monkeypatch):
    def run(command, **options):
        output = b'noise\n{"doctor": {"a": 1}}\n{"doctor": {"cut'
        return subprocess.CompletedProcess(command, 3, output, b"libx.so.1: cannot open shared object file\nlast words")  # fmt: skip

    monkeypatch.setattr(processes.subprocess, "run", run)
    answer = ask(["probe", "x"], 1)
    assert answer.lines == ({"doctor": {"a": 1}},)
    assert answer.end == "its process ended with 3: last words"
    assert answer.missing == ("libx.so.1",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("libcudnn.so.9 is missing; it comes with cuDNN", ("libcudnn.so.9",)),
        ("libnvinfer.so.10: cannot open shared object", ("libnvinfer.so.10",)),
        ("libfine.so.1 loaded", ()),
    ],
)
def test_names_of_missing_libraries(text, names):
    assert missing_libraries(text) == names
