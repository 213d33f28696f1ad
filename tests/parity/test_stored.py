"""A proof of one runtime in one precision leaves standing what was proven of the others."""

import json
import shutil

import pytest

from anomedge.bundle import Bundle
from anomedge.commands import verify
from anomedge.errors import OutputError
from anomedge.export.bundling import ExportOptions, export
from anomedge.parity import stored as stored_module
from anomedge.parity.certificate import Certificate
from anomedge.parity.keeping import keep_certificate
from anomedge.parity.records import BUNDLE, CheckResult
from anomedge.parity.stored import (
    stored_certificates,
    vouching_certificate,
)
from tests.bundle.exchanging import exchanging, files_of, put_beside
from tests.commands.running import run
from tests.conftest import FRAME, RUNTIMES
from tests.parity.forging import ONE, decided, host, sign


@pytest.fixture(scope="module")
def part(model_paths, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "part.anomedge"
    options = ExportOptions(
        frame=FRAME,
        runtimes=RUNTIMES[:1],
        batches=[1],
        precisions=["fp32", "fp16-storage"],
    )
    export(model_paths["padim"], path, options)
    return path


def places(part, name):
    """What the certificates of one name say in all: the newest, and what earlier ones said of other places."""
    contents = [
        json.loads(path.read_bytes())
        for path in (part / "certificates").glob(f"{name}*.json")
    ]
    return {
        (cell["runtime"], cell["precision"])
        for content in contents
        for cell in content["cells"]
    }


def verified(part, name, precision):
    return run(
        "verify",
        part,
        "--name",
        name,
        "--precision",
        precision,
        "--runtime",
        RUNTIMES[0],
        "--batch",
        "1",
    )


def test_each_proof_is_kept_until_it_is_made_again(part, monkeypatch):
    runtime = next(iter(places(part, "host")))[0]
    assert verified(part, "bench", "fp32") == 0
    assert places(part, "bench") == {(runtime, "fp32")}
    assert (
        verified(part, "bench", "fp16-storage")
        == verified(part, "bench", "fp32")
        == 0
    )
    assert places(part, "bench") == {
        (runtime, "fp32"),
        (runtime, "fp16-storage"),
    }
    real = verify.certify

    def flipped(*arguments, **options):
        certificate = real(*arguments, **options)
        cells = tuple(
            cell.model_copy(update={"flips": ("a.png",)})
            for cell in certificate.cells
        )
        return certificate.model_copy(update={"cells": cells})

    monkeypatch.setattr(verify, "certify", flipped)
    assert verified(part, "bench", "fp16-storage") == 3
    assert places(part, "bench") == {(runtime, "fp32")}
    assert verified(part, "bench", "fp32") == 3
    assert not list((part / "certificates").glob("bench*.json"))


def test_one_precision_on_the_host_keeps_the_other(part, model_paths):
    before = places(part, "host")
    assert len(before) == 2
    command = [
        "--precision",
        "fp16-storage",
        "--runtime",
        RUNTIMES[0],
        "--batch",
        "1",
    ]
    assert run("verify", part, "--model", model_paths["padim"], *command) == 0
    assert places(part, "host") == before


def test_the_hosts_certificate_is_eager_torchs_alone(part, capfd):
    assert run("verify", part, "--name", "host") == 2
    assert "that certificate is eager Torch's" in capfd.readouterr().err


def test_a_bundle_exchanged_meanwhile_keeps_its_own_certificates(
    bundle_paths, tmp_path
):
    copy = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], copy)
    other = put_beside(copy, bundle_paths["padim"])
    before, opened = files_of(other), Bundle.open(copy)
    certificate = stored_certificates(opened)[0].certificate
    keep = exchanging(copy, other)(keep_certificate)
    with pytest.raises(OutputError, match="nothing was written into"):
        keep(opened, "host", certificate)
    assert files_of(copy) == before


def put(root, name, content):
    (root / "certificates" / f"{name}.json").write_text(json.dumps(content))
    found = {
        stored.name: stored for stored in stored_certificates(Bundle.open(root))
    }
    return found[f"{name}.json"]


def test_the_certificate_of_the_export_passes(copy):
    (stored,) = stored_certificates(Bundle.open(copy))
    assert (stored.name, stored.objection, stored.passed) == (
        "host.json",
        "",
        True,
    )
    assert stored.certificate.about.model
    assert vouching_certificate(Bundle.open(copy)) == "host.json"


def test_a_certificate_with_a_name_like_the_hosts_vouches_under_its_own(copy):
    folder = copy / "certificates"
    (folder / "host.json").rename(folder / "h\u043est.json")
    (stored,) = stored_certificates(Bundle.open(copy))
    assert stored.shown_name == "h\\u043est.json"
    assert stored.batches[0] == 1
    assert vouching_certificate(Bundle.open(copy)) == stored.shown_name


FORGED = {
    "no cells": lambda c: c.update(cells=[]),
    "an error over its tolerance": lambda c: c["cells"][0].update(score_error=18.6),
    "a negative error": lambda c: c["cells"][0].update(score_error=-1.0),
    "a flip": lambda c: c["cells"][0].update(flips=["a.png"]),
    "no pictures": lambda c: c["cells"][0].update(pictures=0),
    "a batch that was not compared": lambda c: c["cells"][-1].update(batch_error=None),
    "no checks": lambda c: c.update(checks=[]),
    "no contract": lambda c: c.update(checks=[k for k in c["checks"] if k["kind"] != "contract"]),
    "no stages": lambda c: c.update(checks=[k for k in c["checks"] if k["kind"] != "stage"]),
    "no copies": lambda c: c.update(checks=[k for k in c["checks"] if not k["name"].startswith("copies")]),
    "a stage over its share": lambda c: next(k for k in c["checks"] if k["kind"] == "stage").update(error=1.0, tolerance=2.0),
    "a clause that was broken": lambda c: next(k for k in c["checks"] if k["kind"] == "contract").update(passed=False),
    "a cell of a runtime without checks": lambda c: c["cells"].append(c["cells"][0] | {"runtime": "tensorrt"}),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGED)
def test_verdicts_are_recomputed(copy, forgery):
    content = host(copy)
    FORGED[forgery](content)
    for claim in ({}, {"failures": [], "passed": True, "cautions": []}):
        stored = put(copy, "forged", content | claim)
        assert stored.passed is False, stored
        assert stored.verdict.startswith("FAILED: ")


UNFIT = {
    "digest": lambda c: c.update(bundle="0" * 64),
    "model.onnx": lambda c: c["about"]["graphs"].update(
        {"model.onnx": "0" * 64}
    ),
    "golden frames": lambda c: c["about"].update(golden="0" * 64),
    "stages": lambda c: c.update(stage_names=c["stage_names"][1:]),
    "states no tolerances": lambda c: c.update(tolerances={}),
    "another threshold or scale": lambda c: c.update(scale=99.0),
    "wider": lambda c: c["tolerances"]["fp32"].update(score=1e300),
}


@pytest.mark.parametrize("statement", UNFIT)
def test_a_certificate_of_something_else_is_not_about_this_bundle(
    copy, statement
):
    content = host(copy)
    UNFIT[statement](content)
    stored = put(copy, "forged", content)
    assert stored.passed is None
    assert stored.verdict.startswith("not about this bundle: ")
    assert statement in stored.verdict


def test_another_pixel_threshold_is_another_decision(copy):
    content = host(copy)
    content["about"]["decision"] = "0" * 64
    stored = put(copy, "earlier", content)
    assert stored.passed is None
    assert stored.verdict == (
        "proven at another threshold (of pixels, or another range of values shown): run anomedge verify again"
    )


def test_another_threshold_is_another_decision(copy, capfd):
    assert run("threshold", copy, "--set", "3.5") == 0
    (stored,) = stored_certificates(Bundle.open(copy))
    assert stored.passed is None
    assert stored.verdict == (
        f"proven at another threshold ({stored.certificate.threshold:.6g}; in force 3.5): run anomedge verify again"
    )
    capfd.readouterr()
    assert run("inspect", copy, "--json") == 0
    (shown,) = json.loads(capfd.readouterr().out)["certificates"]
    assert shown["passed"] is None
    assert (
        vouching_certificate(Bundle.open(copy)) == "host.json"
    )  # golden scores know no threshold
    assert run("threshold", copy, "--reset") == 0
    assert stored_certificates(Bundle.open(copy))[0].passed


@pytest.mark.slow
def test_rows_of_a_file_never_enter_an_honest_certificate(copy):
    content = host(copy)
    for name in ("cells", "checks"):
        content[name] += [
            row | {"runtime": "tensorrt"}
            for row in content[name]
            if row["runtime"] == RUNTIMES[0]
        ]
    put(copy, "line7", content)
    assert run("verify", copy, *ONE, "--name", "line7") == 0
    honest = json.loads((copy / "certificates" / "line7.json").read_bytes())
    assert {cell["runtime"] for cell in honest["cells"]} == {RUNTIMES[0]}
    content["about"]["decision"] = "0" * 64
    put(copy, "line7", content)
    assert run("verify", copy, *ONE, "--name", "line7") == 0
    assert all(
        "tensorrt" not in path.name
        for path in (copy / "certificates").glob("line7.*tensorrt*0*")
    )


@pytest.mark.parametrize("others", [0, 150])
def test_a_failed_statement_refutes_every_certificate_of_the_bundle(
    copy, others
):
    """However many files lie beside them: none is looked for in a limited list."""
    bundle, content = sign(copy, **decided(copy, threshold=1e9)), host(copy)
    content["bundle"] = bundle.manifest.digest
    for name in ("host", "line7", *(f"a{number}" for number in range(others))):
        (copy / "certificates" / f"{name}.json").write_text(json.dumps(content))
    failed = CheckResult(
        runtime=BUNDLE,
        kind="bundle",
        name="decision",
        detail="threshold",
        passed=False,
    )
    proof = Certificate.from_json(content)
    keep_certificate(
        bundle,
        "bench",
        proof.model_copy(update={"checks": (*proof.checks, failed)}),
    )
    assert not list((copy / "certificates").glob("*.json"))


def test_certificates_of_older_releases_are_told_apart(copy):
    stored = put(
        copy,
        "older",
        {"schema_version": 1, "bundle": "0" * 64, "cells": [], "failures": []},
    )
    assert stored.passed is None
    assert "older release" in stored.verdict
    assert (
        "older" in put(copy, "last", host(copy) | {"schema_version": 3}).verdict
    )
    newer = put(copy, "newer", host(copy) | {"schema_version": 5})
    assert newer.verdict.startswith("ignored: not a certificate")


def noted(root, *notes, **changed):
    return put(root, "noted", host(root) | {"notes": notes} | changed)


def test_notes_of_a_file_are_shown_as_such_and_escaped(copy):
    stored = noted(
        copy, 'passed, 10,000 pictures\x1b[2J\nnext "line"', "x" * 999
    )
    assert stored.passed
    first, second = [c for c in stored.cautions if "note" in c]
    assert first == (
        "note of the file: \"passed, 10,000 pictures\\x1b[2J\\nnext 'line'\""
    )
    assert len(second) < 200
    assert stored.verdict.isprintable()
    assert "3 more notes of the file" in noted(copy, *"abcdef").cautions


def test_notes_on_the_bundle_are_made_again(copy):
    """A file cannot leave out that a graph was not run."""
    content = host(copy)
    for name in ("cells", "checks"):
        content[name] = [
            row for row in content[name] if row["runtime"] != RUNTIMES[-1]
        ]
    stored = put(copy, "part", content | {"notes": []})
    assert stored.passed
    assert any(c.startswith("not run: ") for c in stored.cautions)
    assert not any("note of" in caution for caution in stored.cautions)
    content["about"]["model"] = "1" * 64
    stored = put(copy, "part", content | {"notes": []})
    assert any("names another model file" in c for c in stored.cautions)


def test_a_file_cannot_vouch_for_its_own_golden_frames(copy):
    assert run("verify", copy, *ONE, "--name", "line7") == 0
    path = copy / "certificates" / "line7.json"
    content = json.loads(path.read_bytes())
    assert content["vouched_by"] == "host.json"
    (copy / "certificates" / "host.json").unlink()
    (stored,) = stored_certificates(Bundle.open(copy))
    assert stored.passed
    assert "only the bundle vouches for them" in stored.verdict


@pytest.mark.parametrize(
    "changed",
    [
        {"runtime": "ort\nline7.json passed"},
        {"runtime": "\x1b[2J"},
    ],
)
def test_texts_of_rows_are_escaped_in_the_verdict(copy, changed):
    content = host(copy)
    content["cells"][0].update(changed)
    stored = put(copy, "forged", content)
    assert stored.passed is False
    assert stored.verdict.isprintable()


def test_files_that_were_not_read_are_counted_and_do_not_pass(
    copy, monkeypatch, capfd
):
    failing = host(copy)
    failing["cells"][0].update(score_error=18.6)
    for number in range(100):
        (copy / "certificates" / f"a{number:03}.json").write_text("{}")
    put(copy, "z", failing)
    found = stored_certificates(Bundle.open(copy))
    assert [one.name for one in found][:1] == ["host.json"]
    assert len(found) == 102 and found[-1].passed is False
    monkeypatch.setattr(stored_module, "_MOST_FILES", 2)
    *read, rest = stored_certificates(Bundle.open(copy))
    assert [one.name for one in read] == ["host.json", "a000.json"]
    assert (rest.passed, rest.unread) == (False, 100)
    assert rest.verdict.startswith("NOT READ: 100 more certificates were not")
    capfd.readouterr()
    assert run("inspect", copy) == 0
    assert "NOT READ: 100 more" in " ".join(capfd.readouterr().out.split())
    assert run("inspect", copy, "--json") == 0
    shown = json.loads(capfd.readouterr().out)["certificates"]
    assert shown[-1]["passed"] is False


def test_certificates_are_read_up_to_a_number_of_bytes(copy, monkeypatch):
    size = (copy / "certificates" / "host.json").stat().st_size
    for name in ("a", "b"):
        put(copy, name, host(copy))
    monkeypatch.setattr(stored_module, "_MOST_BYTES", 2 * size + size // 2)
    *read, rest = stored_certificates(Bundle.open(copy))
    assert [one.name for one in read] == ["host.json", "a.json"]
    assert rest.unread == 1
    assert "1 more certificate was not read" in rest.verdict
