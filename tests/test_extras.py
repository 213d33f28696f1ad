"""Advice on extras."""

import re
from pathlib import Path

import tomllib

from anomedge.extras import install_advice

ROOT = Path(__file__).parents[1]


def test_a_device_is_told_of_its_wheel_and_a_host_of_its_clone():
    assert "scripts/wheelhouse --extra report" in install_advice("report")
    assert install_advice("train") == (
        "pip install '.[train]' in the clone of anomedge"
    )


def test_messages_name_extras_that_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    known = project["project"]["optional-dependencies"]
    calls = re.compile(r"""install_advice\(["'](\w+)["']\)""")
    named = {
        extra
        for file in (ROOT / "anomedge").rglob("*.py")
        for extra in calls.findall(file.read_text())
    }
    assert {"export", "ort", "report"} <= named <= set(known)
