"""Detectors against formulas written down independently, with numpy and scipy, from the papers."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.spatial.distance import cdist

from anomedge.images import list_pictures, read_picture
from anomedge.pipelines import FitData
from anomedge.pipelines.padim import Padim
from anomedge.pipelines.patchcore import Patchcore
from anomedge.pipelines.preprocessing import to_images
from anomedge.pipelines.stfpm import Stfpm
from anomedge.resample import Geometry

GEOMETRY = Geometry((80, 72), (72, 64))


def images_of(folder: Path, count: int) -> torch.Tensor:
    frames = [
        torch.from_numpy(read_picture(path).copy())
        for path in list_pictures(folder)[:count]
    ]
    return torch.cat([to_images(frame[None], GEOMETRY) for frame in frames])


def fitted(kind, batches, size, layers, options=()):
    backbone = {"backbone": "test_efficientnet", "weights": "random"}
    own = kind.options_class.checked(layers=layers, **backbone, **dict(options))
    return kind.fit(FitData(batches, size=size), own)


def features_of(pipeline, images, network="extractor") -> list[np.ndarray]:
    mean, std = (
        torch.tensor(v).reshape(1, 3, 1, 1).to(images)
        for v in (pipeline.config.mean, pipeline.config.std)
    )
    with torch.no_grad():
        return [
            x.double().numpy()
            for x in pipeline.get_submodule(network)(
                (images - mean) / std
            ).values()
        ]


def to_map(distances: np.ndarray) -> np.ndarray:
    """Bilinear upsampling by torch, Gaussian blur by scipy."""
    large = F.interpolate(
        torch.from_numpy(distances)[:, None],
        size=GEOMETRY.image,
        mode="bilinear",
        align_corners=False,
    )
    return ndimage.gaussian_filter(
        large.numpy(), sigma=(0, 0, 4, 4), truncate=4.0, mode="mirror"
    )


def padim_by_numpy(pipeline, fitted, images):
    def embed(x):
        levels = features_of(pipeline, x)
        h, w = levels[0].shape[2:]
        stacked = np.concatenate(
            [
                a[:, :, np.arange(h) * a.shape[2] // h][
                    :, :, :, np.arange(w) * a.shape[3] // w
                ]
                for a in levels
            ],
            axis=1,
        )
        return stacked[:, list(pipeline.config.channels)]

    train, test = embed(fitted), embed(images)
    distances = np.empty((len(test), *test.shape[2:]))
    for i in range(test.shape[2]):
        for j in range(test.shape[3]):
            covariance = np.cov(
                train[:, :, i, j], rowvar=False
            ) + 0.01 * np.eye(train.shape[1])
            offset = test[:, :, i, j] - train[:, :, i, j].mean(axis=0)
            distances[:, i, j] = np.sqrt(
                np.einsum(
                    "nd,de,ne->n", offset, np.linalg.inv(covariance), offset
                )
            )
    anomaly_map = to_map(distances)
    return anomaly_map.max(axis=(1, 2, 3)), anomaly_map


def patchcore_by_scipy(pipeline, fitted, images):
    def embed(x):
        levels = [
            ndimage.uniform_filter(a, size=(1, 1, 3, 3), mode="constant")
            for a in features_of(pipeline, x)
        ]  # zero padding counts, as in the published code
        size = levels[0].shape[2:]
        levels = [
            F.interpolate(
                torch.from_numpy(a), size=size, mode="bilinear"
            ).numpy()
            for a in levels
        ]
        stacked = np.concatenate(levels, axis=1)
        return stacked.transpose(0, 2, 3, 1).reshape(
            len(x), -1, stacked.shape[1]
        ), size

    train, _ = embed(fitted)
    patches, (h, w) = embed(images)
    rows = train.reshape(-1, train.shape[2])
    # The selection is the pipeline's own; that its vectors are patches of the fitted images is checked here.
    stored = (pipeline.bank.vectors + pipeline.bank.centre).double().numpy()
    picked = cdist(stored, rows).argmin(axis=1)
    bank = rows[picked]
    np.testing.assert_allclose(stored, bank, atol=1e-5 * np.abs(bank).max())
    assert len(set(picked)) == len(bank) == int(0.1 * len(rows))
    scores, maps = [], []
    for image in patches:
        distances = cdist(image, bank)
        nearest = distances.min(axis=1)
        worst = nearest.argmax()
        best = distances[worst].argmin()
        support = np.argsort(cdist(bank[best : best + 1], bank)[0])[:9]
        to_support = cdist(image[worst : worst + 1], bank[support])[0]
        scores.append(
            (1 - np.exp(nearest[worst]) / np.exp(to_support).sum())
            * nearest[worst]
        )
        maps.append(nearest.reshape(h, w))
    return np.array(scores), to_map(np.stack(maps))


def stfpm_by_numpy(pipeline, fitted, images):
    del fitted
    levels = []
    both = (features_of(pipeline, images, n) for n in ("teacher", "student"))
    for pair in zip(*both, strict=True):
        t, s = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in pair)
        level = torch.from_numpy(((t - s) ** 2).sum(axis=1, keepdims=True) / 2)
        large = F.interpolate(level, size=GEOMETRY.image, mode="bilinear")
        levels.append(large.numpy())
    anomaly_map = np.prod(levels, axis=0)
    return anomaly_map.max(axis=(1, 2, 3)), anomaly_map


CASES = {
    "padim": (
        Padim,
        ["blocks.1", "blocks.2", "blocks.3"],
        {"features": 12},
        padim_by_numpy,
    ),
    "patchcore": (Patchcore, ["blocks.2", "blocks.3"], {}, patchcore_by_scipy),
    "stfpm": (
        Stfpm,
        ["blocks.1", "blocks.2", "blocks.3"],
        {"epochs": 2, "train_batch": 4, "device": "cpu"},
        stfpm_by_numpy,
    ),
}


def fitted_and_expected(pictures, detector):
    kind, layers, options, formula = CASES[detector]
    train, test = (
        images_of(pictures / "train", 8),
        images_of(pictures / "test", 7),
    )
    pipeline = fitted(kind, train.split(3), GEOMETRY.image, layers, options)
    with torch.no_grad():
        produced = pipeline(test)
    return pipeline, produced, formula(pipeline, train, test)


def test_float64_is_the_formula(pictures, detector, float64):
    _, produced, (score, anomaly_map) = fitted_and_expected(pictures, detector)
    np.testing.assert_allclose(produced.score, score, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        produced.anomaly_map, anomaly_map, rtol=0, atol=1e-9
    )


def test_float32_is_the_formula_to_the_scale(pictures, detector):
    _, produced, (score, anomaly_map) = fitted_and_expected(pictures, detector)
    scale = max(np.ptp(score), 0.05 * score.max())
    np.testing.assert_allclose(produced.score, score, rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(
        produced.anomaly_map, anomaly_map, rtol=0, atol=1e-5 * scale
    )


@pytest.mark.parametrize("size", [(64, 64), (72, 64), (65, 97)])
def test_any_size_has_its_map(detector, size):
    kind, layers, options, _ = CASES[detector]
    pipeline = fitted(kind, [torch.rand(6, 3, *size)], size, layers, options)
    with torch.no_grad():
        assert pipeline(torch.rand(2, 3, *size)).anomaly_map.shape == (
            2,
            1,
            *size,
        )
        stages = pipeline.stages(torch.rand(1, 3, *size))
    assert list(stages)[-2:] == ["anomaly_map", "score"]


def test_paper_defaults(pictures):
    images = [torch.rand(3, 3, 64, 64)]
    padim = fitted(Padim, images, (64, 64), CASES["padim"][1])
    assert len(padim.config.channels) == 100  # of 24 + 32 + 48
    assert padim.config.sigma == 4.0
    assert (Padim.default_backbone, Padim.default_strides) == (
        "resnet18",
        (4, 8, 16),
    )
    patchcore = fitted(Patchcore, images, (64, 64), CASES["patchcore"][1])
    assert (patchcore.config.num_neighbors, patchcore.config.sigma) == (9, 4.0)
    assert patchcore.config.n_vectors == int(0.1 * 3 * 8 * 8)
    assert (Patchcore.default_backbone, Patchcore.default_strides) == (
        "wide_resnet50_2",
        (8, 16),
    )
