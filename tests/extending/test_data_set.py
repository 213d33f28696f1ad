"""A layout of data sets from an installed distribution: every command reads it, with no other file edited."""

import json
import subprocess
import sys

from tests.extending.distribution import (
    environment_with,
    install_example_of_the_page,
)
from tests.images.layouts import photo


def test_the_example_of_the_page_reads_a_data_set(tmp_path):
    site = install_example_of_the_page(
        tmp_path / "site",
        "DataSetLayout",
        "anomedge.datasets",
        "by-name = by_name:ByName",
    )
    for name in ("ok-1", "ok-2", "dent-1"):
        photo(tmp_path / "set" / f"{name}.png")
    (tmp_path / "set/by-name.txt").touch()
    code = (
        "import json, sys; from pathlib import Path\n"
        "from anomedge.images import select_normal\n"
        "found = select_normal(Path(sys.argv[1]))\n"
        "names = [picture.name for picture in found.pictures]\n"
        "print(json.dumps([names, found.left_out]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, tmp_path / "set"],
        capture_output=True,
        text=True,
        env=environment_with(site),
    )
    assert done.returncode == 0, done.stderr
    names, left_out = json.loads(done.stdout)
    assert names == ["ok-1.png", "ok-2.png"]
    assert left_out == {"anomalous": 1}
