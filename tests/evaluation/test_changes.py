"""Changes against eager Torch: of figures that both detectors have."""

import pytest

from anomedge.evaluation.changes import with_changes
from anomedge.evaluation.records import Column, Figure, LevelFigures, Rate


def column(name, auroc=None, recall=None, pixel=None):
    figure = None if auroc is None else Figure(value=auroc)
    rate = None if recall is None else Rate(value=recall, count=1, of=2)
    image = LevelFigures(
        normal=2, anomalous=2, threshold=1, auroc=figure, recall=rate
    )
    return Column(
        name=name, version="1", running_on="cpu", image=image, pixel=pixel
    )


def pixels(aupro):
    return LevelFigures(
        normal=9, anomalous=3, threshold=1, aupro=Figure(value=aupro)
    )


def test_a_change_is_the_value_minus_that_of_eager_torch():
    columns = [
        column("eager torch", 0.75, 0.5, pixels(0.9)),
        column("a", 0.5, 1.0, pixels(0.8)),
        column("b", 0.75, 0.5, pixels(0.9)),
    ]
    first, *others = with_changes(columns, {"a": ("x.png",), "b": ()})
    assert first == columns[0]
    assert others[0].change == pytest.approx(
        {"image auroc": -0.25, "image recall": 0.5, "pixel aupro": -0.1}
    )
    assert others[0].flips == ("x.png",)
    assert set(others[1].change.values()) == {0}
    assert others[1].flips == ()


def test_figures_that_one_of_them_lacks_have_no_change():
    columns = [
        column("eager torch", auroc=0.75, pixel=pixels(0.9)),
        column("a", recall=0.5),
    ]
    _, other = with_changes(columns, {"a": ()})
    assert other.change == {}


def test_without_eager_torch_nothing_changes():
    columns = [column("a", 0.75), column("b", 0.5)]
    assert list(with_changes(columns, {})) == columns
