"""STFPM: its loss and its map by independent formulas, its student, and values near 1e-9 through a whole export."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import numpy_helper

from anomedge.bundle import Bundle
from anomedge.export.bundling import ExportOptions, export
from anomedge.images import read_folder
from anomedge.pipelines import FitData
from anomedge.pipelines.crossfit import Scorer, score_held_back
from anomedge.pipelines.decision import (
    Rule,
    SmallSampleWarning,
    ThresholdSample,
    place_threshold,
)
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.model import save
from anomedge.pipelines.stfpm import Stfpm, StfpmOptions
from tests.conftest import FRAME, RUNTIMES, tiny_options
from tests.pipelines.laws import (
    assert_exports_strictly,
    assert_loaded_alike,
    assert_values_in_float64,
)
from tests.pipelines.levels import LAYERS, SIZE, fitted

QUICK = {"epochs": 2, "train_batch": 2, "device": "cpu"}


def levels_of(made, images):
    """Half of the squared distance of unit features, with numpy."""
    mean, std = (
        np.reshape(values, (1, 3, 1, 1))
        for values in (made.config.mean, made.config.std)
    )
    scaled = (images.numpy() - mean) / std
    found = []
    for layer in LAYERS:
        unit = []
        for network in (made.teacher, made.student):
            with torch.no_grad():
                x = network(torch.from_numpy(scaled).to(images))[layer].numpy()
            length = np.sqrt(np.einsum("bchw,bchw->bhw", x, x))
            unit.append(x / np.maximum(length, 1e-12)[:, None])
        found.append(((unit[0] - unit[1]) ** 2).sum(axis=1) / 2)
    return found


def test_score_and_map_are_the_formula_in_float64(float64):
    made, images = fitted(Stfpm, **QUICK)
    images = images.double()
    expected = np.ones((len(images), *SIZE))
    for level in levels_of(made, images):
        large = F.interpolate(
            torch.from_numpy(level)[:, None], size=SIZE, mode="bilinear"
        )
        expected = expected * large[:, 0].numpy()
    assert_values_in_float64(made, images, expected)


def test_the_loss_is_the_formula_in_float64(float64):
    made, images = fitted(Stfpm, **QUICK)
    images = images.double()
    expected = sum(level.mean() for level in levels_of(made, images))
    np.testing.assert_allclose(made.loss(images).item(), expected, rtol=1e-9)


def test_scaled_options_make_the_step_of_a_loss_that_is_a_sum(float64):
    """anomalib adds the losses of a batch of B, with SGD of 0.4 and weight decay 1e-3."""
    made, images = fitted(Stfpm, **QUICK)
    count = len(images)
    scaled = made.scaled(images.double())
    made.student.requires_grad_(True)
    given = made.teacher(scaled), made.student(scaled)
    loss = sum(
        (F.normalize(x) - F.normalize(y)).square().sum() / (2 * x[0, 0].numel())
        for x, y in zip(*(levels.values() for levels in given), strict=True)
    )
    weights = list(made.student.parameters())
    expected = [
        weight - 0.4 * (gradient + 1e-3 * weight)
        for weight, gradient in zip(
            weights, torch.autograd.grad(loss, weights), strict=True
        )
    ]
    options = StfpmOptions(learning_rate=0.4 * count, weight_decay=1e-3 / count)
    optimiser = made.optimiser(options)
    optimiser.zero_grad()
    made.loss(images.double()).backward()
    optimiser.step()
    torch.testing.assert_close(weights, expected, rtol=1e-9, atol=0)


def test_values_near_a_billionth_keep_their_digits():
    made, images = fitted(Stfpm, **QUICK)
    state = made.teacher.state_dict()
    generator = torch.Generator().manual_seed(2)
    for name, tensor in state.items():
        noise = torch.randn(tensor.shape, generator=generator)
        state[name] = tensor * (1 + 6e-3 * noise)
    made.student.load_state_dict(state)
    with torch.no_grad():
        found = made(images).score
        exact = made.double()(images.double()).score
    assert 1e-11 < exact.min() < exact.max() < 1e-8
    np.testing.assert_allclose(found, exact, rtol=2e-4)


def test_a_batch_is_its_images_one_by_one_and_stays_untouched():
    made, images = fitted(Stfpm, **QUICK)
    before = images.clone()
    with torch.no_grad():
        together = made(images)
        alone = [made(image[None]) for image in images]
    assert torch.equal(images, before)
    for i, each in enumerate(alone):
        torch.testing.assert_close(
            together.anomaly_map[i], each.anomaly_map[0], rtol=1e-5, atol=0
        )


def test_equal_seeds_give_equal_tensors():
    one, other = (fitted(Stfpm, **QUICK)[0] for _ in range(2))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_the_student_differs_from_a_random_teacher_and_learns():
    first, _ = fitted(Stfpm, epochs=1, learning_rate=1e-9, device="cpu")
    assert first.record.loss > 0.1
    later, _ = fitted(Stfpm, epochs=60, learning_rate=0.1, device="cpu")
    assert later.record.loss < 0.5 * first.record.loss
    for name, tensor in first.teacher.state_dict().items():
        assert torch.equal(tensor, later.teacher.state_dict()[name])


def test_batch_normalisation_of_the_student_alone_is_trained():
    images = torch.rand(4, 3, 32, 32)
    options = StfpmOptions(
        backbone="test_efficientnet",
        layers="blocks.1,blocks.2",
        weights="random",
        epochs=1,
        device="cpu",
    )
    made = Stfpm.fit(FitData([images], size=(32, 32)), options)
    counted = {
        name.split(".")[0]: int(tensor)
        for name, tensor in made.state_dict().items()
        if name.endswith("num_batches_tracked")
    }
    assert counted == {"teacher": 0, "student": 1}
    assert not made.student.feature_extractor.training


def test_defaults_are_those_of_the_paper():
    options = StfpmOptions()
    assert (options.learning_rate, options.momentum) == (0.4, 0.9)
    assert (options.epochs, options.train_batch) == (100, 32)
    assert options.weight_decay == 1e-4
    assert (Stfpm.default_backbone, Stfpm.default_strides) == (
        "resnet18",
        (4, 8, 16),
    )
    assert "sigma" not in StfpmOptions.model_fields


def test_it_exports_strictly():
    made, images = fitted(Stfpm, **QUICK)
    assert_exports_strictly(made, images)


@pytest.fixture(scope="module")
def model(pictures):
    options = tiny_options(pictures, detector={"epochs": 1, "device": "cpu"})
    with pytest.warns(SmallSampleWarning):
        return fit("stfpm", pictures / "train", options)


def test_the_file_has_the_detector_and_its_training(model, tmp_path):
    images = torch.rand(2, 3, *model.geometry.image)
    path = tmp_path / "m.safetensors"
    found = assert_loaded_alike(path, model, images)
    assert found.card.training == model.card.training
    assert found.card.training.options["flip"] == "none"
    assert found.card.training.epochs == 1


@pytest.mark.slow
def test_a_threshold_near_a_billionth_survives_export_and_proof(
    model, pictures, tmp_path
):
    generator = torch.Generator().manual_seed(2)
    state = model.pipeline.teacher.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            state[name] = tensor * (1 + 8e-3 * noise)
    model.pipeline.student.load_state_dict(state)
    held = read_folder(pictures / "held_back")
    sample = ThresholdSample(held, [], "held back")
    scored = score_held_back(
        model.pipeline, held, [], Scorer(model.geometry, 4, 0)
    )
    with pytest.warns(SmallSampleWarning):
        decision = place_threshold(scored, sample, Rule())
    assert 1e-10 < decision.pixel_threshold < 1e-8
    save(replace(model, decision=decision), tmp_path / "m.safetensors")
    certificate = export(
        tmp_path / "m.safetensors",
        tmp_path / "m.anomedge",
        ExportOptions(
            frame=FRAME,
            golden=[pictures / "test"],
            runtimes=RUNTIMES,
            batches=[1, 2, 3],
            layout="anomalib",
            # A student that is so close amplifies rounding.
            widen=4,
        ),
    )
    assert certificate.passed
    bundle = Bundle.open(tmp_path / "m.anomedge")
    assert bundle.manifest.decision == decision
    graph = onnx.load(bundle.path / "anomalib.onnx").graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    assert stored["pixel_threshold"] == np.float32(decision.pixel_threshold)
    content = json.loads((bundle.path / "manifest.json").read_bytes())
    assert content["decision"]["pixel_threshold"] == decision.pixel_threshold
