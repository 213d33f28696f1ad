"""Reverse distillation: map, score and loss by independent formulas, sizes that it refuses, and what is trained."""

from functools import reduce

import numpy as np
import pytest
import torch
from scipy import ndimage

from anomedge.errors import InputError
from anomedge.pipelines import FitData
from anomedge.pipelines.decision import SmallSampleWarning
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.reverse_distillation import (
    ReverseDistillation,
    ReverseDistillationOptions,
)
from anomedge.resample import Geometry
from tests.conftest import tiny_options
from tests.pipelines.laws import (
    assert_a_batch_is_its_images,
    assert_exports_strictly,
    assert_loaded_alike,
    assert_values_in_float64,
)
from tests.pipelines.levels import LAYERS, Levels

SIZE = (32, 48)
QUICK = {"epochs": 2, "train_batch": 3, "device": "cpu"}


def fitted(**options):
    """A detector trained on noise, and the noise."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(5, 3, *SIZE, generator=generator)
    given = {"backbone": Levels(), "layers": LAYERS} | QUICK | options
    own = ReverseDistillationOptions.checked(**given)
    data = FitData([images[:2], images[2:]], size=SIZE)
    return ReverseDistillation.fit(data, own), images


def maps_of(made, images):
    """The maps of encoder and decoder, with numpy, finest layer first."""
    mean, std = (
        np.reshape(values, (1, 3, 1, 1))
        for values in (made.config.mean, made.config.std)
    )
    scaled = torch.from_numpy((images.numpy() - mean) / std).to(images)
    with torch.no_grad():
        encoded = list(made.encoder(scaled).values())
        decoded = made.decoder(made.bottleneck(encoded))
    return [
        (x.numpy(), y.numpy()) for x, y in zip(encoded, decoded, strict=True)
    ]


def cosine(x, y, axis):
    product = (x * y).sum(axis=axis)
    lengths = np.sqrt((x * x).sum(axis=axis) * (y * y).sum(axis=axis))
    return product / lengths


def upsampled(level):
    """Linear interpolation between samples at both ends of each axis."""
    for axis, count in ((1, SIZE[0]), (2, SIZE[1])):
        places = np.arange(level.shape[axis])
        wanted = np.arange(count) * (len(places) - 1) / (count - 1)
        level = np.apply_along_axis(
            lambda line, wanted=wanted, places=places: np.interp(
                wanted, places, line
            ),
            axis,
            level,
        )
    return level


@pytest.mark.parametrize("mode", ["add", "multiply"])
def test_score_and_map_are_the_formula_in_float64(mode, float64):
    made, images = fitted(anomaly_map_mode=mode, sigma=3)
    images = images.double()
    levels = [
        upsampled(1 - cosine(x, y, axis=1)) for x, y in maps_of(made, images)
    ]
    combined = reduce(np.add if mode == "add" else np.multiply, levels)
    expected = ndimage.gaussian_filter(
        combined, sigma=(0, 3, 3), truncate=4.0, mode="mirror"
    )
    assert_values_in_float64(made, images, expected)


def test_the_loss_is_the_formula_in_float64(float64):
    made, images = fitted()
    images = images.double()
    expected = 0.0
    for x, y in maps_of(made, images):
        one, other = (a.reshape(len(a), -1) for a in (x, y))
        expected += (1 - cosine(one, other, axis=1)).mean()
    np.testing.assert_allclose(made.loss(images).item(), expected, rtol=1e-9)


def test_a_batch_is_its_images_and_stays_untouched():
    assert_a_batch_is_its_images(*fitted())


def test_equal_seeds_give_equal_tensors_and_the_encoder_stays():
    one, other = (fitted()[0] for _ in range(2))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    original = Levels().fine.weight
    assert torch.equal(one.encoder.feature_extractor.fine.weight, original)


def test_the_decoder_learns():
    first, _ = fitted(epochs=1)
    later, _ = fitted(epochs=12)
    assert later.record.loss < 0.9 * first.record.loss


@pytest.mark.parametrize("beta2", [0.999, 0.99])
def test_steps_are_those_of_adam_in_float64(beta2, float64):
    """A weight after two steps, by Kingma & Ba's formula; anomalib has a beta2 of 0.99."""
    made, _ = fitted()
    made.decoder.requires_grad_(True)
    optimiser = made.optimiser(ReverseDistillationOptions(beta2=beta2))
    weight = next(made.decoder.parameters())
    expected, m, v = weight.detach().clone(), 0.0, 0.0
    for step, gradient in enumerate((0.3, -0.2), start=1):
        weight.grad = torch.full_like(weight, gradient)
        optimiser.step()
        m = 0.5 * m + 0.5 * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        mean, square = m / (1 - 0.5**step), v / (1 - beta2**step)
        expected -= 0.005 * mean / (square**0.5 + 1e-8)
    torch.testing.assert_close(weight.data, expected, rtol=1e-9, atol=0)


def test_batch_normalisation_of_bottleneck_and_decoder_alone_is_trained():
    options = ReverseDistillationOptions(
        backbone="test_efficientnet",
        layers="blocks.1,blocks.2",
        weights="random",
        epochs=1,
        device="cpu",
    )
    data = FitData([torch.rand(4, 3, 32, 32)], size=(32, 32))
    made = ReverseDistillation.fit(data, options)
    counted = {
        (name.split(".")[0], int(tensor))
        for name, tensor in made.state_dict().items()
        if name.endswith("num_batches_tracked")
    }
    assert counted == {("encoder", 0), ("bottleneck", 1), ("decoder", 1)}
    assert not made.decoder.training


def test_defaults_are_those_of_the_paper():
    options = ReverseDistillationOptions()
    assert options.learning_rate == 0.005
    assert (options.beta1, options.beta2) == (0.5, 0.999)
    assert (options.epochs, options.train_batch) == (200, 16)
    assert (options.sigma, options.anomaly_map_mode) == (4.0, "add")
    kind = ReverseDistillation
    assert kind.default_backbone == "wide_resnet50_2"
    assert kind.default_strides == (4, 8, 16)


@pytest.mark.parametrize(
    ("size", "near"),
    [
        ((40, 48), "32x48 or 48x48"),
        ((56, 100), "48x96 or 64x112"),
    ],
)
def test_a_size_that_the_strides_do_not_divide_is_refused(size, near):
    own = ReverseDistillationOptions(backbone=Levels(), layers=LAYERS, **QUICK)
    data = FitData([torch.rand(2, 3, *size)], size=size)
    with pytest.raises(
        InputError,
        match=rf"multiples of 16, .* give --size {near} \(--crop or --tile",
    ):
        ReverseDistillation.fit(data, own)


def test_layers_whose_strides_do_not_double_are_refused():
    options = ReverseDistillationOptions(
        backbone="test_efficientnet",
        layers="blocks.1,blocks.3",
        weights="random",
        **QUICK,
    )
    data = FitData([torch.rand(2, 3, 64, 64)], size=(64, 64))
    with pytest.raises(InputError, match=r"strides \[4, 16\]; expected each"):
        ReverseDistillation.fit(data, options)


def test_one_layer_is_enough():
    made, images = fitted(layers=LAYERS[:1], epochs=1)
    assert made(images).anomaly_map.shape == (5, 1, *SIZE)


def test_it_exports_strictly():
    made, images = fitted(anomaly_map_mode="multiply", epochs=1)
    assert_exports_strictly(made, images)


def test_the_file_has_the_detector_and_its_options(pictures, tmp_path):
    own = QUICK | {"anomaly_map_mode": "multiply", "sigma": 2.0}
    options = tiny_options(pictures, detector=own, geometry=Geometry((64, 64)))
    with pytest.warns(SmallSampleWarning):
        model = fit("reverse_distillation", pictures / "train", options)
    images = torch.rand(2, 3, 64, 64)
    path = tmp_path / "m.safetensors"
    found = assert_loaded_alike(path, model, images)
    assert found.pipeline.config.anomaly_map_mode == "multiply"
    assert found.card.training.epochs == 2
