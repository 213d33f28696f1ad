"""The proof of one runtime: rows, and a diagnosis on failure."""

from unittest.mock import Mock

import pytest

from anomedge.bundle import Bundle
from anomedge.errors import RuntimeFailure
from anomedge.parity import Comparison, Plan, prove, prove_runtime
from anomedge.parity.certificate import Certificate, merged
from anomedge.parity.golden import read_golden
from anomedge.parity.junit import junit_xml
from anomedge.parity.verdict import CLAUSES
from tests.conftest import RUNTIMES
from tests.parity.faulty_stages import plan_of_one, planted
from tests.parity.planting import rebuilt, scaled_score, signed


def test_rows_of_one_runtime(bundle, runtime):
    plan = Plan([runtime], (1, 2), threads=1)
    comparison = Comparison.of(bundle, read_golden(bundle), plan)
    proof = prove_runtime(bundle, comparison, plan, runtime)
    assert [cell.batch for cell in proof.cells] == [1, 2]
    assert {cell.runtime for cell in proof.cells} == {runtime}
    names = [check.name for check in proof.checks]
    assert names[: len(CLAUSES) + 1] == [*CLAUSES, "copies at batch 2"]
    assert set(bundle.manifest.stages) < set(names)
    assert all(check.passed for check in proof.checks)
    assert (proof.stages, proof.diagnosis, proof.layout_checks) == (
        (),
        None,
        (),
    )


def test_a_failed_proof_names_its_stage_by_default(
    bundle_paths, tmp_path, detector
):
    whole = Bundle.open(bundle_paths[detector])
    bundle = rebuilt(
        whole,
        tmp_path / "b.anomedge",
        planted("statistics' mean shifted", detector)[0],
    )
    certificate = prove(bundle, read_golden(bundle), Plan(RUNTIMES, (1,)))
    assert [(f.runtime, f.stage) for f in certificate.findings] == [
        (r, "distances") for r in RUNTIMES
    ]
    assert certificate.failures[0].startswith(
        f"{RUNTIMES[0]}: first to exceed its share: distances (error "
    )
    assert Certificate.from_json(certificate.to_json()) == certificate
    assert b'message="first to exceed its share: distances' in junit_xml(
        certificate
    )
    assert len(merged([certificate, certificate]).findings) == 2 * len(RUNTIMES)


def test_a_passed_proof_examines_stages_only_on_request(bundle):
    reference = read_golden(bundle)
    assert prove(bundle, reference, plan_of_one(RUNTIMES[0])).stages == ()
    certificate = prove(
        bundle, reference, plan_of_one(RUNTIMES[0]), stages=True
    )
    assert certificate.passed
    assert [row.name for row in certificate.stages] == list(
        bundle.manifest.stages
    )


def test_a_failed_proof_does_not_end_in_another_error(
    bundle_paths, tmp_path, monkeypatch
):
    whole = Bundle.open(bundle_paths["padim"])
    root = rebuilt(whole, tmp_path / "b.anomedge", scaled_score()).path
    session = Mock(side_effect=RuntimeFailure("it does not open"))
    monkeypatch.setattr("anomedge.parity.localise.open_segments", session)
    bundle = signed(whole, root)
    certificate = prove(bundle, read_golden(bundle), plan_of_one(RUNTIMES[0]))
    assert "could not be found" in certificate.failures[0]
    assert any("score off by" in line for line in certificate.failures)
    with pytest.raises(RuntimeFailure):
        prove(
            bundle, read_golden(bundle), plan_of_one(RUNTIMES[0]), stages=True
        )


@pytest.mark.parametrize("asked", [False, True])
def test_a_graph_of_stages_that_cannot_be_run_fails_the_proof(
    bundle_paths, monkeypatch, asked
):
    bundle = Bundle.open(bundle_paths["padim"])
    opening = Plan.open

    def without_stages(self, *given, **more):
        if more.get("stages"):
            raise RuntimeFailure("it does not open")
        return opening(self, *given, **more)

    monkeypatch.setattr(Plan, "open", without_stages)
    reference = read_golden(bundle)
    certificate = prove(
        bundle, reference, plan_of_one(RUNTIMES[0]), stages=asked
    )
    assert not certificate.passed
    said = "\n".join(certificate.failures)
    assert "the graph of stages cannot be run: it does not open" in said
    failed = {c.name for c in certificate.checks if not c.passed}
    assert set(bundle.manifest.stages) <= failed
    assert certificate.missing_rows == ()
