"""Thresholds of a device: from normal pictures, and by hand."""

import getpass
import warnings
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.bundle import LocalSettings
from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes, sha256_of_file
from anomedge.images import list_pictures
from anomedge.station.calibration import (
    author_and_time,
    override_thresholds,
    recalibrate,
)


def test_the_pictures_of_the_fit_do_not_calibrate(pictures):
    paths = list_pictures(pictures / "train")
    digests = "".join(sha256_of_file(path) for path in paths)
    origin = SimpleNamespace(
        folds=5, pictures=sha256_of_bytes(digests.encode())
    )
    decision = SimpleNamespace(origin=origin)
    bundle = SimpleNamespace(manifest=SimpleNamespace(decision=decision))
    inspector = SimpleNamespace(bundle=bundle)
    with pytest.raises(InputError, match="that the detector was fitted to"):
        recalibrate(inspector, paths, "train", 0.1)


def bundle(local=None, *, has_map=True):
    origin = SimpleNamespace(folds=0, pictures="-")
    manifest = SimpleNamespace(
        digest="d" * 64,
        has_map=has_map,
        decision=SimpleNamespace(origin=origin),
    )
    return SimpleNamespace(local=local, manifest=manifest)


class ListedScores:
    """An inspector that gives these scores in turn, and maps ten times as high."""

    def __init__(self, scores, has_map=True):
        self.bundle = bundle()
        self.left, self.has_map = list(scores), has_map

    def read(self, path):
        return np.full((4, 6, 3), path.read_bytes()[0], np.uint8)

    def predict_batch(self, given):
        assert len(given) == 1
        score = self.left.pop(0)
        peak = np.array([[10 * score, 0]], np.float32)
        return [
            SimpleNamespace(
                score=score, anomaly_map=peak if self.has_map else None
            )
        ]


@pytest.fixture
def forty(tmp_path):
    paths = [tmp_path / f"{number:02}.png" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]))
    return paths


def calibrated(paths, scores, rate=0.1, **inspector):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return recalibrate(
            ListedScores(scores, **inspector), paths, "line 3", rate
        )


def test_a_tenth_of_the_pictures_lies_above_the_threshold(forty):
    settings = calibrated(forty, range(40))
    assert settings.threshold == pytest.approx(35.5)
    assert (settings.alarms, settings.count, settings.rate) == (4, 40, 0.1)
    assert settings.pixel_threshold == pytest.approx(355)
    assert (settings.minimum, settings.maximum) == (0, 39)
    assert settings.bundle == "d" * 64
    assert settings.pictures == "40 normal pictures: line 3"
    digests = "".join(sha256_of_file(path) for path in forty)
    assert settings.pictures_digest == sha256_of_bytes(digests.encode())


def test_a_detector_without_a_map_gets_no_pixel_threshold(forty):
    settings = calibrated(forty, range(40), has_map=False)
    assert settings.pixel_threshold is None
    assert settings.threshold == pytest.approx(35.5)


def test_few_pictures_for_the_rate_are_told(forty):
    with pytest.warns(UserWarning, match="40 pictures are .*few for a rate"):
        recalibrate(ListedScores(range(40)), forty, "line 3", 1e-3)


def test_distributions_of_the_pictures_are_recorded_and_kept(forty):
    settings = calibrated(forty, range(40))
    normals = settings.normals
    assert (normals.count, normals.size) == (40, (4, 6))
    assert normals.scores == tuple(map(float, range(40)))
    assert normals.brightness == pytest.approx(range(40))
    by_hand = override_thresholds(bundle(settings), 3.0, None)
    assert by_hand.normals == normals


def test_pictures_that_stand_out_are_named_highest_first(forty):
    scores = [*range(38), 900, 1000]
    found = "2 of 40 normal pictures .* look at 39.png, 38.png;"
    with pytest.warns(UserWarning, match=found):
        recalibrate(ListedScores(scores), forty, "line 3", 0.1)


def test_one_picture_does_not_calibrate(forty):
    with pytest.raises(InputError, match="got 1 pictures; expected at least 2"):
        recalibrate(ListedScores([1]), forty[:1], "line 3", 0.1)


def test_a_threshold_set_by_hand_keeps_the_other_ones():
    before = LocalSettings(
        threshold=1, pixel_threshold=2, minimum=0, maximum=9, rate=0.5,
    )  # fmt: skip
    settings = override_thresholds(bundle(before), None, 7.0)
    assert (settings.threshold, settings.pixel_threshold) == (1, 7)
    assert (settings.minimum, settings.maximum) == (0, 9)
    assert settings.pictures == "set by hand"
    assert settings.rate is None
    fresh = override_thresholds(bundle(), 3.0, None)
    assert (fresh.threshold, fresh.pixel_threshold) == (3, None)
    assert fresh.bundle == "d" * 64


@pytest.mark.parametrize(
    "given", [(None, None), (float("nan"), None), (1.0, float("inf"))]
)
def test_thresholds_that_are_no_numbers_are_refused(given):
    with pytest.raises(InputError, match="expected a finite number"):
        override_thresholds(bundle(), *given)


def test_a_pixel_threshold_needs_a_map():
    with pytest.raises(InputError, match="leave out --set-pixel"):
        override_thresholds(bundle(has_map=False), 1.0, 2.0)
    assert override_thresholds(bundle(has_map=False), 1.0, None).threshold == 1


def test_a_user_without_a_name_is_unknown(monkeypatch):
    """The user number of a container may have no entry."""

    def missing():
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", missing)
    stated = author_and_time()
    assert stated["by"].startswith("unknown on ")
    when = datetime.fromisoformat(stated["when"])
    assert when.utcoffset() == timedelta(0)
    assert abs(datetime.now(when.tzinfo) - when) < timedelta(minutes=1)
