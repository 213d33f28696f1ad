r"""DFKDE: density of deep features by Gaussian kernels, a model of anomalib.

The feature maps of one or more layers are averaged over all places and concatenated: :math:`x` has d entries. With the
mean :math:`\mu` and k principal components W of N normal images, the image is a point in k dimensions,

.. math:: y = \frac{W^\top (x - \mu)}{\ell}, \qquad s(x) = -\log \frac1N \sum_{i=1}^{N} \mathcal N(y;\, y_i,\, h^2 \Sigma)

where :math:`\ell` is the largest length of a fitted point (`scale`), or that of the point itself (`norm`), and
:math:`h^2 \Sigma` is the kernel's covariance by Scott's rule (`GaussianKDE`). The score s is the negative logarithm of
the density, by log-sum-exp: it is finite and ordered however far a picture is from the data. There is no map. `scale`
is folded into W, so a graph has one product for the components and one for the kernels.

anomalib 2.7 shows the logistic function :math:`1 / (1 + e^{(\log p - 12) / 20})`, which rises with s, so both order
pictures alike. It is not used here, because in float32 the density underflows to 0 about 100 below its largest
logarithm, and every picture beyond has the score 1. An import maps anomalib's thresholds to s (`logistic`). anomalib
draws other points than this detector beyond `max_points`, and with `norm` it centres the fitted points but no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from anomedge.components import PCA, FeatureExtractor, GaussianKDE
from anomedge.errors import InputError
from anomedge.pipelines.data import FitData, without_rows
from anomedge.pipelines.features import (
    BackboneConfig,
    BackboneOptions,
    FeaturePipeline,
    extracted,
)
from anomedge.pipelines.remembered import remember

__all__ = ["Dfkde", "DfkdeConfig", "DfkdeOptions"]

Scaling = Literal["scale", "norm"]
Components = Annotated[int, Field(ge=1, le=4096)]
Points = Annotated[int, Field(ge=2, le=1 << 24)]

_LEAST_SQUARE = 1e-24
"""Smallest squared length that `norm` divides by."""


class DfkdeConfig(BackboneConfig):
    """Configuration; `n_components` is k, `n_points` is N."""

    n_components: Components
    n_points: Points
    scaling: Scaling


class DfkdeOptions(BackboneOptions):
    """Fit options of DFKDE."""

    components: Components = Field(
        16,
        description="Principal components of the features, fewer than pictures.",
    )
    scaling: Scaling = Field(
        "scale",
        description="Divide points by the largest length of a fitted point, or by their own.",
    )
    max_points: Points = Field(
        40000,
        description="Largest number of pictures with a kernel; more are drawn at random.",
    )

    @field_validator("max_points")
    @classmethod
    def _more_than_components(cls, most: int, info: ValidationInfo) -> int:
        components = info.data.get("components", 0)
        if most <= components:
            raise PydanticCustomError(
                "max_points",
                "more than the number of --components, {components}: give a larger --max-points, or fewer --components",
                {"components": components},
            )
        return most


class Dfkde(FeaturePipeline[DfkdeConfig, DfkdeOptions]):
    """DFKDE: density of deep features by Gaussian kernels; a score, no anomaly map."""

    name = "dfkde"
    config_class = DfkdeConfig
    options_class = DfkdeOptions
    default_backbone = "resnet18"
    default_strides: ClassVar[tuple[int, ...]] = (32,)
    has_statistics = True
    # The backbone runs once per picture for all folds.
    default_folds: ClassVar[int] = 5

    center: Tensor
    components: Tensor

    def __init__(
        self, config: DfkdeConfig, extractor: FeatureExtractor
    ) -> None:
        super().__init__(config, extractor)
        d, k = sum(extractor.channels), config.n_components
        if k > d:
            raise InputError(
                f"got {k} components of {d} features; expected at most {d}: give --components {d} or less"
            )
        self.register_buffer("center", torch.zeros(d))
        self.register_buffer("components", torch.zeros(d, k))
        self.kde = _empty_density(config)

    @classmethod
    def fit(cls, data: FitData, options: DfkdeOptions) -> Dfkde:
        """Collect the features of all images, N d numbers, and fit to them."""
        extractor = cls.build_extractor(data, options)
        rows = _rows(extractor, data)
        return cls._fitted(extractor, data, options, rows)

    @classmethod
    def fit_folds(
        cls,
        data: FitData,
        options: DfkdeOptions,
        folds: Sequence[Sequence[int]],
    ) -> Iterator[Dfkde]:
        """Compute the features once; a fold takes a decomposition."""
        extractor = cls.build_extractor(data, options)
        remembered = remember(extractor)
        rows = _rows(remembered, data)
        for fold in folds:
            others = without_rows(rows, fold)
            yield cls._fitted(remembered, data, options, others)
        yield cls._fitted(extractor, data, options, rows)

    @classmethod
    def _fitted(
        cls,
        extractor: FeatureExtractor,
        data: FitData,
        options: DfkdeOptions,
        rows: Tensor,
    ) -> Dfkde:
        """Return the detector fitted to features (N, d), or to some of them."""
        rows = _drawn(rows, options.max_points, data)
        config = DfkdeConfig.of(
            extractor,
            data.size,
            n_components=options.components,
            n_points=len(rows),
            scaling=options.scaling,
        )
        pipeline = cls(config, extractor).eval()
        pipeline._fill(rows, pipeline._directions(rows))
        return pipeline

    def refit(self, data: FitData, networks: Mapping[str, nn.Module]) -> Dfkde:
        """Return the detector on other networks, with a kernel for each of at most as many images.

        The directions are those of this detector's own features of the images: directions of nearly equal variance would
        turn into one another with little noise.
        """
        twin = self.with_networks({**networks, "kde": GaussianKDE()})
        own, other = [], []
        with torch.no_grad():
            for images in data:
                vectors = self.vectors(self.features(images))
                own.append(vectors)
                if networks:
                    vectors = twin.vectors(twin.features(images))
                other.append(vectors)
        n_points = self.config.n_points
        directions = self._directions(_drawn(torch.cat(own), n_points, data))
        rows = _drawn(torch.cat(other), n_points, data)
        twin.config = self.config.model_copy(update={"n_points": len(rows)})
        twin._fill(rows, directions)
        return twin

    def _directions(self, rows: Tensor) -> Tensor:
        """Return the principal directions V_k (d, k) of features (N, d)."""
        _refuse_too_few(len(rows), self.config.n_components)
        pca = PCA(self.config.n_components)
        pca.fit(rows)
        return pca.singular_vectors

    def _fill(self, rows: Tensor, directions: Tensor) -> None:
        """Fit mean and density to features (N, d), along directions (d, k)."""
        self.center = rows.double().mean(dim=0).to(rows)
        points = (rows - self.center) @ directions
        self.components = directions
        if self.config.scaling == "scale":
            length = points.square().sum(dim=1).max().sqrt()
            self.components = directions / length
        self.kde.fit(self.points(rows))

    def vectors(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the averages x of all layers, (B, d)."""
        return _averaged(features)

    def points(self, vectors: Tensor) -> Tensor:
        """Return the points y (B, k) of averages (B, d)."""
        points = (vectors - self.center) @ self.components
        if self.config.scaling == "scale":
            return points
        squares = points.square().sum(dim=1, keepdim=True)
        return points / squares.clamp_min(_LEAST_SQUARE).sqrt()

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/<layer>`, `points` (B, k) and `score` (B,); no `anomaly_map`."""
        features = self.features(images)
        points = self.points(self.vectors(features))
        named = {f"features/{layer}": x for layer, x in features.items()}
        return named | {
            "points": points,
            "score": -self.kde.log_density(points),
        }


def _empty_density(config: DfkdeConfig) -> GaussianKDE:
    """Return a density with buffers of the configuration's sizes."""
    n, k = config.n_points, config.n_components
    density = GaussianKDE()
    density.register_buffer("bw_transform", torch.zeros(k, k))
    density.register_buffer("dataset", torch.zeros(n, k))
    density.register_buffer("mean", torch.zeros(k))
    for name in ("norm", "log_norm"):
        density.register_buffer(name, torch.zeros(()))
    return density


def _averaged(features: Mapping[str, Tensor]) -> Tensor:
    """Average each map (B, C_l, h_l, w_l) over all places, and concatenate: (B, d)."""
    return torch.cat([x.mean(dim=(2, 3)) for x in features.values()], dim=1)


def _rows(extractor: FeatureExtractor, data: FitData) -> Tensor:
    """Return the averages (N, d) of all images.

    Raises:
        InputError: no images.
    """
    return torch.cat([_averaged(x) for x in extracted(extractor, data)])


def _drawn(rows: Tensor, most: int, data: FitData) -> Tensor:
    """Return at most so many rows, drawn by the data's seed, in their order."""
    if len(rows) <= most:
        return rows
    drawn = torch.randperm(len(rows), generator=data.generator())[:most]
    return rows[drawn.sort().values]


def _refuse_too_few(images: int, components: int) -> None:
    if images <= components:
        raise InputError(
            f"got {images} pictures for {components} components; expected more pictures than components: give more, or "
            f"--components {max(1, images // 2)}"
        )
