"""The browser page and the Node client decide as `Inspector`; all computation is local."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from anomedge import Inspector
from anomedge.bundle import Bundle
from anomedge.conformance import ClientCommand, examine
from benchmarks._clients.page import install_page, missing_for_page, served
from tests.conftest import FRAME, build_once
from tests.documentation import ROOT


@pytest.fixture(scope="session")
def page(tmp_path_factory) -> Path:
    """A copy of the page's folder with its packages."""
    missing = missing_for_page()
    if missing is not None:
        pytest.skip(f"{missing} is not installed here")

    def install(folder):
        install_page(folder / "page")

    return build_once(tmp_path_factory, "browser", install) / "page"


@pytest.mark.slow
def test_the_node_client_conforms(page, bundle_paths):
    client = ClientCommand(
        f"node {page / 'node-client.js'} {{bundle}} {{raw}} --map {{map}}", 120
    )
    path = bundle_paths["patchcore"]
    with Inspector.open(path, runtime="onnxruntime") as inspector:
        result = examine(inspector, client, most=2, raw=True, maps=True)
    assert result.findings == ()


@pytest.mark.slow
def test_the_page_shows_the_verdict_and_refuses_a_changed_bundle(
    page, bundle_paths, tmp_path
):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed here")
    path = bundle_paths["patchcore"]
    changed = Path(shutil.copytree(path, tmp_path / "changed"))
    with (changed / "golden" / "score.npy").open("ab") as file:
        file.write(b"x")
    picture = path / "golden" / "003.png"
    shutil.copyfile(ROOT / "tests" / "drive_page.js", page / "drive_page.js")
    with served(page) as url:
        done = subprocess.run(
            ["node", "drive_page.js", chromium, url, path, picture, tmp_path / "page.png", changed],
            cwd=page,
            capture_output=True,
            text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    with Inspector.open(path, runtime="onnxruntime") as inspector:
        expected = inspector.predict(picture)
    assert first["verdict"]["label"] == expected.label
    assert first["verdict"]["score"] == pytest.approx(expected.score, rel=1e-5)
    # Borders are one pixel wide.
    (height, width), geometry = FRAME, Bundle.open(path).manifest.geometry
    shares = np.divide(geometry.image, geometry.size)
    part = width / height * shares[1] / shares[0]
    assert first["aspects"] == pytest.approx([width / height, part], abs=0.01)
    assert "SHA-256" in second["message"]
    assert second["verdict"] is None
    assert first["foreign"] == second["foreign"] == []
