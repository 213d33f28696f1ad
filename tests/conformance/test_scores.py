"""Errors are measured in the bundle's scale; maps are compared value by value."""

import numpy as np

from anomedge.conformance.frames import Case
from anomedge.conformance.scores import map_finding, worst


def test_the_largest_error_is_a_fraction_of_the_scale(inspector):
    decision = inspector.bundle.manifest.decision
    expected = np.zeros(3)
    found = np.array([0, -2 * decision.scale, decision.scale])
    assert worst(found, expected, decision) == (1, 2.0)


def test_a_map_that_was_not_written_is_no_departure(inspector):
    decision = inspector.bundle.manifest.decision
    case = Case("x", np.zeros((1, 1, 3)), 0.0, np.zeros((2, 2), np.float32))
    assert map_finding(None, case, decision, 1e-4) is None
    wrong = np.full((2, 2), decision.scale, np.float32)
    assert map_finding(wrong, case, decision, 1e-4).stage == "map"
