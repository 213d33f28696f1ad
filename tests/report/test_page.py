"""The report as its reader and as a suspicious one find it."""

import itertools
import json
import re
import shutil
import warnings
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from PIL import Image

from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.errors import InputError, OutputError, RuntimeMissing
from anomedge.report import Request, write_report
from anomedge.verification import plan_of
from tests.conftest import RUNTIMES
from tests.report.html import Page

CLOCK = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
EVIL = "<script>alert(1)<&$x^\"'.png"  # a slash would make folders of it


def written(bundle, target, **more):
    """A report in one batch size, without a measurement unless asked for."""
    plan = plan_of(bundle, RUNTIMES, (1,))
    certificate = write_report(
        bundle, target, plan, Request(**({"rounds": 0, "now": CLOCK} | more))
    )
    return certificate, target.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def host(bundle_paths, model_paths, pictures, tmp_path_factory):
    """A report on the host, over a picture of a malicious name, with everything on it."""
    folder = tmp_path_factory.mktemp("host")
    images = folder / "images"
    for kind, name in (("good", EVIL), ("hole", "000.png")):
        (images / kind).mkdir(parents=True)
        shutil.copy(pictures / "test" / kind / "000.png", images / kind / name)
    bundle = folder / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], bundle)
    foreign = json.loads(
        next(
            (bundle_paths["padim"] / "certificates").glob("*.json")
        ).read_text()
    )
    certificates = bundle / "certificates"
    (certificates / "foreign.json").write_text(json.dumps(foreign))
    (certificates / "broken.json").write_text('{"bundle": "<b>"}')
    (certificates / "deep.json").write_text("[" * 100_000)
    (certificates / "large.json").write_bytes(b" " * (2 << 20))
    request = {
        "model": model_paths["patchcore"],
        "images": [images],
        "pictures": 24,
        "rounds": 1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # two pictures make fewer blends than are wished for
        certificate, text = written(
            Bundle.open(bundle),
            folder / "report.html",
            command="anomedge <again>\x1b[2J\u202e",
            **request,
        )
    return SimpleNamespace(
        certificate=certificate, text=text, page=Page(text), folder=folder
    )


def test_the_numbers_of_pictures_add_up(host):
    count, text = host.certificate.pictures, " ".join(host.page.text.split())
    assert count.levels
    assert sum(count.by_kind.values()) == count.total
    shown = ", ".join(f"{n} {kind}" for kind, n in count.by_kind.items())
    assert f"on {count.total} pictures: {shown}. Of all of them, " in text


def test_page_has_its_parts_in_order(host):
    page = host.page
    assert page.of("html")[0]["lang"] == "en"
    assert (
        "PROVEN"
        in host.text[host.text.index("<title>") : host.text.index("</title>")]
    )
    assert page.named(2) == [
        "Detector", "Threshold", "Certificate", "Checks", "Scores and margins", "Pictures", "Latency",
        "Certificates in the bundle", "Licences", "Tools",
    ]  # fmt: skip
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1
    assert all(
        after <= before + 1 for before, after in itertools.pairwise(levels)
    )
    assert "✓ PROVEN" in page.text
    assert "anomedge <again>\\x1b[2J\\u202e" in page.text
    assert not {
        character
        for character in host.text
        if character != "\n" and not character.isprintable()
    }
    assert len(host.text.encode()) < 5e6


def test_page_needs_nothing_else(host):
    for tag, attributes in host.page.tags:
        assert tag not in {
            "script",
            "link",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
        }
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert "http" not in (value or "") or value.startswith("data:"), (
                tag,
                name,
            )
            if name in {"src", "href"}:
                assert re.match(r"data:image/(jpeg|svg\+xml);base64,", value)
    style = host.text[host.text.index("<style>") : host.text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_pictures_have_words_and_tables_have_heads(host):
    images = host.page.of("img")
    assert len(images) > 4
    assert all(
        image["alt"] and image["width"] and image["height"] for image in images
    )
    assert all(head["scope"] in {"row", "col"} for head in host.page.of("th"))
    assert len(host.page.of("caption")) == len(host.page.of("table"))


def test_every_cell_and_check_is_in_a_table(host):
    rows = [row for row in host.page.rows if row]
    for cell in host.certificate.cells:
        wanted = [
            f"{cell.runtime} {cell.version}",
            cell.running_on,
            str(cell.batch),
            "✓ passed",
        ]
        (row,) = [row for row in rows if row[:4] == wanted]
        assert row[4] == f"{cell.score_error:.1e}"
        assert row[5] == f"{cell.map_error:.1e}"
    for check in host.certificate.checks:
        if check.kind == "bundle":
            assert [f"bundle: {check.name}", "holds✓"] in rows
            continue
        (row,) = [
            row for row in rows if row[0] == f"{check.kind}: {check.name}"
        ]
        assert row[2 + RUNTIMES.index(check.runtime)].endswith("✓")
    timed = [row for row in rows if "MiB" in row[-1]]
    assert len(timed) == len(RUNTIMES)


def test_names_of_pictures_are_escaped(host):
    assert f"good/{EVIL}" in host.page.named(3)
    assert "<script" not in host.text


def test_stored_certificates_are_marked(host):
    said = {
        row[0]: row[-1]
        for row in host.page.rows
        if row and row[0].endswith(".json")
    }
    assert (
        said["foreign.json"]
        == "✗ not about this bundle: its digest is another bundle's"
    )
    assert said["broken.json"].startswith("✗ ignored: not a certificate")
    assert said["deep.json"].startswith("✗ ignored")
    assert said["large.json"].startswith(
        "✗ ignored: not a certificate (got 2097152 bytes"
    )
    assert [
        name for name, verdict in said.items() if verdict.startswith("✓ passed")
    ] == ["host.json"]


def test_same_inputs_give_the_same_bytes(bundle_paths, tmp_path):
    bundle = Bundle.open(bundle_paths["padim"])
    _, once = written(bundle, tmp_path / "one.html")
    _, again = written(bundle, tmp_path / "two.html")
    assert once == again
    assert "2026-01-02 03:04" in once
    assert "Latency" not in Page(once).named(2)


def test_thresholds_of_the_device_are_told(bundle_paths, tmp_path):
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    write_local(
        Bundle.open(root),
        LocalSettings(
            threshold=123.456, by="<Ada>", when="yesterday", pictures="line 3"
        ),
    )
    text = " ".join(
        Page(
            written(Bundle.open(root), tmp_path / "r.html", pictures=0)[1]
        ).text.split()
    )
    assert "123.456; a score above it is anomalous" in text
    assert "by: <Ada>" in text
    assert "thresholds of its own" in text


def test_runtimes_that_agree_prove_nothing(bundle_paths, pictures, tmp_path):
    images = [pictures / "test"]
    certificate, text = written(
        Bundle.open(bundle_paths["padim"]),
        tmp_path / "r.html",
        images=images,
        pictures=1,
    )
    assert certificate.passed
    assert "RUNTIMES AGREE" in text
    assert "PROVEN" not in text


def test_wrong_use_writes_nothing(bundle_paths, tmp_path, monkeypatch):
    bundle = Bundle.open(bundle_paths["padim"])
    plan = plan_of(bundle, RUNTIMES, (1,))
    with pytest.raises(InputError, match="inside"):
        write_report(bundle, bundle.path / "report.html", plan, Request())
    with pytest.raises(OutputError, match="make it first"):
        write_report(bundle, tmp_path / "no" / "report.html", plan, Request())
    with pytest.raises(InputError, match="got 25 pictures"):
        write_report(
            bundle, tmp_path / "report.html", plan, Request(pictures=25)
        )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        RuntimeMissing, match=r"matplotlib and jinja2.*'\.\[report\]'"
    ):
        write_report(bundle, tmp_path / "report.html", plan, Request())
    assert list(tmp_path.iterdir()) == []


def test_image_of_a_page_is_a_picture(host):
    import base64
    import io

    shown = [
        image["src"].split(",")[1]
        for image in host.page.of("img")
        if image["src"].startswith("data:image/jpeg")
    ]
    with Image.open(io.BytesIO(base64.b64decode(shown[0]))) as image:
        assert image.width <= 480
        assert image.size == (128, 96)
