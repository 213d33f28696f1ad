"""A module runs with the paths of this process; the current folder is none of them."""

import subprocess
import sys

from anomedge.doctor.processes import ask
from anomedge.runtimes.own_process import command_of


def test_a_module_runs_as_a_program_with_its_arguments(tmp_path, monkeypatch):
    (tmp_path / "shown.py").write_text(
        "import sys\nprint(__name__, sys.argv[1:], sys.path)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    done = subprocess.run(
        command_of("shown", "a", "b"), capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == f"__main__ ['a', 'b'] {sys.path}\n"


def test_files_of_the_current_folder_are_not_imported(tmp_path, monkeypatch):
    """Such as a program of the user beside the bundle, or one that was planted there."""
    for name in ("tensorrt", "json", "runpy"):
        (tmp_path / f"{name}.py").write_text(
            "open('imported', 'w').close()\n__version__ = '10.0'\n"
        )
    monkeypatch.chdir(tmp_path)
    answer = ask(["probe", "tensorrt"], 60)
    assert answer.end == ""
    assert answer.lines
    assert not (tmp_path / "imported").exists()
