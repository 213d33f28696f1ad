"""TensorRT present, broken, crashing and absent."""

from anomedge.doctor.processes import ask
from tests.doctor.fakes import BROKEN, PRESENT, hide, install


def findings(answer):
    return [
        (line["doctor"]["value"], line["doctor"]["state"])
        for line in answer.lines
    ]


def test_present(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, PRESENT)
    answer = ask(["probe", "tensorrt"], 60)
    assert findings(answer) == [
        ("10.3.0, imports", "present"),
        ("made", "present"),
    ]
    assert answer.end == ""


def test_broken_names_the_missing_library(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, BROKEN)
    answer = ask(["probe", "tensorrt"], 60)
    [(value, state)] = findings(answer)
    assert state == "broken"
    assert "nvidia-l4t-dla-compiler" in value
    assert answer.missing == ("libnvdla_compiler.so",)


def test_absent(monkeypatch, tmp_path):
    hide(monkeypatch, tmp_path, "tensorrt")
    answer = ask(["probe", "tensorrt"], 60)
    assert findings(answer) == [("not installed", "absent")]


def test_a_runtime_that_is_not_made_is_a_fault(monkeypatch, tmp_path):
    none = PRESENT + "    def __bool__(self): return False\n"
    install(monkeypatch, tmp_path, none)
    answer = ask(["probe", "tensorrt"], 60)
    assert findings(answer)[-1] == ("TensorRT made none", "broken")
