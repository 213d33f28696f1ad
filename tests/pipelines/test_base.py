"""What every detector has: checked records, frozen networks, folds, twins."""

from typing import Annotated

import pytest
import torch
from pydantic import Field
from torch import nn

from anomedge.errors import InputError
from anomedge.pipelines import Config, FitData, Options
from tests.pipelines.brightness import (
    Brightness,
    WithoutMap,
    detector,
    images,
    mean_of_channels,
)


class Chosen(Options):
    """An option with a range."""

    rounds: int = 3
    share_kept: float = Field(0.5, gt=0, lt=1)
    places: tuple[Annotated[int, Field(ge=0)], ...] = ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rounds": "many"}, "got --rounds many; expected a valid integer"),
        (
            {"share_kept": 0.0},
            "got --share-kept 0.0; expected more than 0 and less than 1",
        ),
        ({"share_kept": 2}, "got --share-kept 2; expected more than 0 and"),
        ({"places": (1, -2)}, "got --places -2; expected each greater than"),
        (
            {"speed": 1},
            "got the option speed; expected one of: rounds, share_kept, places",
        ),
    ],
)
def test_options_are_refused_in_one_line(values, message):
    with pytest.raises(InputError) as error:
        Chosen.checked(**values)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(7, 8), (8, 4097), (8,), "8x8"])
def test_sizes_of_images_have_a_range(size):
    with pytest.raises(InputError, match="got size"):
        Config.checked(size=size)


def test_a_field_of_newer_releases_is_written_where_it_differs():
    assert Config(size=(8, 9)).model_dump(mode="json") == {"size": [8, 9]}
    assert Config(size=(8, 9), masked=True).model_dump()["masked"] is True


def test_networks_are_frozen_and_those_stated():
    made = detector()
    assert not made.net.training
    assert not any(x.requires_grad for x in made.parameters())
    for wrong in ({}, {"other": mean_of_channels()}):
        with pytest.raises(TypeError, match=r"expected \['net'\]"):
            super(Brightness, made).__init__(made.config, **wrong)


def test_a_computed_buffer_of_a_base_class_is_not_replaced():
    made = detector()
    made.register_buffer("mean", torch.zeros(1), persistent=False)
    with pytest.raises(TypeError, match="has a buffer 'mean' already"):
        made.register_buffer("mean", torch.ones(1))
    made.register_buffer("centre", torch.ones(1))
    assert made.centre == 1


def test_a_prediction_has_a_map_where_a_stage_is_one():
    found = detector()(images(0.25, 0.75))
    assert found.score.tolist() == pytest.approx([0.25, 0.75])
    assert found.anomaly_map.shape == (2, 1, 8, 8)
    assert detector(WithoutMap)(images(0.25)).anomaly_map is None


def test_a_fold_is_fitted_to_the_images_outside_of_it():
    data = FitData([images(0.0, 0.2), images(0.4, 1.0)], size=(8, 8))
    folds = list(Brightness.fit_folds(data, Options(), [[0, 3], [1, 2]]))
    centres = [float(each.centre) for each in folds]
    assert centres == pytest.approx([0.3, 0.5, 0.4])
    assert not any(each.training for each in folds)


def test_a_twin_has_other_networks_and_the_same_statistics():
    made = detector()
    twin = made.with_networks({"net": nn.Identity()})
    assert isinstance(twin.net, nn.Identity)
    assert isinstance(made.net, nn.Conv2d)
    assert twin.centre is made.centre
    assert made.with_networks({}).net is made.net


def test_a_detector_is_described_by_its_name_and_suggests_nothing():
    assert detector().describe() == "brightness"
    assert list(detector().suggestions(None, 8)) == []
    assert Options().weights_name() == "none"


def test_a_buffer_that_is_set_on_a_twin_is_none_of_the_detectors():
    """Detectors set the statistics of `refit` so."""
    made = Brightness(Config(size=(8, 8)), net=mean_of_channels())
    twin = made.with_networks({"net": mean_of_channels()})
    assert twin.centre is made.centre
    twin.centre = torch.ones(1)
    assert float(made.centre) == 0
