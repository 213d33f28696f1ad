"""A new certificate replaces earlier rows of its own places alone, and says which certificates change."""

import json

import pytest

from anomedge.bundle import Bundle
from anomedge.parity.certificate import Certificate
from anomedge.parity.keeping import keep_certificate, plain_name
from anomedge.parity.records import BUNDLE, CheckResult
from anomedge.parity.stored import stored_certificates
from tests.commands.running import run
from tests.conftest import RUNTIMES
from tests.parity.forging import ONE, host

ONE_OF, OTHER = RUNTIMES[:1], RUNTIMES[1:]
pytestmark = pytest.mark.skipif(not OTHER, reason="needs two runtimes")


def put(root, name, content):
    path = root / "certificates" / f"{name}.json"
    path.write_text(json.dumps(content))


def failing(content, runtime, **changed):
    for cell in content["cells"]:
        if cell["runtime"] == runtime:
            cell.update({"score_error": 0.5} | changed)
    return content


def of(content, *runtimes):
    """The certificate of these runtimes alone, as a proof of them writes it."""
    proof = Certificate.from_json(content)
    gone = {place for place in proof.places if place[0] not in runtimes}
    return proof.without(gone)


def verdicts(root):
    stored = stored_certificates(Bundle.open(root))
    return {one.name: one.passed for one in stored}


def test_rows_of_another_runtime_that_failed_are_kept_and_said(copy):
    content = host(copy)
    put(copy, "host", failing(host(copy), *OTHER))
    said = keep_certificate(Bundle.open(copy), "host", of(content, *ONE_OF))
    beside = f"host.{OTHER[0]}-fp32.json"
    assert verdicts(copy) == {"host.json": True, beside: False}
    (line,) = said
    assert f"now in {beside}: FAILED: {OTHER[0]} batch" in line
    again = keep_certificate(Bundle.open(copy), "host", of(content, *ONE_OF))
    assert again == ()
    assert verdicts(copy) == {"host.json": True, beside: False}


def test_failed_rows_without_cells_are_kept(copy):
    content = host(copy)
    forged = host(copy)
    forged["cells"] = [
        cell for cell in forged["cells"] if cell["runtime"] in ONE_OF
    ]
    put(copy, "host", forged)
    keep_certificate(Bundle.open(copy), "host", of(content, *ONE_OF))
    assert verdicts(copy)[f"host.{OTHER[0]}-fp32.json"] is False


def test_rows_of_one_place_in_two_files_are_both_kept(copy):
    content = host(copy)
    put(copy, f"host.{OTHER[0]}-fp32", of(content, *OTHER).to_json())
    put(copy, "host", failing(host(copy), *OTHER))
    keep_certificate(Bundle.open(copy), "host", of(content, *ONE_OF))
    beside = f"host.{OTHER[0]}-fp32"
    found = verdicts(copy)
    assert set(found) == {"host.json", f"{beside}.json", f"{beside}-2.json"}
    assert sorted(found.values()) == [False, True, True]


def test_a_certificate_that_is_replaced_is_said_unless_it_passed_as_well(copy):
    proof = Certificate.from_json(host(copy))
    assert keep_certificate(Bundle.open(copy), "host", proof) == ()
    put(copy, "host", failing(host(copy), *OTHER))
    (line,) = keep_certificate(Bundle.open(copy), "host", proof)
    assert line.startswith("host.json is replaced; it was FAILED: ")
    (copy / "certificates" / "host.json").write_text("[\x1b")
    (line,) = keep_certificate(Bundle.open(copy), "host", proof)
    assert line.startswith("host.json is replaced; it was ignored: ")
    assert verdicts(copy) == {"host.json": True}


def test_a_failed_proof_says_which_certificates_it_removes(copy):
    failed = Certificate.from_json(failing(host(copy), RUNTIMES[0]))
    (line,) = keep_certificate(Bundle.open(copy), "host", failed)
    assert line == "host.json is removed: it passed, and this proof failed"
    assert verdicts(copy) == {}


def test_a_refuted_bundle_says_what_is_removed(copy):
    proof = Certificate.from_json(host(copy))
    wrong = CheckResult(
        runtime=BUNDLE, kind="bundle", name="scale", passed=False
    )
    refuted = proof.model_copy(update={"checks": (*proof.checks, wrong)})
    (line,) = keep_certificate(Bundle.open(copy), "line7", refuted)
    assert line.startswith("host.json is removed: this proof refutes")
    assert verdicts(copy) == {}


def test_verify_says_what_it_moves(copy, capfd):
    put(copy, "line7", failing(host(copy), *OTHER))
    assert run("verify", copy, *ONE, "--name", "line7", "--json") == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["passed"]
    moved = f"line7.{OTHER[0]}-fp32.json"
    assert "certificates: line7.json: rows of other runtimes" in printed.err
    assert moved in printed.err
    assert verdicts(copy)[moved] is False


@pytest.mark.parametrize(
    ("name", "plain"),
    [("line 7/b", "line-7-b"), ("../x", "-x"), ("a" * 99, "a" * 64)],
)
def test_names_are_parts_of_file_names(name, plain):
    assert plain_name(name) == plain
