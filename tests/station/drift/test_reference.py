"""The reference: the device's record before the manifest's, and none that does not suit."""

from types import SimpleNamespace

import pytest

from anomedge.station.drift.events import note_on_reference
from anomedge.station.drift.reference import reference_of
from anomedge.threshold.normal_distributions import NormalDistributions


def record(shift=0.0, count=40, size=(4, 6)):
    values = tuple(shift + i for i in range(count))
    return NormalDistributions(
        count=count,
        scores=values,
        size=size,
        brightness=values,
        contrast=values,
        sharpness=values,
    )


def bundle(normals=None, local=None, framing=(4, 6), threshold=37.5):
    decision = SimpleNamespace(
        origin=SimpleNamespace(normals=normals), threshold=threshold
    )
    return SimpleNamespace(
        manifest=SimpleNamespace(decision=decision, framing=framing),
        local=local and SimpleNamespace(normals=local),
        decision=decision,
    )


def test_the_manifest_holds_the_reference():
    found = reference_of(bundle(record()), 64)
    assert found.source == "manifest"
    assert found.scores.normal == tuple(map(float, range(38)))
    assert (found.scores.alarms, found.scores.count) == (2, 40)
    assert found.images["sharpness"] == tuple(map(float, range(40)))
    assert found.lacking == ""
    assert note_on_reference(bundle(record()), 64) is None


def test_a_recalibration_replaces_it():
    found = reference_of(bundle(record(), record(5.0)), 64)
    assert found.source == "local.json"
    assert found.scores.normal[0] == 5.0


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        (bundle(), "scores, alarms, brightness, contrast, sharpness"),
        (
            bundle(record(count=4)),
            "scores, alarms, brightness, contrast, sharpness",
        ),
        (bundle(record(size=None)), "brightness, contrast, sharpness"),
        (bundle(record(size=(8, 6))), "brightness, contrast, sharpness"),
        (bundle(record(), threshold=-1), "scores, alarms"),
    ],
)
def test_a_record_that_does_not_suit_is_said(given, lacking):
    assert reference_of(given, 64).lacking == lacking
    note = note_on_reference(given, 64)
    assert note.startswith(
        f"drift of {lacking} is measured against this station's first 64"
    )


def test_frames_of_any_size_are_compared():
    found = reference_of(bundle(record(), framing=None), 64)
    assert found.images is not None
