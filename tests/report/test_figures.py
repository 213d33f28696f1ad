"""Figures of a report: odd scores, and nothing to draw."""

import pytest

from anomedge.errors import InputError
from anomedge.report.figures import latency, score_histogram
from anomedge.report.scores import Margin, Scores


@pytest.mark.parametrize(
    ("kinds", "threshold"),
    [
        ({"normal": [1.0]}, 1.0),
        ({"unlabelled": [1e-9, 5.0], "generated for the proof": [1e9]}, -3.0),
        ({"anomalous": [0.0]}, 1e6),
        ({"normal": [1.0]}, 1e308),
        ({"normal": [1.0], "anomalous": [1e38]}, -1e308),
    ],
)
def test_figures_of_odd_scores(kinds, threshold):
    tolerance = max(1e-7, 1e-6 * abs(threshold))
    margin = Margin("a", "normal", 1.0 - threshold)
    given = Scores(kinds, threshold, tolerance, margin, None)
    drawn = score_histogram(given)
    assert drawn.startswith("<svg")
    assert "nan" not in drawn.lower()


def test_figures_of_nothing_are_refused():
    with pytest.raises(InputError, match="no finite score"):
        score_histogram(Scores({}, 1.0, 1e-4, None, None))
    with pytest.raises(InputError, match="no timing"):
        latency([])
