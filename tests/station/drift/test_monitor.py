"""All figures of a station, with a record and without one."""

import numpy as np

from anomedge.demo.textures import BANDS, _crop, _photograph
from anomedge.images.statistics import ImageStatistics, image_statistics
from anomedge.station.drift.monitor import DriftMonitor
from anomedge.station.drift.reference import (
    IMAGE_FIGURES,
    Reference,
    ReferenceScores,
)

THRESHOLD = 2.5


def frames(count, seed, factor=1.0):
    """Scores and image statistics."""
    generator = np.random.default_rng(seed)
    for score, noise in zip(
        generator.normal(0, 1, count),
        generator.normal(0, 1, (count, 3)),
        strict=True,
    ):
        light = factor * (np.array([120, 35, 60]) + noise * [8, 3, 6])
        yield score + 4 * (factor - 1), ImageStatistics(*light)


def reference(count=100):
    drawn = list(frames(count, 0))
    images = np.array([each for _, each in drawn]).T
    scores = tuple(score for score, _ in drawn)
    return Reference(
        "manifest",
        ReferenceScores.of(scores, THRESHOLD),
        dict(zip(IMAGE_FIGURES, map(tuple, images), strict=True)),
    )


def changes(monitor, given):
    """The frame's place, name and state of each change."""
    return [
        (place, change.name, change.begun)
        for place, (score, statistics) in enumerate(given)
        for change in monitor.add(score, score > THRESHOLD, statistics)
    ]


def monitor(given=None, window=64):
    return DriftMonitor(given or reference(), 5.0, window)


def test_undisturbed_frames_are_no_drift():
    assert changes(monitor(), frames(500, 1)) == []


def test_light_is_noticed_before_20_frames_and_ends_with_it():
    followed = monitor()
    changes(followed, frames(100, 1))
    begun = changes(followed, frames(100, 2, 1.3))
    first = {name: place for place, name, _ in begun}
    assert first["brightness"] < 20
    assert first["scores"] < 80
    assert all(state for *_, state in begun)
    over = changes(followed, frames(200, 3))
    assert {name for _, name, _ in over} == set(first)
    assert not any(state for *_, state in over)


def test_defects_change_the_alarms_alone():
    followed = monitor()
    changes(followed, frames(100, 1))
    defects = [(9.0, each) for _, each in frames(40, 2)]
    assert [name for _, name, _ in changes(followed, defects)] == ["alarms"]


def test_without_a_record_the_first_normal_frames_are_the_reference():
    followed = monitor(Reference("none"))
    defects = [(9.0, each) for _, each in frames(3, 4)]
    assert changes(followed, defects) == []
    assert changes(followed, frames(63, 1)) == []
    assert followed.learning
    assert followed.comparisons() == {}
    assert changes(followed, frames(101, 5)) == []
    assert not followed.learning
    found = followed.comparisons()
    assert found.keys() == {"scores", "alarms", *IMAGE_FIGURES}
    assert found["alarms"].reference == 3 / 67
    (change,) = (
        change
        for score, each in frames(15, 6, 1.3)
        for change in followed.add(score, False, each)
        if change.name == "brightness"
    )
    assert change.source == "first 64 normal frames"


def test_the_demo_brightened_by_1_3_is_noticed_before_20_frames():
    """5 of 12 of these pictures were false alarms, without a word."""
    photograph = _photograph("gravel")
    generator = np.random.default_rng(0)

    def statistics(count, band, factor=1.0):
        for _ in range(count):
            crop = _crop(photograph, BANDS[band], (60, 80), generator)
            light = np.clip(factor * crop, 0, 255).astype(np.uint8)
            yield 0.0, image_statistics(light)

    recorded = [each for _, each in statistics(40, "held_back")]
    images = map(tuple, np.array(recorded).T)
    followed = monitor(
        Reference(
            "manifest", images=dict(zip(IMAGE_FIGURES, images, strict=True))
        )
    )
    assert changes(followed, statistics(100, "test")) == []
    begun = changes(followed, statistics(19, "test", 1.3))
    assert "brightness" in {name for _, name, _ in begun}
