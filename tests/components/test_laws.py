"""Laws that every component of inference obeys, over the list of them; adding a component is adding a case.

Each agrees with an independent formula in float64, leaves its input untouched, round-trips its state_dict (through
safetensors too) into an unfitted instance, treats a batch as its images one by one, survives strict `torch.export`, and
runs equal under every runtime that must be tested. What is fitted leaves its data untouched, refuses data that cannot be
fitted to, and refuses use before it; a feature that is NaN makes its own item's result NaN and no other's.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
import sklearn.decomposition
import sklearn.random_projection
import torch
from safetensors.torch import load_file, save_file
from scipy import ndimage, sparse
from scipy.spatial.distance import cdist, mahalanobis
from scipy.stats import gaussian_kde
from torch import nn

from anomedge import runtimes
from anomedge.components import (
    PCA,
    SSPCAB,
    FeatureExtractor,
    GaussianBlur2d,
    GaussianKDE,
    LinearResample2d,
    MemoryBank,
    MultiVariateGaussian,
    SparseRandomProjection,
)
from anomedge.components.estimators.int8_search import Int8Search
from anomedge.components.map_norm import MapNorm
from anomedge.components.resampling import BandedRows
from anomedge.errors import InputError
from anomedge.export.passes import Target
from anomedge.export.passes.lower_opset import LowerOpset
from anomedge.export.passes.name_batch import NameBatch
from anomedge.export.passes.strip_metadata import StripMetadata
from anomedge.export.translations import TRANSLATIONS
from anomedge.resample import bilinear
from tests.components.residual_formula import Restored, restored
from tests.conftest import RUNTIMES


class Distance(nn.Module):
    """`MultiVariateGaussian.distance` as a forward."""

    def __init__(self, fitted: bool) -> None:
        super().__init__()
        self.gaussian = MultiVariateGaussian(5, 12)
        if fitted:
            self.gaussian.fit(observations())

    def forward(self, x):
        return self.gaussian.distance(x)


class LogDensity(nn.Module):
    """`GaussianKDE.log_density` as a forward."""

    def __init__(self, fitted: bool) -> None:
        super().__init__()
        self.kde = fit_if(fitted, GaussianKDE())

    def forward(self, x):
        return self.kde.log_density(x)


class Nearest(nn.Module):
    """`MemoryBank` of images of 6 patches as a forward."""

    def __init__(self, fitted: bool) -> None:
        super().__init__()
        self.bank = MemoryBank(40, 5, num_neighbors=4)
        if fitted:
            self.bank.fill(bank())

    def forward(self, x):
        distances, score = self.bank([x.transpose(1, 2).unsqueeze(3)])
        return score, distances


GRIDS = ((4, 6), (4, 6), (2, 3), (3, 2))
WIDTHS = (2, 1, 3, 2)


class NearestOfLevels(nn.Module):
    """`MemoryBank` of four levels, two of them coarse, and of enough vectors for three parts, of which one fills no block."""

    def __init__(self, fitted: bool) -> None:
        super().__init__()
        steps = [
            None,
            None,
            *(LinearResample2d(*upsamplings(grid)) for grid in GRIDS[2:]),
        ]
        self.bank = MemoryBank(2200, WIDTHS, num_neighbors=4, upsample=steps)
        if fitted:
            self.bank.fill(large_bank())

    def forward(self, x):
        sizes = [
            width * h * w for width, (h, w) in zip(WIDTHS, GRIDS, strict=True)
        ]
        levels = [
            part.reshape(-1, width, *grid)
            for part, width, grid in zip(
                x.split(sizes, dim=1), WIDTHS, GRIDS, strict=True
            )
        ]
        distances, score = self.bank(levels)
        return score, distances


class Int8Nearest(NearestOfLevels):
    """`NearestOfLevels` with an INT8 search."""

    def __init__(self, fitted: bool) -> None:
        super().__init__(fitted)
        self.bank = self.bank.with_int8_search(8, 127)


class LowerBounds(nn.Module):
    """`Int8Search` of 24 patches as a forward; rows are left out, because equal bounds have no order."""

    def __init__(self, fitted: bool) -> None:
        super().__init__()
        self.search = Int8Search(2200, sum(WIDTHS))
        if fitted:
            self.search.fill(large_bank() - 7)

    def forward(self, x):
        rows = x.reshape(len(x), -1, sum(WIDTHS)) - 7
        return self.search(rows)[0].reshape(len(x), -1, 8)


def levels_of(x):
    sizes = [w * g[0] * g[1] for w, g in zip(WIDTHS, GRIDS, strict=True)]
    parts = x.split(sizes, dim=1)
    return [
        part.reshape(-1, width, *grid)
        for part, width, grid in zip(parts, WIDTHS, GRIDS, strict=True)
    ]


def upsamplings(grid):
    return [
        bilinear(n_in, n_out)
        for n_in, n_out in zip(grid, GRIDS[0], strict=True)
    ]


def random(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(
        torch.get_default_dtype()
    )


def observations():
    return random(30, 5, 3, 4, seed=1) @ random(4, 4, seed=2) + 3


def samples():
    """Correlated, of several scales, far from the origin."""
    return random(60, 5, seed=4) @ random(5, 5, seed=5) * 2 + 20


def queries():
    return samples()[:4] + random(4, 5)


def fit_if(fitted, module):
    if fitted:
        module.fit(samples())
    return module


def sspcab(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return (
            SSPCAB(8, kernel_size=2, dilation=1, reduction_ratio=4)
            .eval()
            .requires_grad_(False)
        )


def map_norm(seed):
    norm = MapNorm(2, 4, 5).eval().requires_grad_(False)
    norm.weight.copy_(random(2, 4, 5, seed=seed))
    norm.bias.copy_(random(2, 4, 5, seed=seed + 2))
    return norm


def large_bank():
    return random(2200, 8, seed=5) + 7


def bank():
    return random(40, 5, seed=3) + 7


def by_mahalanobis(x):
    fitted = observations().numpy().reshape(30, 5, 12)
    result = np.empty((len(x), 12))
    for p in range(12):
        inverse = np.linalg.inv(
            np.cov(fitted[:, :, p], rowvar=False) + 0.01 * np.eye(5)
        )
        result[:, p] = [
            mahalanobis(v, fitted[:, :, p].mean(axis=0), inverse)
            for v in x[:, :, p]
        ]
    return (result,)


def by_brute_force(x, members=None):
    members = bank().numpy() if members is None else members
    distances = np.stack([cdist(image, members) for image in x])
    nearest = distances.min(axis=2)
    scores = []
    for image, d in zip(x, distances, strict=True):
        worst = d.min(axis=1).argmax()
        best = d[worst].argmin()
        support = np.argsort(cdist(members[best : best + 1], members)[0])[:4]
        to_support = cdist(image[worst : worst + 1], members[support])[0]
        weight = 1 - np.exp(d[worst, best]) / np.exp(to_support).sum()
        scores.append(weight * d[worst, best])
    return np.array(scores), nearest


def by_brute_force_of_levels(x):
    """Upsampled first, as the paper has it."""
    levels, start = [], 0
    for width, grid in zip(WIDTHS, GRIDS, strict=True):
        level = x[:, start : start + width * grid[0] * grid[1]].reshape(
            len(x), width, *grid
        )
        rows, columns = upsamplings(grid)
        levels.append((rows @ level @ columns.T).reshape(len(x), width, -1))
        start += width * grid[0] * grid[1]
    return by_brute_force(
        np.concatenate(levels, axis=1).transpose(0, 2, 1), large_bank().numpy()
    )


def by_lower_bounds(x):
    """Image by image; the bank's parts round by steps that differ in the last bits."""
    bank = large_bank().numpy() - 7
    half_norms = (bank**2).sum(axis=1) / 2
    images = x.reshape(len(x), -1, bank.shape[1]) - 7
    bounds = [half_norms + lower_products(rows, bank) for rows in images]
    return (np.sort(bounds, axis=2)[:, :, :8],)


def lower_products(rows, members):
    """Lower bounds of all products, by the formula: integers, then both products of norms, rounded outwards."""
    d, more = rows.shape[1], 1 + 2.0**-10
    largest, rho = np.abs(rows).max(axis=1, keepdims=True), d**0.5 / 254 * more
    scale = np.float64(np.float32(np.abs(members).max(axis=1) / 127))[:, None]
    integers = np.rint(members / scale)
    norms = rho * np.linalg.norm(integers, axis=1)
    errors = np.linalg.norm(members / scale - integers, axis=1) * d**0.5
    z = rows / largest
    rest = z - np.rint(127 * z) / 127
    of_rest, of_row = (
        np.ceil(np.linalg.norm(part, axis=1) * 127 / most + more - 1).clip(
            max=127
        )
        for part, most in ((rest, rho), (z, d**0.5))
    )
    products = np.empty((len(rows), len(members)))
    for part, start in enumerate((0, 152)):
        stop = (152, 2200)[part]
        step = np.float64(np.float32((1 + part * 2.0**-23) / 127))
        q = np.rint(z / step)
        products[:, start:stop] = step * (
            q @ integers[start:stop].T
            - np.outer(of_rest, np.ceil(norms[start:stop] * more))
            - np.outer(of_row, np.ceil(errors[start:stop] * more))
        )
    return largest * products * scale.T


def by_scipy_blur(x):
    truncated = ndimage.gaussian_filter(
        x, sigma=(0, 0, 1.5, 1.5), truncate=4 / 1.5, mode="mirror"
    )
    return (truncated,)


def by_sklearn_pca(x):
    return (
        sklearn.decomposition.PCA(3, svd_solver="full")
        .fit(samples().numpy())
        .transform(x),
    )


def by_sklearn_projection(x):
    ours = SparseRandomProjection(eps=0.9, random_state=3).fit(samples())
    theirs = sklearn.random_projection.SparseRandomProjection(
        n_components=ours.n_components, eps=0.9
    ).fit(np.zeros((60, 2 * ours.n_components)))
    theirs.n_features_in_ = 5
    theirs.components_ = sparse.csr_matrix(ours.sparse_random_matrix.numpy())
    return (theirs.transform(x),)


def by_numpy_norm(x):
    axes = (1, 2, 3)
    deviation = np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)
    y = (x - x.mean(axis=axes, keepdims=True)) / deviation
    weight, bias = (random(2, 4, 5, seed=n).numpy() for n in (0, 2))
    return (y * weight + bias,)


def by_four_patches(x):
    """Place by place: k x k patches whose near corners lie dilation + 1 away, zeros beyond the border."""
    block, (k, near) = sspcab(0), (2, 2)
    weights = {
        name: value.numpy() for name, value in block.state_dict().items()
    }
    padded = np.pad(x, ((0, 0), (0, 0), (k + 1, k + 1), (k + 1, k + 1)))
    z = np.zeros_like(x)
    for i, j in np.ndindex(x.shape[2:]):
        for n, (down, right) in enumerate(
            [(0, 0), (0, 1), (1, 0), (1, 1)], start=1
        ):
            top, left = (
                at + k + 1 + (near if far else -near - k + 1)
                for at, far in ((i, down), (j, right))
            )
            patch = padded[:, :, top : top + k, left : left + k]
            z[:, :, i, j] += np.einsum(
                "bcuv,ocuv->bo", patch, weights[f"masked_conv{n}.weight"]
            )
            z[:, :, i, j] += weights[f"masked_conv{n}.bias"]
    first, second = (
        (
            weights[f"attention_module.{name}.weight"],
            weights[f"attention_module.{name}.bias"],
        )
        for name in ("fc1", "fc2")
    )
    hidden = np.maximum(z.mean(axis=(2, 3)) @ first[0].T + first[1], 0)
    attention = 1 / (1 + np.exp(-(hidden @ second[0].T + second[1])))
    return (z * attention[:, :, None, None],)


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[bool], nn.Module]
    inputs: Callable[[], torch.Tensor]
    formula: Callable[[np.ndarray], tuple[np.ndarray, ...]] | None
    data: Callable[[], torch.Tensor] | None = None
    fit: Callable[[Any, torch.Tensor], object] = lambda module, data: (
        module.fit(data)
    )
    continuous: bool = True
    """False where the last bit of a runtime's float32 may change an integer."""


CASES = [
    Case(
        "gaussian",
        Distance,
        lambda: random(3, 5, 12) + 3,
        by_mahalanobis,
        observations,
        lambda module, data: module.gaussian.fit(data),
    ),
    Case(
        "pca",
        lambda fitted: fit_if(fitted, PCA(3)),
        queries,
        by_sklearn_pca,
        samples,
    ),
    Case(
        "random projection",
        lambda fitted: fit_if(
            fitted, SparseRandomProjection(eps=0.9, random_state=3)
        ),
        queries,
        by_sklearn_projection,
        samples,
    ),
    Case(
        "kde",
        lambda fitted: fit_if(fitted, GaussianKDE()),
        queries,
        lambda x: (gaussian_kde(samples().numpy().T).evaluate(x.T),),
        samples,
    ),
    Case(
        "kde, logarithm",
        LogDensity,
        queries,
        lambda x: (gaussian_kde(samples().numpy().T).logpdf(x.T),),
        samples,
        lambda module, data: module.kde.fit(data),
    ),
    Case(
        "sspcab",
        lambda fitted: sspcab(0 if fitted else 1),
        lambda: random(3, 8, 6, 7),
        by_four_patches,
    ),
    Case(
        "norm of maps",
        lambda fitted: map_norm(0 if fitted else 1),
        lambda: 3 * random(3, 2, 4, 5) + 7,
        by_numpy_norm,
    ),
    Case("memory bank", Nearest, lambda: random(3, 6, 5) + 7, by_brute_force),
    Case(
        "memory bank of levels",
        NearestOfLevels,
        lambda: random(3, 102) + 7,
        by_brute_force_of_levels,
    ),
    Case(
        "memory bank with an INT8 search",
        Int8Nearest,
        lambda: random(3, 102) + 7,
        by_brute_force_of_levels,
    ),
    Case(
        "lower bounds",
        LowerBounds,
        lambda: random(3, 24 * sum(WIDTHS)) + 7,
        by_lower_bounds,
        continuous=False,
    ),
    Case(
        "blur",
        lambda _: GaussianBlur2d(9, 1.5, 2),
        lambda: random(3, 2, 16, 20),
        by_scipy_blur,
    ),
    Case(
        "resample",
        lambda _: LinearResample2d(
            bilinear(16, 7, antialias=True), bilinear(20, 33)
        ),
        lambda: random(3, 2, 16, 20),
        lambda x: (bilinear(16, 7, antialias=True) @ x @ bilinear(20, 33).T,),
    ),
    Case(
        "banded rows",
        lambda _: BandedRows(bilinear(40, 7, antialias=True)),
        lambda: random(3, 40, 6),
        lambda x: (bilinear(40, 7, antialias=True) @ x,),
    ),
    Case(
        "banded rows whose last block is not full",
        lambda _: BandedRows(bilinear(90, 37, antialias=True)),
        lambda: random(3, 90, 4),
        lambda x: (bilinear(90, 37, antialias=True) @ x,),
    ),
    Case(
        "reverse networks",
        Restored,
        lambda: random(3, 4, 8, 12),
        restored,
    ),
    Case("features", lambda _: features(), lambda: random(3, 3, 32, 32), None),
]


def features():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FeatureExtractor(
            "test_efficientnet", ["blocks.3", "blocks.1"], pre_trained=False
        ).eval()


def values(output) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    return list(output.values() if isinstance(output, dict) else output)


every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
# A backbone has no formula: the whole network's own forward is its definition, see test_features.
every_formula = pytest.mark.parametrize(
    "case", [c for c in CASES if c.formula], ids=lambda case: case.name
)

every_estimator = pytest.mark.parametrize(
    "case", [c for c in CASES if c.data], ids=lambda case: case.name
)


@every_formula
def test_agrees_with_an_independent_formula(case, float64):
    x = case.inputs()
    produced = values(case.make(True)(x))
    for ours, theirs in zip(produced, case.formula(x.numpy()), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-9)


@every_case
def test_leaves_its_input_untouched(case):
    module, x = case.make(True), case.inputs()
    before = x.clone()
    module(x)
    assert torch.equal(x, before)


@every_case
@pytest.mark.parametrize("through", ["memory", "safetensors"])
def test_state_dict_round_trips_into_an_unfitted_instance(
    case, through, tmp_path
):
    fitted, x = case.make(True), case.inputs()
    state = copy.deepcopy(fitted.state_dict())
    if through == "safetensors":
        save_file(state, tmp_path / "state.safetensors")
        state = load_file(tmp_path / "state.safetensors")
    other = case.make(False)
    other.load_state_dict(state)
    for one, two in zip(values(fitted(x)), values(other(x)), strict=True):
        assert torch.equal(one, two)


@every_estimator
def test_fitting_leaves_its_data_untouched_and_repeats(case, float64):
    data, x = case.data(), case.inputs()
    before = data.clone()
    module = case.make(True)
    first = [value.clone() for value in module.state_dict().values()]
    case.fit(module, data)
    assert torch.equal(data, before)
    assert all(
        torch.equal(one, two)
        for one, two in zip(first, module.state_dict().values(), strict=True)
    )
    assert torch.isfinite(values(module(x))[0]).all()


@every_estimator
@pytest.mark.parametrize(
    "flaw",
    [
        "empty",
        "one sample",
        "NaN",
        "infinite",
        "one dimension less",
        "one more",
    ],
)
def test_what_cannot_be_fitted_to_is_refused(case, flaw):
    data = case.data()
    wrong = {
        "empty": data[:0],
        "one sample": data[:1],
        "NaN": torch.where(data == data.max(), torch.nan, data),
        "infinite": torch.where(data == data.max(), torch.inf, data),
        "one dimension less": data[0],
        "one more": data[None],
    }[flaw]
    module = case.make(False)
    with pytest.raises(InputError, match="expected"):
        case.fit(module, wrong)
    with pytest.raises(InputError, match="before fit"):
        module(case.inputs())


@every_estimator
def test_inputs_of_other_sizes_are_refused(case):
    module, x = case.make(True), case.inputs()
    for wrong in (x[0], x[None], x[:, :-1], torch.cat([x, x], dim=1)):
        with pytest.raises(InputError, match="expected"):
            module(wrong)


@every_estimator
def test_nan_stays_with_its_own_item(case):
    module, x = case.make(True), case.inputs()
    clean = values(module(x))[0]
    x[1, 2] = torch.nan
    spoilt = values(module(x))[0]
    assert torch.isnan(spoilt[1]).any()
    assert torch.equal(spoilt[[0, 2]], clean[[0, 2]])


@every_case
def test_a_batch_is_its_items_one_by_one(case, float64):
    module, x = case.make(True), case.inputs()
    alone = [values(module(item[None])) for item in x]
    for i, together in enumerate(values(module(x))):
        torch.testing.assert_close(
            together, torch.cat([item[i] for item in alone]), rtol=0, atol=1e-12
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [c for c in CASES if c.continuous], ids=lambda case: case.name
)
def test_exports_strictly_and_runs_equal_everywhere(case, tmp_path):
    module, x = case.make(True).eval(), case.inputs()
    program = torch.export.export(
        module,
        (x,),
        dynamic_shapes=({0: torch.export.Dim("batch", max=64)},),
        strict=True,
    )
    names = [f"y{i}" for i in range(len(values(module(x))))]
    written = torch.onnx.export(
        program,
        (),
        dynamo=True,
        opset_version=18,
        input_names=["x"],
        output_names=names,
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    proto = written.model_proto
    for member in (LowerOpset, StripMetadata, NameBatch):
        member(Target(17, None, (1, 1))).apply(proto)
    onnx.save(proto, tmp_path / "model.onnx")
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    for runtime in RUNTIMES:
        with runtimes.open(tmp_path / "model.onnx", runtime=runtime) as session:
            for batch in (x, x[:1]):
                produced = session.run({"x": batch.numpy()})
                for name, expected in zip(
                    names, values(module(batch)), strict=True
                ):
                    scale = max(float(expected.abs().max()), 1.0)
                    np.testing.assert_allclose(
                        produced[name],
                        expected.numpy(),
                        rtol=0,
                        atol=1e-5 * scale,
                    )
