"""The lowest releases of pyproject.toml are read from it and, if a package index answers, installed and tested."""

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from anomedge.__main__ import application

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "check-floors"


def test_floors_are_read_from_the_project_file(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    floors = runpy.run_path(str(SCRIPT))["floors_of"](("ort", "report"))
    assert set(floors) == {
        "numpy",
        "pillow",
        "pydantic",
        "typer",
        "rich",
        "onnxruntime",
        "jinja2",
        "matplotlib",
    }
    text = (ROOT / "pyproject.toml").read_text()
    assert all(f'"{name}>={floor}"' in text for name, floor in floors.items())


def test_every_command_is_run(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    found = runpy.run_path(str(SCRIPT))["_commands"]()
    app = application()
    listed = {command.name for command in app.registered_commands}
    listed |= {group.name for group in app.registered_groups}
    assert set(found) == listed
    assert len(found) == len(listed)


@pytest.mark.slow
def test_the_floors_of_one_python_and_runtime_work():
    if not index_answers():
        pytest.skip("no package index answers here: nothing can be installed")
    command = [sys.executable, SCRIPT, "--python", "3.11", "--extra", "ort"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout or "skipped" in done.stderr


def index_answers():
    """Return whether the package index of pip accepts a connection."""
    setting = (
        os.environ.get("PIP_INDEX_URL")
        or pip_setting()
        or "https://pypi.org/simple"
    )
    address = urlsplit(setting)
    try:
        socket.create_connection(
            (address.hostname, address.port or 443), timeout=5
        ).close()
    except OSError:
        return False
    return True


def pip_setting():
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    return subprocess.run(
        command, capture_output=True, text=True
    ).stdout.strip()
