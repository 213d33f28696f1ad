"""Quantise a detector within a budget of changed decisions.

The products with most noise for their multiplications stay in float32, see `anomedge.pipelines.quantised.noise`. If
labels or the AUROC change by more than the budget allows, the next ones follow: at least one more, then twice as many
and so on, until the budget is met or nothing is left. A few numbers between the last two are tried then, because each
layer in INT8 saves time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any

from torch import fx, nn

from anomedge.errors import InputError, ModelError, ProofFailed
from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.crossfit import Scored, score_images
from anomedge.pipelines.data import FitData, selected
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.model import Card, Model
from anomedge.pipelines.quantised.calibration import ObservedNetwork
from anomedge.pipelines.quantised.compared import (
    NOTHING,
    PROBED,
    Batches,
    Compared,
    Images,
    Shown,
    Tiled,
    region_of,
)
from anomedge.pipelines.quantised.cross_fitted import (
    LEAST_IMAGES,
    cross_fitted,
)
from anomedge.pipelines.quantised.decision import (
    Pairs,
    carried_decision,
    flips,
    rises,
)
from anomedge.pipelines.quantised.fewest import fewest
from anomedge.pipelines.quantised.network import QuantisedNetwork
from anomedge.pipelines.quantised.noise import (
    Effect,
    count_noisiest,
    maps_of,
    noise,
)
from anomedge.pipelines.quantised.options import Budget, QuantiseOptions
from anomedge.pipelines.quantised.record import Quantisation
from anomedge.pipelines.quantised.scales import FINER
from anomedge.pipelines.quantised.stability import unstable_places
from anomedge.pipelines.quantised.tried import Tried, warn_of_unstable
from anomedge.pipelines.rounding import rounding_effect
from anomedge.pipelines.sensitivity import auroc
from anomedge.pipelines.tiles import Tiles
from anomedge.progress import track

__all__ = ["Budget", "QuantiseOptions", "quantise"]

_NAMED = 8
_FLOAT = "float detector"

Scales = dict[str, dict[str, float]]
Graphs = Mapping[str, fx.GraphModule]


def quantise(model: Model, options: QuantiseOptions) -> Model:
    """Return a detector with quantised networks whose decisions stay within the budget.

    Args:
        model: the float detector; it is not modified.
        options: pictures and budget.

    Raises:
        InputError: no pictures, or a budget out of range.
        ExportError: torch cannot trace a network.
        ModelError: the detector is quantised already, or has no network with products.
        ProofFailed: no choice of products meets the budget.
    """
    return _Quantiser(model, options).run()


class _Quantiser:
    """One quantisation of a detector."""

    def __init__(self, model: Model, options: QuantiseOptions) -> None:
        _check(model, options)
        self.model, self.options = model, options
        self.tiles = Tiles.of(model.geometry)
        self.graphs: Graphs = folded_networks(
            model.pipeline, model.geometry, None
        )
        self.images = Images.of(model, options)
        self.before = self._compare(model.pipeline, {}, _FLOAT)
        self.costs: dict[str, dict[str, int]] = {}
        self.scales = self._calibrated()
        self.effects = self._measured_effects()
        self.tried: list[Tried] = []
        self.unsteady: list[tuple[float, Model]] = []

    def run(self) -> Model:
        """Return the quantised detector.

        Raises:
            ProofFailed: one quantised product is too many.
        """
        first, most = count_noisiest(self.effects), len(self.effects) - 1
        for self.refines in (True, False):
            found = fewest(first, most, self._within_budget)
            if found is None and self.unsteady:
                found = min(self.unsteady, key=itemgetter(0))[1]
            if found is not None:
                warn_of_unstable(self.tried, self.options.budget)
                return found
        raise ProofFailed(self._refusal(self.tried[-1]))

    def _within_budget(self, kept: int) -> Model | None:
        """Return the detector with so many of the noisiest products in float32; None if it is over the budget."""
        scales, total = self._without(kept), len(self.effects)
        shown = (
            f"try {len(self.tried) + 1}, {kept} of {total} layers in float32"
        )
        tried = self._tried(scales, shown)
        self.tried.append(tried)
        if tried.model is None or not tried.is_within(self.options.budget):
            return None
        rounding = self._rounding(tried.model)
        found = self._recorded(tried.model, tried, scales, rounding)
        if rounding <= self.options.budget.rounding:
            return found
        self.unsteady.append((rounding, found))
        return None

    def _calibrated(self) -> Scales:
        """Return scales of values of normal pictures and of defects, which are often larger and must not be clipped."""
        observed = {n: ObservedNetwork(g) for n, g in self.graphs.items()}
        if not any(network.products for network in observed.values()):
            raise ModelError(
                f"got {self.model.pipeline.name} without a network that has convolutions or linear layers; expected one to "
                f"quantise: export in fp32, or, for a torch module, name its networks in `export_module(networks=...)`"
            )
        observing = self.model.pipeline.with_networks(observed)
        for kind, batches in self.images.kinds().items():
            title = f"{_FLOAT}: measuring ranges on {kind}"
            self._scored(observing, batches, title)
        self.costs = {n: each.multiplications() for n, each in observed.items()}
        return {name: each.scales() for name, each in observed.items()}

    def _tried(self, scales: Scales, shown: str) -> Tried:
        """Return the detector with these scales, and what changed; the progress display has the text `shown`."""
        networks = self._networks(scales, self._fine(scales))
        pipeline = self.model.pipeline
        if self._refits:
            twin = pipeline.refit(
                self._data(self.images.fitted, shown), networks
            )
        else:
            twin = pipeline.with_networks(networks)
        after = self._compare(twin, networks, shown)
        pairs = Pairs(
            self.before.scores(),
            after.scores(),
            self.before.peaks(),
            after.peaks(),
        )
        drop = self._auroc(self.before) - self._auroc(after)
        if not rises(pairs):
            return Tried(None, len(pairs.before), drop)
        decision = carried_decision(self.model.decision, pairs)
        above = pairs.before > self.model.decision.threshold
        flipped = flips(above, pairs.after, decision.threshold)
        found = replace(self.model, pipeline=twin, decision=decision, digest="")
        golden = after.proven.scores
        places = unstable_places(found, self.images.proven, golden)
        names = tuple(self.options.proven[place].name for place in places)
        return Tried(found, flipped, drop, names)

    def _fine(self, scales: Scales) -> Scales:
        """Return the scales of the products that stay in float32; none where finer grids are over the budget too."""
        if not self.refines:
            return {}
        return {
            name: {
                product: scale / FINER
                for product, scale in every.items()
                if product not in scales[name]
            }
            for name, every in self.scales.items()
        }

    def _networks(
        self, scales: Scales, fine: Scales | None = None
    ) -> dict[str, QuantisedNetwork]:
        return {
            name: QuantisedNetwork(
                graph,
                scales.get(name, {}),
                self.model.pipeline.get_submodule(name),
                (fine or {}).get(name),
            )
            for name, graph in self.graphs.items()
        }

    def _without(self, count: int) -> Scales:
        """Return the scales without the first products of `effects`."""
        left_out = {
            (each.network, each.product) for each in self.effects[:count]
        }
        return {
            name: {
                product: scale
                for product, scale in scales.items()
                if (name, product) not in left_out
            }
            for name, scales in self.scales.items()
        }

    def _measured_effects(self) -> list[Effect]:
        """Return the effect of each product alone, the largest for its multiplications first."""
        probed, detector = self.images.probed(), self._probe()
        exact = maps_of(detector, self.tiles, probed)
        products = [
            (name, product, scale)
            for name, scales in self.scales.items()
            for product, scale in scales.items()
        ]
        title = f"{_FLOAT}: measuring layers"
        found = []
        for name, product, scale in track(products, title, len(products)):
            networks = self._networks({name: {product: scale}})
            twin = detector.with_networks(networks)
            maps = maps_of(twin, self.tiles, probed)
            size = noise(exact, maps, self.model.decision.scale)
            cost = self.costs[name][product]
            found.append(Effect(size, name, product, cost))
        found.sort(key=lambda each: -each.variance_per_multiplication)
        return found

    def _probe(self) -> Pipeline[Any, Any]:
        """Return the float detector, without the probed pictures in its statistics, where that can be.

        The map of a picture that statistics were estimated from hardly changes.
        """
        pipeline = self.model.pipeline
        count = sum(len(batch) for batch in self.images.fitted)
        if not self._refits or count < LEAST_IMAGES:
            return pipeline
        others = selected(self.images.fitted, range(PROBED, count))
        try:
            return pipeline.refit(self._data(others, _FLOAT), {})
        except InputError:
            return pipeline

    @property
    def _refits(self) -> bool:
        return self.options.refit and self.model.pipeline.has_statistics

    def _compare(
        self,
        pipeline: Pipeline[Any, Any],
        networks: Mapping[str, nn.Module],
        shown: str,
    ) -> Compared:
        """Return the scores of a detector, and of detectors on its networks that were fitted without some images."""
        normal, defects, labelled, proven = (
            self._scored(pipeline, batches, f"{shown}: scoring {kind}")
            for kind, batches in self.images.kinds().items()
        )
        left_out = self._left_out(networks, shown)
        return Compared(normal, defects, labelled, proven, left_out)

    def _left_out(
        self, networks: Mapping[str, nn.Module], shown: str
    ) -> Scored:
        """Return cross-fitted scores of the pictures of the statistics, if the float detector is fitted to them too."""
        pictures = self.options.refit_on or self.options.pictures
        fitted = set(self.model.card.fitted)
        same = fitted.issuperset(str(each.digest) for each in pictures)
        if not self._refits or not same:
            return NOTHING
        return cross_fitted(
            self.images.fitted,
            lambda part, fold: self.model.pipeline.refit(
                self._data(part, f"{shown}, {fold}"), networks
            ),
            lambda detector, part, fold: self._scored(
                detector, part, f"{shown}, {fold}: scoring normal pictures"
            ),
        )

    def _scored(
        self, pipeline: Pipeline[Any, Any], batches: Batches, description: str
    ) -> Scored:
        if not batches:
            return NOTHING
        shown = Shown(batches, description)
        return score_images(pipeline, shown, self.tiles)

    def _auroc(self, compared: Compared) -> float:
        """Return the AUROC of the labelled pictures; of the synthetic defects where there are no labels of both kinds."""
        scores = compared.labelled.scores
        labels = [picture.anomalous for picture in self.options.labelled]
        normal = scores[[label is False for label in labels]]
        anomalous = scores[[label is True for label in labels]]
        if normal.size and anomalous.size:
            return auroc(normal, anomalous)
        if not len(compared.defects):
            return 1.0
        return auroc(compared.normal.scores, compared.defects.scores)

    def _data(self, images: Batches, shown: str) -> FitData:
        """Return images as data of a fit; the progress display has the text `shown`."""
        geometry = self.model.geometry
        shown_images = Shown(images, f"{shown}: estimating statistics")
        return FitData(
            normal=self._cut(shown_images),
            size=geometry.detector_input,
            seed=self.model.card.seed,
            inside=region_of(self.model),
        )

    def _recorded(
        self, found: Model, tried: Tried, scales: Scales, rounding: float
    ) -> Model:
        kept: dict[str, dict[str, float]] = {}
        for each in self.effects:
            if each.product not in scales[each.network]:
                kept.setdefault(each.network, {})[each.product] = each.noise
        record = Quantisation(
            float_model=self.model.digest,
            scales=scales,
            fine=self._fine(scales),
            kept=kept,
            pictures=len(self.options.pictures),
            refitted=self._refits,
            compared=len(self.before.scores()),
            flips=tried.flips,
            auroc_drop=tried.auroc_drop,
            rounding=rounding,
        )
        return replace(found, quantisation=record, card=self._card())

    def _card(self) -> Card:
        """Return the card, with all pictures that the statistics may come from: a bank may keep vectors of the float one.

        Those of an imported model stay unknown.
        """
        card = self.model.card
        if not self._refits or card.known is None:
            return card
        pictures = self.options.refit_on or self.options.pictures
        digests = (str(picture.digest) for picture in pictures)
        fitted = tuple(dict.fromkeys((*card.fitted, *digests)))
        return card.model_copy(update={"fitted": fitted})

    def _rounding(self, found: Model) -> float:
        """Return the largest effect of float32 rounding on calibration and golden pictures, as a share of the scale."""
        scale, title = found.decision.scale, "measuring effects of rounding"
        return max(
            rounding_effect(found.pipeline, images, scale)
            for kind in (self.images.normal, self.images.proven)
            if kind
            for images in self._cut(Shown(kind, title))
        )

    def _cut(self, batches: Batches) -> Batches:
        """Return batches of the detector's input: tiles, if the images are cut."""
        if self.tiles is None:
            return batches
        return Tiled(batches, self.tiles, self.options.batch)

    def _refusal(self, tried: Tried) -> str:
        budget = self.options.budget
        worst = ", ".join(
            f"{each.network}.{each.product} ({each.noise:.2g} of the scale)"
            for each in sorted(self.effects, reverse=True)[:_NAMED]
        )
        return (
            f"got {tried.flips} changed labels of {len(self.before.scores())}, {len(tried.unstable)} golden pictures as near to "
            f"the threshold as rounding moves scores, and an AUROC drop of {tried.auroc_drop:.4f} "
            f"with one of {len(self.effects)} layers quantised; expected at most {budget.flips} and {budget.auroc_drop:g}: export in fp32 or fp16, or "
            f"allow more with --max-flips and --max-auroc-drop; layers with most noise: {worst}"
        )


def _check(model: Model, options: QuantiseOptions) -> None:
    options.budget.check()
    if model.quantisation is not None:
        raise ModelError(
            "got a model that is quantised already; expected the float model that it was made from: give that file"
        )
    if not options.pictures:
        raise InputError(
            "got no picture to calibrate on; expected normal pictures: give their folder with --calibrate"
        )
