"""Output: a reader that leaves early, and text that cannot steer a terminal."""

import subprocess
import sys


def test_a_reader_that_leaves_early_is_no_error(copy):
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"'{sys.executable}' -m anomedge inspect '{copy}' --json | head -c 1",
        ],
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr
