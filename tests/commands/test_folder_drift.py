"""Pictures of a folder beside the bundle's record of normal ones."""

from types import SimpleNamespace

import numpy as np

from anomedge.commands._folder_drift import FolderDrift, warning_of
from tests.station.drift.test_reference import bundle, record


def inspector(**given):
    """An inspector of a bundle with scores and image statistics from 0 to 39, and the threshold 37.5."""
    return SimpleNamespace(
        bundle=bundle(**given), decision=SimpleNamespace(scale=10.0)
    )


def drift_of(scores, greys, label="normal"):
    drift = FolderDrift()
    for score, grey in zip(scores, greys, strict=True):
        frame = np.full((4, 6, 3), grey, np.uint8)
        drift.add(frame, SimpleNamespace(score=float(score), label=label))
    return drift


def names(drift, **given):
    found = drift.found(inspector(normals=record(), **given))
    return [change.name for change in found]


def test_a_folder_without_pictures_has_no_drift():
    assert FolderDrift().found(inspector(normals=record())) == []


def test_scores_like_the_recorded_ones_are_none_and_others_are_named():
    assert "scores" not in names(drift_of(range(38), range(38)))
    assert "scores" in names(drift_of([200.0] * 38, range(38)))


def test_scores_of_anomalous_pictures_are_not_compared_but_their_light_is():
    found = names(drift_of([200.0] * 38, [250] * 38, label="anomalous"))
    assert "scores" not in found
    assert "brightness" in found


def test_without_a_suitable_record_nothing_is_stated():
    drift = drift_of([200.0] * 38, [250] * 38)
    assert drift.found(inspector()) == []
    assert names(drift, framing=(8, 12)) == ["scores"]


def test_the_warning_is_one_sentence_with_every_figure():
    drift = drift_of([200.0] * 38, [250] * 38)
    changes = drift.found(inspector(normals=record()))
    said = warning_of(changes)
    assert len(changes) > 1
    assert all(f"{change.name}: median" in said for change in changes)
    assert "brightness: median 250 of the latest 38 frames" in said
    assert "(manifest)" in said
    assert said.endswith("calibrate with anomedge threshold --normal")
    assert "\n" not in said
