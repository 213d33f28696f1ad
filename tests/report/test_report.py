"""The report as its reader and as a suspicious one find it."""

import itertools
import json
import re
import shutil
import subprocess
import sys
import warnings
from datetime import datetime, timezone
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from anomedge.__main__ import application
from anomedge.bundle import Bundle, LocalSettings, write_local, write_manifest
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.errors import InputError, OutputError, RuntimeMissing
from anomedge.report import Request, write_report
from anomedge.report.figures import latency, score_histogram
from anomedge.report.pictures import (
    FALSE_ALARM,
    FLIPPED,
    MISS,
    NEAREST,
    WORST,
    in_words,
    select,
)
from anomedge.report.scores import Scores
from anomedge.verification import plan_of
from tests.conftest import RUNTIMES
from tests.test_architecture import VENDORS

VOID = {"br", "img", "meta", "link", "hr", "input"}
CLOCK = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
EVIL = "<script>alert(1)<&$x^\"'.png"  # a slash would make folders of it


class Page(HTMLParser):
    """Elements, attributes and text of a page whose every tag is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.rows, self.headings, self.text = (
            [],
            [],
            [],
            [],
            "",
        )
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        assert len(dict(attributes)) == len(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag in {"h1", "h2", "h3"}:
            self.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if self.open and self.open[-1] in {"h1", "h2", "h3"}:
            level, before = self.headings[-1]
            self.headings[-1] = (level, before + data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip()

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def named(self, level):
        return [text for found, text in self.headings if found == level]


def run(*arguments):
    return run_to_exit_code(
        lambda given: application()(given, prog_name="anomedge"),
        [str(a) for a in arguments],
    )


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
        RuntimeMissing, match=r"matplotlib and jinja2.*anomedge\[report\]"
    ):
        write_report(bundle, tmp_path / "report.html", plan, Request())
    assert list(tmp_path.iterdir()) == []


def test_each_reason_has_its_turn():
    scores = np.array([1.0, 9.0, 6.0, 2.0, 4.9, 5.2])
    known = [False, True, False, True, False, True]
    decision = SimpleNamespace(
        threshold=5.0,
        scale=1.0,
        is_anomalous=lambda values: np.asarray(values) > 5.0,
    )
    pictures = [
        SimpleNamespace(name=f"{i}.png", anomalous=flag)
        for i, flag in enumerate(known)
    ]
    maps = np.zeros((6, 1, 2, 2))
    reference = SimpleNamespace(
        pictures=pictures,
        outputs=SimpleNamespace(score=scores, anomaly_map=maps),
    )
    copy = SimpleNamespace(
        score=scores + np.array([0.5, 0, 0, 0, 0.2, 0]), anomaly_map=maps
    )
    bundle = SimpleNamespace(decision=decision)
    chosen = select(reference, {"copy": copy}, bundle, 6)
    assert chosen == {
        4: [FLIPPED, NEAREST],
        0: [WORST],
        2: [FALSE_ALARM],
        3: [MISS],
        5: [NEAREST],
    }
    assert list(select(reference, {"copy": copy}, bundle, 2)) == [4, 0]
    assert select(reference, {"copy": copy}, bundle, 0) == {}


def test_the_largest_error_is_the_one_farthest_above_what_is_allowed():
    """Of a scale of 1, 1e-3 at 1 is too much and 4e-3 at 2,000 is not."""
    decision = SimpleNamespace(
        threshold=5000.0,
        scale=1.0,
        is_anomalous=lambda values: np.asarray(values) > 5000.0,
    )
    pictures = [
        SimpleNamespace(name=f"{i}.png", anomalous=False) for i in range(2)
    ]
    scores = np.array([1.0, 2000.0])
    for maps, errors in (
        (np.zeros((2, 1, 1, 1)), [1e-3, 4e-3]),
        (scores.reshape(2, 1, 1, 1), [0, 0]),
    ):
        reference = SimpleNamespace(
            pictures=pictures,
            outputs=SimpleNamespace(score=scores, anomaly_map=maps),
        )
        moved = maps + np.reshape([1e-3, 4e-3], maps.shape) * bool(maps.any())
        copy = SimpleNamespace(score=scores + errors, anomaly_map=moved)
        chosen = select(
            reference, {"copy": copy}, SimpleNamespace(decision=decision), 2
        )
        assert [
            place for place, reasons in chosen.items() if WORST in reasons
        ] == [0]


def test_errors_in_words():
    assert in_words(float("nan"), 1e-4) == "NOT A FINITE NUMBER"
    assert "2.0 times MORE than allowed" in in_words(2e-4, 1e-4)


@pytest.mark.parametrize(
    ("kinds", "threshold"),
    [
        ({"normal": [1.0]}, 1.0),
        ({"unlabelled": [1e-9, 5.0], "generated for the proof": [1e9]}, -3.0),
        ({"anomalous": [0.0]}, 1e6),
    ],
)
def test_figures_of_odd_scores(kinds, threshold):
    drawn = score_histogram(Scores(kinds, threshold, 1e-7, None, None))
    assert drawn.startswith("<svg")
    assert "nan" not in drawn.lower()


def test_figures_of_nothing_are_refused():
    with pytest.raises(InputError, match="no finite score"):
        score_histogram(Scores({}, 1.0, 1e-4, None, None))
    with pytest.raises(InputError, match="no timing"):
        latency([])


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
