"""Options for drift and collected frames: their bounds and their names on the command line."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from anomedge.commands._observer_options import (
    Collect,
    CollectTo,
    DriftWindow,
    NoDrift,
)
from anomedge.station.drift.levels import LEAST_WINDOW, MOST_WINDOW


def given(*arguments):
    """Values of the options, or None where the command line is refused."""
    seen = {}
    application = typer.Typer(add_completion=False)

    @application.command()
    def watch(
        drift_window: DriftWindow = 64,
        no_drift: NoDrift = False,
        collect: Collect = None,
        collect_to: CollectTo = None,
    ) -> None:
        seen.update(locals())
        del seen["seen"]

    done = CliRunner().invoke(application, [str(word) for word in arguments])
    assert done.exit_code in (0, 2)
    return seen if done.exit_code == 0 else None


def test_all_options_may_be_left_out():
    assert given() == {
        "drift_window": 64,
        "no_drift": False,
        "collect": None,
        "collect_to": None,
    }


def test_names_on_the_command_line():
    found = given("--no-drift", "--collect", 40, "--collect-to", "kept")
    assert found["no_drift"] is True
    assert found["collect"] == 40
    assert found["collect_to"] == Path("kept")
    assert given("--drift") is None


@pytest.mark.parametrize(
    ("option", "least", "most"),
    [
        ("drift-window", LEAST_WINDOW, MOST_WINDOW),
        ("collect", 2, 100_000),
    ],
)
def test_numbers_outside_their_bounds_are_refused(option, least, most):
    name = option.replace("-", "_")
    assert given(f"--{option}", least)[name] == least
    assert given(f"--{option}", most)[name] == most
    for wrong in (least - 1, most + 1, "many", least + 0.5):
        assert given(f"--{option}", wrong) is None
