"""Mistakes keep the frame's form and change its pixels."""

import numpy as np

from anomedge.conformance.finding import STAGES
from anomedge.conformance.frames import hard_frames
from anomedge.conformance.mistakes import mistakes


def test_each_mistake_gives_another_frame_of_the_same_form():
    frame = hard_frames((24, 40))["colour gradient"]
    given = frame.copy()
    results = []
    for mistake in mistakes((12, 16)):
        changed = mistake.apply(frame)
        assert mistake.stage in STAGES
        assert (changed.shape, changed.dtype) == (frame.shape, np.uint8)
        assert (changed != frame).any()
        results.append(changed.tobytes())
    assert len(set(results)) == len(results)
    assert (frame == given).all()
