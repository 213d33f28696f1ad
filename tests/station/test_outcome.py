"""Values of the placeholders."""

from pathlib import Path

from anomedge.station.outcome import Outcome


def test_values_of_decided_and_undecided_frames():
    decided = Outcome("{}", "a", "normal", score=-0.5, path=Path("/in/a"))
    assert decided.values == {
        "name": "a",
        "path": "/in/a",
        "score": "-0.5",
        "label": "normal",
        "reason": "",
    }
    undecided = Outcome("{}", "a", "undecided", reason="torn").values
    assert (undecided["score"], undecided["path"]) == ("", "")
    assert (undecided["label"], undecided["reason"]) == ("undecided", "torn")
