"""A failed proof names the precisions without which it passes."""

import pytest

from anomedge.export.failed_precisions import advice_on_precisions
from tests.parity.rows import cell, certificate, contract


def proof(fp32=(), fp16=()):
    return certificate(
        cells=(
            cell(failures=fp32),
            cell(precision="fp16", failures=fp16),
            cell(precision="fp16-storage"),
        ),
        checks=(
            *contract(),
            *contract(precision="fp16"),
            *contract(precision="fp16-storage"),
        ),
    )


def test_a_precision_that_fails_alone_is_to_be_left_out():
    certificate = proof(fp16=("the score is off",))
    assert not certificate.passed
    assert advice_on_precisions(certificate) == (
        "\n  without --precision fp16 the proof passes: export fp32, fp16-storage alone"
    )


def test_all_that_fail_are_named():
    advice = advice_on_precisions(proof(fp32=("x",), fp16=("y",)))
    assert "without --precision fp32 and --precision fp16 the" in advice
    assert advice.endswith("export fp16-storage alone")


@pytest.mark.parametrize("failures", [(), ("the score is off",)])
def test_one_precision_has_no_other_to_keep(failures):
    alone = proof(fp32=failures).without(
        {("ort", "fp16"), ("ort", "fp16-storage")}
    )
    assert advice_on_precisions(alone) == ""
