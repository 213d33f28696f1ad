"""EfficientAD: networks, map, score, loss and quantiles by independent formulas; its teacher, penalty and options."""

import numpy as np
import pytest
import torch
from PIL import Image

from anomedge.errors import InputError, ModelError
from anomedge.pipelines import FitData
from anomedge.pipelines.efficient_ad import EfficientAd, EfficientAdOptions
from anomedge.pipelines.fitting import FitOptions, SmallSampleWarning, fit
from anomedge.resample import Geometry, Tiling
from tests.conftest import tiny_options
from tests.pipelines.descriptions import (
    CHANNELS,
    QUICK,
    SIZE,
    images_of,
    made,
    outputs,
    prediction,
    raw_maps,
    teacher_file,
)
from tests.pipelines.laws import (
    assert_a_batch_is_its_images,
    assert_equal_tensors,
    assert_exports_strictly,
    assert_loaded_alike,
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return teacher_file(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def trained(teacher):
    return fitted(teacher)


def fitted(teacher, count=4, **more):
    options = EfficientAdOptions.checked(teacher=teacher, **QUICK | more)
    return EfficientAd.fit(FitData([images_of(count)], size=SIZE), options)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"padding": True, "pad_maps": False},
        {"padding": True},
        {"pad_maps": False},
        pytest.param({"model_size": "medium"}, marks=pytest.mark.slow),
    ],
    ids=lambda fields: " ".join(fields) or "default",
)
def test_score_and_map_are_the_formula_in_float64(float64, fields):
    pipeline, images = made(**fields), images_of().double()
    padding = {
        name: value for name, value in fields.items() if name != "model_size"
    }
    score, anomaly_map = prediction(pipeline.state_dict(), images, **padding)
    with torch.no_grad():
        found = pipeline(images)
    np.testing.assert_allclose(
        found.anomaly_map, anomaly_map, rtol=1e-9, atol=1e-11
    )
    np.testing.assert_allclose(found.score, score, rtol=1e-9)


@pytest.mark.slow
def test_the_formula_holds_for_an_image_as_in_the_paper(float64):
    pipeline, images = made(size=(256, 300)), images_of(1, (256, 300)).double()
    score, _ = prediction(pipeline.state_dict(), images)
    with torch.no_grad():
        np.testing.assert_allclose(pipeline(images).score, score, rtol=1e-9)


def test_the_loss_is_the_formula_in_float64(float64):
    pipeline, images = made(), images_of().double()
    state = pipeline.state_dict()
    teacher, first, second, described = outputs(state, images)
    hard = []
    for distances in (teacher - first).square():
        quantile = torch.quantile(distances, 0.999)
        hard.append(distances[distances >= quantile].mean())
    expected = (
        torch.stack(hard).mean()
        + (teacher - described).square().mean()
        + (described - second).square().mean()
    )
    found = pipeline.loss(images)
    np.testing.assert_allclose(found.item(), expected.item(), rtol=1e-9)


def test_a_penalty_is_added_in_training_only():
    class Outside:
        def drawn(self, count):
            return images_of(count, seed=9)

    pipeline, images = made(), images_of(2)
    pipeline.autoencoder.eval()
    plain = pipeline.loss(images)
    pipeline.penalty = Outside()
    assert torch.equal(pipeline.loss(images), plain)
    losses = []
    for penalty in (None, Outside()):
        pipeline.penalty = penalty
        pipeline.student.train()
        torch.manual_seed(0)
        losses.append(pipeline.loss(images).item())
    _, first, _, _ = outputs(pipeline.state_dict(), images_of(2, seed=9))
    expected = first.square().mean().item()
    np.testing.assert_allclose(losses[1] - losses[0], expected, rtol=1e-4)


def test_statistics_are_those_of_the_images_trained_on(trained):
    images, state = images_of(4), trained.state_dict()
    plain = state | {
        "teacher_mean": torch.zeros(()),
        "teacher_std": torch.ones(()),
    }
    teacher = outputs(plain, images)[0]
    axes = (0, 2, 3)
    torch.testing.assert_close(
        state["teacher_mean"].flatten().double(), teacher.mean(dim=axes)
    )
    torch.testing.assert_close(
        state["teacher_std"].flatten().double(),
        teacher.std(dim=axes, unbiased=False),
        rtol=1e-5,
        atol=0,
    )
    for own, each in zip(
        state["quantiles"], raw_maps(state, images), strict=True
    ):
        expected = np.quantile(each.numpy(), [0.9, 0.995])
        np.testing.assert_allclose(own, expected, rtol=1e-5)


def test_quantiles_come_from_held_out_images_and_from_some_of_many_pixels(
    teacher, monkeypatch
):
    pipeline, images = made(), images_of(8)
    whole = pipeline.quantiles
    pipeline.finish(FitData([images], size=SIZE))
    exact = pipeline.quantiles
    assert not torch.equal(exact, whole)
    monkeypatch.setattr("anomedge.pipelines.efficient_ad._MOST_VALUES", 8000)
    pipeline.finish(FitData([images], size=SIZE))
    assert not torch.equal(pipeline.quantiles, exact)
    torch.testing.assert_close(pipeline.quantiles, exact, rtol=0.05, atol=0)


def test_a_batch_is_its_images_one_by_one_and_stays_untouched():
    assert_a_batch_is_its_images(made(), images_of())


def test_equal_seeds_give_equal_tensors(teacher, trained):
    assert_equal_tensors(trained, fitted(teacher))
    assert trained.penalty is None
    assert trained.record.options["penalty"] == "none"


@pytest.mark.slow
def test_student_and_autoencoder_learn_and_the_teacher_stays(teacher, trained):
    later = fitted(teacher, epochs=8, learning_rate=1e-3)
    assert later.record.loss < 0.97 * trained.record.loss
    for name, tensor in trained.teacher.state_dict().items():
        assert torch.equal(tensor, later.teacher.state_dict()[name])


def test_pictures_from_outside_are_read(teacher, tmp_path):
    folder = tmp_path / "outside" / "kind"
    folder.mkdir(parents=True)
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(folder / "a.png")
    found = fitted(teacher, penalty=tmp_path / "outside")
    assert found.penalty is None
    recorded = found.record.options["penalty"]
    assert recorded.startswith("1 pictures, SHA-256 ")
    with pytest.raises(InputError, match="expected a folder of pictures"):
        fitted(teacher, penalty=tmp_path / "absent")


def test_a_teacher_of_the_other_size_is_refused(teacher):
    with pytest.raises(ModelError, match="give --model-size small"):
        fitted(teacher, model_size="medium")


def test_small_images_are_refused(teacher):
    options = EfficientAdOptions.checked(teacher=teacher, **QUICK)
    data = FitData([images_of(2, (32, 64))], size=(32, 64))
    with pytest.raises(InputError, match="at least 64x64"):
        EfficientAd.create(data, options)


def test_a_teacher_with_a_constant_channel_is_refused(teacher):
    pipeline = made()
    pipeline.teacher.conv4.weight[2] = 0
    with pytest.raises(ModelError, match="channels that are equal"):
        pipeline.prepare(FitData([images_of()], size=SIZE))


def test_a_teacher_that_overflows_is_refused_as_such():
    pipeline = made()
    pipeline.teacher.conv4.weight[2] = 3e38
    with pytest.raises(ModelError, match="not finite for these images"):
        pipeline.prepare(FitData([images_of()], size=SIZE))


def test_maps_without_padding_are_surrounded_by_zeros_and_others_are_not(
    teacher,
):
    found = {}
    for padding in (False, True):
        options = EfficientAdOptions.checked(
            teacher=teacher, padding=padding, **QUICK
        )
        data = FitData([images_of(2)], size=SIZE)
        found[padding] = EfficientAd.create(data, options).config.pad_maps
    assert found == {False: True, True: False}


def test_the_learning_rate_falls_after_95_percent(trained, teacher):
    options = EfficientAdOptions.checked(teacher=teacher)
    pipeline = made().requires_grad_(True)
    optimiser = pipeline.optimiser(options)
    assert len(optimiser.param_groups[0]["params"]) == 2 * (4 + 6 + 8)
    schedule = pipeline.schedule(optimiser, options, 20)
    rates = []
    for _ in range(20):
        optimiser.step()
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    np.testing.assert_allclose(rates, [1e-4] * 19 + [1e-5])


def test_it_exports_strictly():
    pipeline, images = made(), images_of()
    assert_exports_strictly(pipeline, images)


def test_the_file_has_the_detector_its_teacher_and_the_notice(
    pictures, teacher, tmp_path
):
    own = {"teacher": teacher, **QUICK}
    options = tiny_options(pictures)
    options = options.__class__(
        options.geometry, held_back=options.held_back, detector=own
    )
    with pytest.warns(SmallSampleWarning):
        model = fit("efficient_ad", pictures / "train", options)
    images = torch.rand(2, 3, *model.geometry.image)
    path = tmp_path / "m.safetensors"
    found = assert_loaded_alike(path, model, images)
    assert found.pipeline.config == model.pipeline.config
    assert found.card.weights == f"teacher-small-{CHANNELS}.safetensors"
    assert "check before commercial use" in found.card.licence["method"]
    assert found.card.training.epochs == 1


def test_pictures_of_the_fit_are_no_penalty(pictures, teacher):
    folder = pictures / "train"
    own = {"teacher": teacher, **QUICK, "penalty": folder}
    geometry = tiny_options(pictures).geometry
    options = FitOptions(geometry, holdout=0.5, detector=own)
    with pytest.raises(InputError, match="outside that the fit has as well"):
        fit("efficient_ad", folder, options)


@pytest.mark.parametrize(
    ("overlap", "more", "refused"),
    [
        (31, {}, True),
        (32, {}, False),
        (0, {"padding": True}, False),
        (0, {"pad_maps": False}, False),
    ],
)
def test_tiles_with_blind_bands_are_refused_before_the_fit(
    overlap, more, refused, teacher, tmp_path
):
    tiling = Tiling((64, 64), overlap)
    geometry = Geometry((64, 128 - overlap), tiling=tiling)
    own = {"teacher": teacher, **more}
    options = FitOptions(geometry, detector=own)
    expected = "--overlap 32 or --padding" if refused else "folder of pictures"
    with pytest.raises(InputError, match=expected):
        fit("efficient_ad", tmp_path / "absent", options)
