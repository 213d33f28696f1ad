"""Cross-fitting: each picture is scored by a detector that has not seen it; the one that ships has seen all."""

import shutil
import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from anomedge import pipelines
from anomedge.components.estimators import coreset
from anomedge.errors import InputError
from anomedge.images import Picture, read_normal
from anomedge.pipelines import (
    FitData,
    Pipeline,
    banks,
    crossfit,
    sensitivity,
)
from anomedge.pipelines import data as data_module
from anomedge.pipelines.crossfit import (
    Scorer,
    assign_folds,
    fit_and_score,
    score_held_back,
)
from anomedge.pipelines.data import PictureBatches
from anomedge.pipelines.fitting import Rule, SmallSampleWarning, fit
from anomedge.pipelines.patchcore import PatchcoreOptions
from anomedge.resample import Geometry
from tests.conftest import tiny_options
from tests.pipelines.brightness import detector as brightness
from tests.pipelines.quantised.networks import (
    pictures as pictures_of_brightness,
)

SIZE = (64, 72)
GEOMETRY = Geometry(SIZE)


@pytest.fixture
def normal(pictures):
    return read_normal(pictures / "train" / "good")


@pytest.fixture
def kind(detector):
    return pipelines.get(detector)


@pytest.fixture
def own(kind):
    return kind.options_class.checked(
        backbone="test_efficientnet", weights="random"
    )


@pytest.fixture
def own_patchcore():
    return PatchcoreOptions(backbone="test_efficientnet", weights="random")


@pytest.fixture
def data(normal):
    return FitData(PictureBatches(normal, GEOMETRY, 3, "fitting"), size=SIZE)


@pytest.fixture(params=["whole", "region"])
def data_with_region(data, request):
    """The data without and with a region of interest of a third of the image."""
    if request.param == "whole":
        return data
    inside = torch.zeros(SIZE, dtype=torch.bool)
    inside[:, 20:44] = True
    return replace(data, inside=inside)


def assert_same_state(one, two, **tolerances):
    first, second = one.state_dict(), two.state_dict()
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], **tolerances)


@pytest.mark.slow
def test_the_last_detector_is_that_of_a_fit_to_all(kind, own, data):
    *_, last = kind.fit_folds(data, own, [[0, 3, 6], [1, 4, 7], [2, 5]])
    assert_same_state(last, kind.fit(data, own), rtol=0, atol=0)


@pytest.mark.slow
def test_a_fold_of_padim_equals_a_fit_to_the_others(data_with_region):
    data = data_with_region
    kind = pipelines.get("padim")
    own = kind.options_class.checked(
        backbone="test_efficientnet", weights="random"
    )
    images = next(iter(FitData(data.normal, size=SIZE)))
    folds = [[0, 3, 6], [1, 4, 7], [2, 5]]
    exact = Pipeline.fit_folds.__func__(kind, data, own, folds)
    for fold, other in zip(
        kind.fit_folds(data, own, folds), exact, strict=True
    ):
        with torch.no_grad():
            torch.testing.assert_close(
                fold(images).score, other(images).score, rtol=1e-3, atol=1e-4
            )


def test_a_bank_of_patchcore_lacks_the_vectors_of_its_fold(data, monkeypatch):
    monkeypatch.setattr(banks, "_MOST_SELECTED_PER_FOLD", 0)
    kind = pipelines.get("patchcore")
    own = kind.options_class.checked(
        backbone="test_efficientnet", weights="random", coreset=0.2
    )
    folds = [[0, 3, 6], [1, 4, 7], [2, 5]]
    *parts, whole = (
        detector.config.n_vectors
        for detector in kind.fit_folds(data, own, folds)
    )
    assert sum(whole - part for part in parts) == whole
    assert all(0 < part < whole for part in parts)


def test_a_fold_of_patchcore_has_a_coreset_of_the_others(
    data_with_region, own_patchcore
):
    data = data_with_region
    kind = pipelines.get("patchcore")
    folds = [[0, 3, 6], [1, 4, 7, 2, 5]]
    first = next(kind.fit_folds(data, own_patchcore, folds))
    exact = kind.fit(data.part([1, 2, 4, 5, 7]), own_patchcore)
    assert_same_state(first.bank, exact.bank, rtol=1e-3, atol=1e-3)


def test_scores_are_in_the_order_of_the_pictures(kind, own, data, normal):
    folds = [[6, 1], [0, 7, 3], [2, 4, 5]]
    scorer = Scorer(GEOMETRY, 2, seed=0)
    _, scored = fit_and_score(kind, data, own, normal, folds, scorer)
    assert not len(scored.synthetic)
    detector = next(kind.fit_folds(data, own, folds))
    first = scorer.of_pictures(detector, [normal[6], normal[1]])
    np.testing.assert_allclose(
        scored.normal.scores[[6, 1]], first.scores, rtol=1e-5
    )
    np.testing.assert_allclose(
        scored.normal.peaks[[6, 1]], first.peaks, rtol=1e-5
    )


def test_the_progress_names_each_fold(own_patchcore, data, normal, monkeypatch):
    said, selected = [], []

    @contextmanager
    def shown(title, total):
        yield lambda done, text: said.append((title, total, done, text))

    def tracked(items, description, total):
        selected.append(description)
        return iter(items)

    monkeypatch.setattr(crossfit, "steps_shown", shown)
    monkeypatch.setattr(coreset, "track", tracked)
    kind, folds = pipelines.get("patchcore"), [[0, 3, 6], [1, 4, 7, 2, 5]]
    scorer = Scorer(GEOMETRY, 4, seed=0)
    fit_and_score(kind, data, own_patchcore, normal, folds, scorer)
    assert selected == [
        f"selecting the coreset, {of}"
        for of in ("all pictures", "fold 1 of 2", "fold 2 of 2")
    ]
    assert said == [
        ("placing the threshold", 8, done, fold)
        for done, fold in (
            (3, "fold 1 of 2"),
            (7, "fold 2 of 2"),
            (8, "fold 2 of 2"),
        )
    ]


def test_each_kind_of_held_back_pictures_is_shown(monkeypatch):
    shown = []

    def tracked(items, description, total):
        shown.append((description, total))
        return iter(items)

    for module in (data_module, sensitivity):
        monkeypatch.setattr(module, "track", tracked)
    scorer = Scorer(Geometry((8, 8)), 4, seed=0)
    normal = pictures_of_brightness(10)
    score_held_back(brightness(), normal, [], scorer)
    score_held_back(brightness(), normal, normal[:2], scorer)
    title = "placing the threshold, "
    assert shown == [
        (f"{title}normal pictures", 10),
        (f"{title}synthetic defects", 50),
        (f"{title}normal pictures", 10),
        (f"{title}anomalous pictures", 2),
    ]


def test_folds_hold_each_picture_once_and_copies_together(normal):
    copies = [*normal, *(Picture(f"copy-{p.name}", p.path) for p in normal[:3])]
    folds = assign_folds(copies, 5, seed=1)
    assert sorted(place for fold in folds for place in fold) == list(range(11))
    of = {place: i for i, fold in enumerate(folds) for place in fold}
    assert all(of[place] == of[place + 8] for place in range(3))
    assert assign_folds(copies, 5, seed=1) == folds
    assert len(assign_folds(normal, 99, seed=0)) == len(normal)


def test_all_pictures_are_fitted_to_and_scored_in_folds(pictures, detector):
    with pytest.warns(SmallSampleWarning, match="got 8 normal pictures"):
        model = fit(
            detector, pictures / "train", tiny_options(pictures, held_back=None)
        )
    origin = model.decision.origin
    folds = min(8, pipelines.get(detector).default_folds)
    assert (origin.normal, origin.folds) == (8, folds)
    assert origin.rule == "false-alarm-rate"
    assert len(model.card.fitted) == 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        other = fit(detector, pictures / "train", tiny_options(pictures))
    assert_same_state(model.pipeline, other.pipeline, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"folds": 1}, "expected 0, or 2 and more"),
        ({"folds": 3, "holdout": 0.2}, "expected one of them"),
        ({"rule": Rule("balanced", most_false_alarms=1.5)}, "between 0 and 1"),
        ({"rule": Rule("labelled")}, "if and only if --labelled"),
        ({"rule": Rule(recall=0.9)}, "give them with --labelled"),
        ({"rule": Rule("balanced")}, "expected at least 10"),
    ],
)
def test_options_that_do_not_suit_each_other(pictures, options, match):
    with pytest.raises(InputError, match=match):
        fit(
            "padim",
            pictures / "train",
            tiny_options(pictures, held_back=None, **options),
        )


def test_copies_of_one_picture_are_too_few(pictures, normal, tmp_path):
    for number in range(6):
        shutil.copy(normal[0].path, tmp_path / f"{number}.png")
    with pytest.raises(
        InputError, match="got 6 pictures, 1 different; expected"
    ):
        fit("padim", tmp_path, tiny_options(pictures, held_back=None))
