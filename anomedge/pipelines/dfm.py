r"""DFM: reconstruction error, or likelihood, of deep features (Ahuja et al. 2019, arXiv:1909.11786).

The feature map of one layer is averaged over squares of 4x4 and flattened: :math:`x` has d = C h w entries. With the
mean :math:`\mu` and the principal components :math:`W` (d, k) of normal images, the score is the feature
reconstruction error (`fre`)

.. math:: \mathrm{FRE}(x) = \lVert (I - W W^\top)(x - \mu) \rVert^2

or the negative log-likelihood (`nll`) of a Gaussian on the components, times two and without :math:`k \log 2\pi`,

.. math:: \mathrm{NLL}(x) = \sum_{i=1}^{k} \Big(\frac{w_i^\top (x - \mu)}{\sigma_i}\Big)^2
          + \sum_{i=1}^{k} \log \sigma_i^2

k is the smallest number of components with more than the share `pca_level` of the variance. The map of `fre` is the
squared residual, summed over the channels and upsampled bilinearly, without a blur; `nll` has no map.

The operator :math:`I - W W^\top` has d^2 entries, 270 million with ResNet50 at 256x256, so it is never formed: two
thin products with W take 2 d k multiplications. If k > d/2, the basis :math:`W_\perp` (d, d - k) of the complement
takes W's place, :math:`I - W W^\top = W_\perp W_\perp^\top`, with 2 d (d - k): never more than the d^2 of the operator.

The more pictures are fitted to, the more components there are: FRE falls and NLL rises. On 60 pictures of MVTec AD's
bottles, NLL of other normal pictures was 109 (median) with 48 of them and 123 with all. So thresholds of `nll` come from
pictures that are held back, never from folds.

anomalib 2.7 keeps one component fewer, because it takes the index of the component that reaches the share as their
number. Its `nll` subtracts the mean twice before it fits the Gaussian, which is then off centre.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import gcd
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anomedge.components import PCA, FeatureExtractor, LinearResample2d
from anomedge.errors import InputError
from anomedge.pipelines.data import FitData, without_rows
from anomedge.pipelines.features import (
    BackboneConfig,
    BackboneOptions,
    FeaturePipeline,
    extracted,
)
from anomedge.pipelines.maps import map_sizes
from anomedge.pipelines.remembered import remember
from anomedge.resample import bilinear

__all__ = ["Dfm", "DfmConfig", "DfmOptions", "remainder"]

ScoreType = Literal["fre", "nll"]
Pooling = Annotated[int, Field(ge=1, le=256)]
Size = tuple[int, int]


class DfmConfig(BackboneConfig):
    """Configuration; `pooling` is the side of the squares, `n_components` is k."""

    pooling: Pooling
    n_components: Annotated[int, Field(ge=1, le=1 << 26)]
    score_type: ScoreType


class DfmOptions(BackboneOptions):
    """Fit options of DFM."""

    pooling: Pooling = Field(
        4,
        description="Side of the squares that features are averaged over, 1 to 256.",
    )
    pca_level: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.97,
        description="Share of the variance that the components explain, in (0, 1).",
    )
    score_type: ScoreType = Field(
        "fre",
        description="Reconstruction error with a map, or negative log-likelihood without one.",
    )


class Dfm(FeaturePipeline[DfmConfig, DfmOptions]):
    """DFM: reconstruction error or likelihood of deep features (Ahuja et al. 2019)."""

    name = "dfm"
    config_class = DfmConfig
    options_class = DfmOptions
    default_backbone = "resnet50"
    default_strides: ClassVar[tuple[int, ...]] = (16,)
    has_statistics = True
    # The backbone runs once per picture for all folds.
    default_folds: ClassVar[int] = 5

    center: Tensor
    basis: Tensor
    projection: Tensor
    log_determinant: Tensor

    def __init__(self, config: DfmConfig, extractor: FeatureExtractor) -> None:
        super().__init__(config, extractor)
        self.grid = _grid(config, extractor)
        self.channels = extractor.channels[0]
        d = self.channels * self.grid[0] * self.grid[1]
        k = config.n_components
        _refuse_other_components(k, d, config.score_type)
        self.register_buffer("center", torch.zeros(d))
        if config.score_type == "nll":
            self.register_buffer("projection", torch.zeros(d, k))
            self.register_buffer("log_determinant", torch.zeros(()))
            return
        self.is_complement = 2 * k > d
        columns = d - k if self.is_complement else k
        self.register_buffer("basis", torch.zeros(d, columns))
        rows, cols = map(bilinear, self.grid, config.size)
        self.to_map = LinearResample2d(rows, cols)

    @classmethod
    def fit(cls, data: FitData, options: DfmOptions) -> Dfm:
        """Collect the features of all images, N d numbers, and fit in one decomposition."""
        extractor = cls.build_extractor(data, options)
        rows = torch.cat(list(_rows(extractor, data, options.pooling)))
        return cls._fitted(extractor, data.size, options, rows)

    @classmethod
    def fit_folds(
        cls,
        data: FitData,
        options: DfmOptions,
        folds: Sequence[Sequence[int]],
    ) -> Iterator[Dfm]:
        """Compute the features once; a fold takes a decomposition.

        Raises:
            InputError: the score type `nll`.
        """
        _refuse_folds_of_likelihood(options)
        extractor = cls.build_extractor(data, options)
        remembered = remember(extractor)
        rows = torch.cat(list(_rows(remembered, data, options.pooling)))
        for fold in folds:
            others = without_rows(rows, fold)
            yield cls._fitted(remembered, data.size, options, others)
        yield cls._fitted(extractor, data.size, options, rows)

    @classmethod
    def folds_of(cls, options: DfmOptions) -> int:
        """Return 5 for `fre`, 0 for `nll`, whose scores rise with the number of components, and so of pictures."""
        return cls.default_folds if options.score_type == "fre" else 0

    @classmethod
    def _fitted(
        cls,
        extractor: FeatureExtractor,
        size: Size,
        options: DfmOptions,
        rows: Tensor,
    ) -> Dfm:
        """Return the detector fitted to features (N, d)."""
        pca = PCA(options.pca_level)
        pca.fit(rows)
        config = DfmConfig.of(
            extractor,
            size,
            pooling=options.pooling,
            n_components=pca.singular_vectors.shape[1],
            score_type=options.score_type,
        )
        pipeline = cls(config, extractor).eval()
        pipeline._fill(pca, len(rows))
        return pipeline

    def refit(self, data: FitData, networks: Mapping[str, nn.Module]) -> Dfm:
        """Return the detector on other networks, with as many components of their features."""
        twin = self.with_networks(networks)
        with torch.no_grad():
            rows = torch.cat([twin.vectors(twin.features(x)) for x in data])
        pca = PCA(self.config.n_components)
        pca.fit(rows)
        twin._fill(pca, len(rows))
        return twin

    def _fill(self, pca: PCA, images: int) -> None:
        """Take the statistics of a PCA that was fitted to a number of images."""
        if self.config.score_type == "fre":
            self.fill_residual(pca.mean, pca.singular_vectors)
            return
        deviations = pca.singular_values / images**0.5
        self.fill_gaussian(pca.mean, pca.singular_vectors, deviations)

    def fill_residual(self, center: Tensor, components: Tensor) -> None:
        """Set the mean (d,) and the components W (d, k), orthonormal, of `fre`."""
        k = components.shape[1]
        basis = components
        if self.is_complement:
            whole = torch.linalg.qr(components.double(), mode="complete").Q
            basis = whole[:, k:].to(components)
        self.center, self.basis = center, basis.contiguous()

    def fill_gaussian(
        self, center: Tensor, directions: Tensor, deviations: Tensor
    ) -> None:
        """Set the mean (d,), orthonormal directions (d, k) and their standard deviations (k,) of `nll`.

        Raises:
            InputError: a deviation of zero, up to rounding.
        """
        rounding = torch.finfo(deviations.dtype).eps * len(deviations)
        if bool((deviations <= rounding * deviations.max()).any()):
            raise InputError(
                f"got {len(deviations)} components, some without variance; expected all to vary: "
                f"give a lower --pca-level, or more pictures"
            )
        self.center = center
        self.projection = directions / deviations
        self.log_determinant = 2 * deviations.log().sum()

    def vectors(self, features: dict[str, Tensor]) -> Tensor:
        """Return the pooled features x, (B, d)."""
        return _pooled(features, self.config.pooling)

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/<layer>`; of `fre` `errors` (B, 1, h, w), `anomaly_map` and `score`, of `nll` `whitened` (B, k) and `score`."""
        features = self.features(images)
        named = {f"features/{layer}": x for layer, x in features.items()}
        centred = self.vectors(features) - self.center
        if self.config.score_type == "nll":
            whitened = centred @ self.projection
            score = whitened.square().sum(dim=1) + self.log_determinant
            return named | {"whitened": whitened, "score": score}
        errors = self._errors(centred)
        return named | {
            "errors": errors,
            "anomaly_map": self.to_map(errors),
            "score": errors.flatten(1).sum(dim=1),
        }

    def _errors(self, centred: Tensor) -> Tensor:
        """Return the squared residual of each place, (B, d) to (B, 1, h, w)."""
        reduced = centred @ self.basis
        # Transposing the basis instead would store it twice in a graph.
        along = (self.basis @ reduced.mT).mT
        residual = along if self.is_complement else centred - along
        places = residual.square().reshape(-1, self.channels, *self.grid)
        return places.sum(dim=1, keepdim=True)


def _pooled(features: Mapping[str, Tensor], pooling: int) -> Tensor:
    """Average the map of the only layer over squares, and flatten it: (B, d)."""
    (x,) = features.values()
    return F.avg_pool2d(x, kernel_size=pooling).flatten(1)


def _rows(
    extractor: FeatureExtractor, data: FitData, pooling: int
) -> Iterator[Tensor]:
    """Yield the pooled features (B, d) of each batch.

    Raises:
        InputError: several layers, a map that is not divided into whole squares, or no images.
    """
    _refuse_layers(extractor.layers)
    _pooled_grid(extractor, data.size, pooling)
    _refuse_remainder(extractor, data.size, pooling)
    for features in extracted(extractor, data):
        yield _pooled(features, pooling)


def _grid(config: DfmConfig, extractor: FeatureExtractor) -> Size:
    _refuse_layers(extractor.layers)
    return _pooled_grid(extractor, config.size, config.pooling)


def _pooled_grid(extractor: FeatureExtractor, size: Size, pooling: int) -> Size:
    """Return height and width of the pooled map.

    Raises:
        InputError: the map is smaller than the square.
    """
    ((height, width),) = map_sizes(extractor, size)
    if min(height, width) < pooling:
        raise InputError(
            f"got a feature map of {height}x{width} to average over {pooling}x{pooling}; expected a smaller square: "
            f"give --pooling {min(height, width)} or less, or a larger --size (--crop or --tile where given)"
        )
    return height // pooling, width // pooling


def _refuse_folds_of_likelihood(options: DfmOptions) -> None:
    if options.score_type == "nll":
        raise InputError(
            "got folds with the score type nll, whose scores rise with the number of fitted pictures, so that the threshold "
            "would be too low; expected pictures held back: give --holdout 0.2 or --held-back"
        )


def remainder(extractor: FeatureExtractor, size: Size, pooling: int) -> Size:
    """Return the numbers of rows and columns of the feature map that lie in no square; no defect there is seen."""
    ((height, width),) = map_sizes(extractor, size)
    return height % pooling, width % pooling


def _refuse_remainder(
    extractor: FeatureExtractor, size: Size, pooling: int
) -> None:
    """Refuse squares that leave the right or the lower border of the pictures out.

    Raises:
        InputError: they do.
    """
    if not any(remainder(extractor, size, pooling)):
        return
    ((height, width),) = map_sizes(extractor, size)
    common = gcd(height, width)
    fitting = [n for n in range(1, common + 1) if common % n == 0]
    step = extractor.strides[0] * pooling
    raise InputError(
        f"got a feature map of {height}x{width} to average over {pooling}x{pooling}, which leaves out its lower or right "
        f"border: no defect there would be seen; expected whole squares: give --pooling {' or '.join(map(str, fitting))}, "
        f"or a --size (--crop or --tile where given) of multiples of {step}"
    )


def _refuse_layers(layers: Sequence[str]) -> None:
    if len(layers) != 1:
        raise InputError(
            f"got the layers {', '.join(layers)} for dfm; expected one: give --layers {layers[0]}"
        )


def _refuse_other_components(k: int, d: int, score_type: ScoreType) -> None:
    """Refuse more components than features, and a residual of nothing."""
    most = d if score_type == "nll" else d - 1
    if k > most:
        raise InputError(
            f"got {k} components of {d} features; expected at most {most} with the score {score_type}: "
            f"give a lower --pca-level or a smaller --pooling"
        )
