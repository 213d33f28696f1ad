"""A synthetic defect from an installed distribution: a fit plants it, with no other file edited."""

import json
import subprocess
import sys

from tests.extending.distribution import (
    environment_with,
    install_example_of_the_page,
)


def test_the_example_of_the_page_is_planted(tmp_path):
    site = install_example_of_the_page(
        tmp_path / "site",
        "SyntheticDefect",
        "anomedge.synthetic_defects",
        "hole = holes:Hole",
    )
    code = (
        "import json, numpy as np\n"
        "from anomedge.images import Picture\n"
        "from anomedge.pipelines.sensitivity import PlantedBatches, plan_defects\n"
        "from anomedge.resample import Geometry\n"
        "pixels = np.full((40, 50, 3), 128, np.uint8)\n"
        "pictures = [Picture(str(i), pixels=pixels) for i in range(12)]\n"
        "planned = [d for d in plan_defects(12, 0) if d.kind == 'hole']\n"
        "batches = PlantedBatches(pictures, planned, Geometry((40, 50)), 99)\n"
        "(images,) = batches\n"
        "print(json.dumps([len(planned), (images == 0).any(dim=1).sum((1, 2)).tolist()]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=environment_with(site),
    )
    assert done.returncode == 0, done.stderr
    count, black = json.loads(done.stdout)
    assert count == 10
    assert black == [16] * 10
