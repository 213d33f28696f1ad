"""A camera source from an installed distribution: `anomedge watch` finds it by its address, with no other file edited."""

import json
import subprocess
import sys

from tests.conftest import FRAME
from tests.extending.distribution import (
    environment_with,
    install_distribution,
)

SOURCE = f"""
import numpy as np

from anomedge.station import CapturedFrame, Source


class TestPattern(Source):
    name = "pattern"
    takes = frozenset({{"retries"}})
    address_help = "pattern://COUNT"
    live = True

    def __init__(self, count):
        self.title, self.count = f"{{count}} test patterns", count

    @classmethod
    def accepts(cls, address):
        return address.startswith("pattern://")

    @classmethod
    def open(cls, address, options):
        return cls(int(address.removeprefix("pattern://")))

    def events(self, stop):
        for number in range(1, self.count + 1):
            if stop.is_set():
                return
            pixels = np.full({(*FRAME, 3)}, 10 * number, np.uint8)
            yield CapturedFrame(number, f"pattern#{{number}}", pixels)
"""


def watch(folder, bundle, *arguments):
    command = [sys.executable, "-W", "error", "-m", "anomedge", "watch"]
    return subprocess.run(
        [*command, str(bundle), *arguments],
        capture_output=True,
        text=True,
        env=environment_with(folder),
        timeout=120,
    )


def test_watch_reads_an_installed_camera_source(bundle_paths, tmp_path):
    site = install_distribution(
        tmp_path / "site",
        "pattern_camera",
        SOURCE,
        {"anomedge.sources": "pattern = pattern_camera:TestPattern"},
    )
    done = watch(
        site, bundle_paths["padim"], "pattern://3", "--threads", "1",
        "--queue", "8", "--retries", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["source"] == "3 test patterns"
    frames = [line for line in lines if line["event"] == "frame"]
    assert [line["name"] for line in frames] == [
        "pattern#1",
        "pattern#2",
        "pattern#3",
    ]
    assert lines[-1]["frames"] == 3

    refused = watch(site, bundle_paths["padim"], "pattern://3", "--once")
    assert refused.returncode == 2
    assert "got --once with pattern://3, a pattern" in refused.stderr
    usage = " ".join(watch(site, "--help").stdout.split())
    assert "(camera, folder, gstreamer, pattern, stdin, v4l2, video)" in usage


def test_a_broken_installed_source_leaves_the_others_usable(
    bundle_paths, pictures, tmp_path
):
    site = install_distribution(
        tmp_path / "site",
        "broken_camera",
        "raise RuntimeError('no driver')",
        {"anomedge.sources": "broken = broken_camera:Camera"},
    )
    folder = pictures / "test" / "good"
    done = watch(
        site, bundle_paths["padim"], str(folder), "--once", "--threads", "1",
        "--runtime", "onnxruntime",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    unknown = watch(site, bundle_paths["padim"], "broken://1")
    assert unknown.returncode == 2
    assert "of broken_camera cannot be loaded" in unknown.stderr
