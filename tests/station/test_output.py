"""Output lines are valid ASCII JSON, one per line."""

import io
import os

import pytest

from anomedge.station import EventWriter


def test_no_line_holds_nan_or_broken_unicode():
    with pytest.raises(ValueError, match="JSON compliant"):
        EventWriter(io.StringIO()).write("frame", score=float("nan"))
    line = EventWriter(io.StringIO()).write(
        "frame", name=os.fsdecode(b"\xff\n.png")
    )
    assert line.isascii()
    assert "\n" not in line
