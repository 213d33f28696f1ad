"""The export as a program of its own."""

import subprocess
import sys


def test_the_export_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "anomedge.export", "--help"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Usage: python -m anomedge.export [OPTIONS]" in done.stdout
    assert "--frame" in done.stdout
