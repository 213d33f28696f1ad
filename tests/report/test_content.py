"""Content of a report: refusals before the proof, rows of checks, notes, and the date."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from anomedge.errors import InputError
from anomedge.files import sha256_of_file
from anomedge.parity.certificate import CheckResult
from anomedge.report.content import (
    Request,
    _check_rows,
    _moment,
    _notes,
    collect_content,
)
from tests.parity.examples import DECISION


@pytest.mark.parametrize(
    ("request_", "got"),
    [
        (Request(pictures=25), "got 25 pictures and 10 rounds"),
        (Request(pictures=-1), "got -1 pictures"),
        (Request(rounds=-1), "got 6 pictures and -1 rounds"),
    ],
)
def test_numbers_out_of_range_are_refused_before_the_proof(request_, got):
    with pytest.raises(InputError, match=f"{got}.*expected 0 to 24 pictures"):
        collect_content(None, None, request_)


def check(runtime, kind, name):
    return CheckResult(
        runtime=runtime, kind=kind, name=name, tolerance=1e-3, passed=True
    )


def test_a_row_holds_a_check_of_every_runtime_and_the_contract_comes_last():
    checks = [
        check("ort", "contract", "names"),
        check("ort", "stage", "features"),
        check("-", "bundle", "digest"),
        check("ov", "contract", "names"),
        check("ov", "stage", "features"),
        check("ov", "pixels", "pixels"),
    ]
    rows = _check_rows(SimpleNamespace(checks=checks))
    assert [(row.kind, row.name, list(row.checks)) for row in rows] == [
        ("stage", "features", ["ort", "ov"]),
        ("pixels", "pixels", ["ov"]),
        ("contract", "names", ["ort", "ov"]),
    ]
    assert rows[0].checks["ov"] is checks[4]
    assert rows[0].allowed == 1e-3


def bundle(model, decision=DECISION, **origin):
    exported = DECISION.model_copy(
        update={"origin": DECISION.origin.model_copy(update=origin)}
    )
    return SimpleNamespace(
        decision=exported if decision is DECISION else decision,
        local_path="local.json",
        manifest=SimpleNamespace(decision=exported, model=model),
    )


def test_a_plain_bundle_needs_no_note(tmp_path):
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"model")
    plain = bundle(sha256_of_file(model), extrapolated=False)
    assert _notes(plain, Request()) == []
    assert _notes(plain, Request(model=model)) == []


def test_another_model_other_thresholds_and_few_pictures_are_noted(tmp_path):
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"model")
    own = DECISION.model_copy(update={"threshold": 41.0})
    notes = _notes(
        bundle("0" * 64, own, extrapolated=True), Request(model=model)
    )
    assert len(notes) == 3
    assert "m.safetensors is not the one" in notes[0]
    assert "thresholds of its own" in notes[1]
    assert "above every score" in notes[2]


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        (timezone.utc, "2026-01-02 03:04 +0000"),
        (timezone(timedelta(hours=-5)), "2026-01-02 03:04 -0500"),
        (None, "2026-01-02 03:04"),
    ],
)
def test_the_date_has_its_zone(zone, shown):
    assert _moment(datetime(2026, 1, 2, 3, 4, tzinfo=zone)) == shown
