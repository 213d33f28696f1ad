"""The verb demo: its table and its JSON; the run itself is a stand-in."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from anomedge.demo import run as demo_run
from tests.commands.running import run
from tests.parity.rows import cell, certificate, contract, counts


@pytest.fixture
def outcomes(monkeypatch):
    proof = certificate(
        cells=(
            cell(image_auroc=0.75, score_error=2e-5, flips=("a",)),
            cell(batch=2, batch_error=0.0, map_error=None, score_error=3e-5),
            cell(runtime="ov", pixel_auroc=0.5),
        ),
        checks=(*contract(), *contract("ov")),
        pictures=counts(labelled=8, anomalous=2, masked=7),
    )
    made = SimpleNamespace(
        detector="padim",
        bundle=Path("demo-out/padim.anomedge"),
        certificate=proof,
        milliseconds={"ort": 12.34, "ov": 5.0},
        sheet=Path("demo-out/padim-overlays.png"),
    )
    calls = []
    monkeypatch.setattr(
        demo_run, "run", lambda *given: calls.append(given) or [made]
    )
    return calls


def test_the_table_has_a_row_for_every_runtime(outcomes, capsys):
    assert run("demo", "--texture", "gravel", "--frame", "96x128") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "padim ort 0.7500 - 1 3.0e-05 12.3" in shown
    assert "padim ov - 0.5000 0 2.0e-06 5.0" in shown
    assert "image AUROC of 6 normal, 2 anomalous" in shown
    assert "look at demo-out/padim-overlays.png; try: anomedge predict" in shown
    ((output, pictures, _),) = outcomes
    assert output == Path("demo-out")
    assert (pictures.frame, pictures.texture) == ((96, 128), "gravel")


def test_json_holds_the_certificates(outcomes, capsys):
    assert run("demo", "--json", "--seed", "3") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["detector"] == "padim"
    assert row["milliseconds"] == {"ort": 12.34, "ov": 5.0}
    assert row["certificate"]["cells"][0]["flips"] == ["a"]
    assert outcomes[0][1].seed == 3


def test_another_form_of_frame_is_refused(outcomes, capsys):
    assert run("demo", "--frame", "96") == 2
    assert "expected height x width" in capsys.readouterr().err
    assert outcomes == []
