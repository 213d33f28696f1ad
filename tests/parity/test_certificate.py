"""Certificates: their verdict follows from their rows."""

import pytest
from pydantic import ValidationError

from anomedge.files import JsonError
from anomedge.parity.certificate import Certificate, failure_text, merged
from tests.parity.forging import host
from tests.parity.rows import cell, certificate, contract, counts, finding


def test_a_certificate_reads_back_as_it_was(copy):
    content = host(copy)
    assert Certificate.from_json(content).to_json() == content
    assert content["passed"] is True
    assert content["failures"] == []


def test_a_whole_proof_passes_without_a_caution():
    proof = certificate()
    assert proof.passed
    assert proof.failures == proof.cautions == ()
    assert proof.places == {("ort", "fp32")}


def test_a_verdict_in_the_file_is_ignored():
    content = certificate(cells=()).to_json()
    assert content["passed"] is False
    claimed = content | {"passed": True, "failures": [], "cautions": ["x"]}
    assert Certificate.from_json(claimed) == certificate(cells=())
    with pytest.raises(JsonError):
        Certificate.from_json(content | {"verdict": "fine"})


def test_a_precision_that_this_release_lacks_is_refused():
    with pytest.raises(ValidationError, match="precisions of this release"):
        certificate(cells=(cell(precision="int4"),))


@pytest.mark.parametrize("factor", [0.5, 101.0])
def test_tolerances_are_not_narrowed_or_widened_without_end(factor):
    with pytest.raises(ValidationError):
        certificate(widened=factor)


def test_widened_tolerances_decide_and_are_said():
    rows = (cell(score_error=5e-4),)
    assert not certificate(cells=rows).passed
    proof = certificate(cells=rows, widened=10.0)
    assert proof.passed
    assert proof.cautions == ("tolerances widened 10 times",)


@pytest.mark.parametrize(
    ("changed", "cautions"),
    [
        ({"reference": "onnxruntime (no eager Torch)"}, ["no proof against the original"]),
        ({"reference": "golden frames"}, ["no certificate of eager Torch"]),
        ({"reference": "golden frames", "vouched_by": "host.json"}, []),
        ({"notes": ("not run: x",)}, ["not run: x"]),
        ({"pictures": counts(distinct=1)}, ["few pictures"]),
    ],
)  # fmt: skip
def test_weak_references_are_cautioned(changed, cautions):
    found = certificate(**changed).cautions
    assert len(found) == len(cautions)
    for one, wanted in zip(found, cautions, strict=True):
        assert one.startswith(wanted)


def two_runtimes():
    return certificate(
        cells=(cell(), cell(runtime="ov"), cell(precision="fp16")),
        checks=(*contract(), *contract("ov"), *contract(precision="fp16")),
        findings=(finding(runtime="ov"),),
    )


def test_rows_of_a_place_are_left_out():
    left = two_runtimes().without({("ov", "fp32"), ("ort", "fp16")})
    assert left.places == {("ort", "fp32")}
    assert left.checks == contract()
    assert left.findings == ()
    assert left.passed


def test_merged_certificates_hold_the_rows_of_all_and_the_notes_they_share():
    one = certificate(notes=("not run: a", "few pixels"))
    other = certificate(
        cells=(cell(precision="fp16"),),
        checks=contract(precision="fp16"),
        notes=("few pixels", "not run: b"),
        about=one.about.model_copy(update={"graphs": {"b.onnx": "1"}}),
    )
    whole = merged([one, other])
    assert whole.places == {("ort", "fp32"), ("ort", "fp16")}
    assert whole.checks == (*one.checks, *other.checks)
    assert whole.notes == ("few pixels",)
    assert whole.about.graphs == {"b.onnx": "1"}
    assert whole.passed


def test_the_first_twelve_failures_are_listed():
    few = certificate(cells=())
    assert failure_text(few, "nothing was written") == (
        "the proof failed, nothing was written:\n"
        "  nothing was compared: there is no cell"
    )
    many = certificate(cells=tuple(cell(pictures=0) for _ in range(15)))
    lines = failure_text(many, "x").splitlines()
    assert len(lines) == 14
    assert lines[-1] == "  and 3 more"
