"""The browser page and the Node client decide as `Inspector`; all computation is local."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomedge import Inspector
from anomedge.bundle import Bundle
from anomedge.conformance import ClientCommand, examine
from benchmarks._clients.page import install_page, missing_for_page, served
from tests.conftest import FRAME, build_once
from tests.documentation import ROOT

ORIENTATION, ROTATED_BY_180 = 0x0112, 3


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
    turned, deep, clear = unusual(picture, tmp_path)
    shutil.copyfile(ROOT / "tests" / "drive_page.js", page / "drive_page.js")
    with served(page) as url:
        done = subprocess.run(
            ["node", "drive_page.js", chromium, url, tmp_path / "page.png", picture, path, turned, deep, clear, changed],
            cwd=page,
            capture_output=True,
            text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    first, upright, *refused = shown
    with Inspector.open(path, runtime="onnxruntime") as inspector:
        expected = inspector.predict(picture)
    assert first["verdict"]["label"] == expected.label
    assert first["verdict"]["score"] == pytest.approx(expected.score, rel=1e-5)
    # Borders are one pixel wide.
    (height, width), geometry = FRAME, Bundle.open(path).manifest.geometry
    shares = np.divide(geometry.image, geometry.size)
    part = width / height * shares[1] / shares[0]
    assert first["aspects"] == pytest.approx([width / height, part], abs=0.01)
    assert upright["verdict"] == first["verdict"]
    for each, words in zip(refused, ("8 bits", "transparent", "SHA-256"), strict=True):  # fmt: skip
        assert words in each["message"]
        assert each["verdict"] is None
    assert not any(each["foreign"] for each in shown)


def unusual(picture, folder):
    """The picture turned by its EXIF; with 16 bits; with transparent pixels."""
    names = ("turned.png", "deep.png", "clear.png")
    turned, deep, clear = (folder / name for name in names)
    image = Image.open(picture)
    exif = Image.Exif()
    exif[ORIENTATION] = ROTATED_BY_180
    image.rotate(180).save(turned, exif=exif)
    Image.fromarray(np.full(FRAME, 30000, np.uint16)).save(deep)
    image.putalpha(200)
    image.save(clear)
    return turned, deep, clear
