"""Stages are named once, in the order of a client's work."""

from anomedge.conformance import STAGES, Finding


def test_stages_are_distinct_and_start_with_the_protocol():
    assert len(set(STAGES)) == len(STAGES)
    assert STAGES.index("protocol") < STAGES.index("hashes")
    assert Finding("size", "x").stage in STAGES
