"""Figures of a report: odd scores, and nothing to draw."""

import pytest

from anomedge.errors import InputError
from anomedge.report.figures import latency, score_histogram
from anomedge.report.scores import Scores


@pytest.mark.parametrize(
    ("kinds", "threshold"),
    [
        ({"normal": [1.0]}, 1.0),
        ({"unlabelled": [1e-9, 5.0], "generated for the proof": [1e9]}, -3.0),
        ({"anomalous": [0.0]}, 1e6),
    ],
)
def test_figures_of_odd_scores(kinds, threshold):
    drawn = score_histogram(Scores(kinds, threshold, 1e-7, None, None))
    assert drawn.startswith("<svg")
    assert "nan" not in drawn.lower()


def test_figures_of_nothing_are_refused():
    with pytest.raises(InputError, match="no finite score"):
        score_histogram(Scores({}, 1.0, 1e-4, None, None))
    with pytest.raises(InputError, match="no timing"):
        latency([])
