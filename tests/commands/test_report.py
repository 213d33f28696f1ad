"""The verb report: a failed proof, and a machine without torch."""

import json
import shutil
import subprocess
import sys

import numpy as np

from anomedge.bundle import Bundle, write_manifest
from tests.commands.running import run
from tests.conftest import RUNTIMES
from tests.report.html import Page
from tests.report.station.logs import frame, write_log
from tests.test_architecture import VENDORS


def test_a_failed_proof_is_written_and_exits_with_3(
    bundle_paths, tmp_path, capfd
):
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    fields = Bundle.open(root).manifest.model_dump(exclude={"files", "digest"})
    scores = np.load(root / "golden" / "score.npy") * np.float32(1.01)
    np.save(root / "golden" / "score.npy", scores)
    (root / "manifest.json").unlink()
    write_manifest(root, fields)
    target = tmp_path / "report.html"
    arguments = [
        "report",
        root,
        "-o",
        target,
        "--batch",
        "1",
        "--runtime",
        RUNTIMES[0],
        "--no-bench",
        "--json",
    ]
    assert run(*arguments) == 3
    said = capfd.readouterr()
    assert json.loads(said.out) == {
        "report": str(target),
        "passed": False,
        "bytes": target.stat().st_size,
    }
    assert "the proof failed" in said.err
    page = Page(target.read_text(encoding="utf-8"))
    assert "✗ FAILED" in page.text
    assert "PROVEN" not in page.text
    assert (
        "off by" in page.text[: page.text.index("Threshold")]
    )  # the reasons come first
    assert any(
        "✗ not about this bundle" in row[-1]
        for row in page.rows
        if row and row[0] == "host.json"
    )
    assert run(*arguments) == 2  # and is not replaced without --force
    assert "--force" in capfd.readouterr().err
    assert run(*arguments, "--force") == 3


def test_without_torch_the_golden_frames_do(bundle_paths, tmp_path):
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {set(VENDORS) - {"onnxruntime", "openvino", "matplotlib", "jinja2"}!r}:
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Block())
from anomedge.__main__ import main
sys.argv = ['anomedge', 'report', {str(bundle_paths["padim"])!r}, '-o', {str(tmp_path / "r.html")!r}, '--batch', '1', '--no-bench']
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (
        "as golden frames on all"
        in Page((tmp_path / "r.html").read_text(encoding="utf-8")).text
    )


def test_a_log_of_a_station_has_a_page_of_its_own(tmp_path, capfd):
    log = write_log(tmp_path / "log", [frame(1, 5.0), frame(2, 50.0), "bad"])
    target = tmp_path / "station.html"
    assert run("report", "--station", log, "-o", target, "--json") == 0
    assert json.loads(capfd.readouterr().out) == {
        "report": str(target),
        "bytes": target.stat().st_size,
        "frames": 2,
        "bad_lines": 1,
    }
    page = Page(target.read_text(encoding="utf-8"))
    assert f"anomedge report --station {log}" in page.text
    assert run("report", "--station", log, "-o", target, "--force") == 0
    assert "1 of 3 lines are no events" in capfd.readouterr().out


def test_a_report_is_on_a_bundle_or_on_a_station(tmp_path, capfd):
    for arguments in (
        [],
        [tmp_path, "--station", tmp_path],
        [tmp_path, "--overlays", tmp_path],
    ):
        assert run("report", *arguments) == 2
        assert "error: got" in capfd.readouterr().err
