"""Record of a quantisation, in the model file and in the bundle's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from anomedge.errors import ModelError
from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.quantised.network import QuantisedNetwork
from anomedge.resample import Geometry

__all__ = ["Quantisation", "float_networks", "quantised_networks"]

Scale = Annotated[FiniteFloat, Field(gt=0, le=3e38)]
"""A scale is stored in float32."""
Share = Annotated[float, Field(ge=0, le=1)]


class Quantisation(BaseModel):
    """Quantised products, calibration pictures, and labels compared with those of the float detector.

    Attributes:
        float_model: SHA-256 of the float detector's model file.
        scales: scale of the input of each quantised product, by network and product.
        fine: scale of the input of each product that stays in float32, by network and product.
        kept: products that stay in float32, by network, with the noise that their quantisation causes in the map (without a
            map: in the score), as a share of the scale.
        pictures: number of calibration pictures.
        refitted: whether the statistics were estimated again on quantised features.
        compared: number of labels that were compared, of pictures and synthetic defects.
        flips: how many labels differ.
        auroc_drop: by how much the AUROC fell, negative if it rose.
        rounding: largest change of a map or score by float32 rounding, which moves values to the next level, as a share
            of the scale; see `anomedge.pipelines.rounding`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    float_model: str = Field(max_length=64)
    scales: dict[str, dict[str, Scale]] = Field(max_length=64)
    fine: dict[str, dict[str, Scale]] = Field(
        default_factory=dict, max_length=64
    )
    kept: dict[str, dict[str, FiniteFloat]] = Field(
        default_factory=dict, max_length=64
    )
    pictures: int = Field(ge=1)
    refitted: bool
    compared: int = Field(ge=0)
    flips: int = Field(ge=0)
    auroc_drop: FiniteFloat
    rounding: Annotated[FiniteFloat, Field(ge=0)]


def quantised_networks(
    pipeline: Pipeline[Any, Any],
    geometry: Geometry,
    scales: Mapping[str, Mapping[str, float]],
    fine: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, QuantisedNetwork]:
    """Return the quantised networks of a float detector, by name.

    Args:
        pipeline: the detector, with its float networks.
        geometry: how pictures become its images.
        scales: scale of the input of each quantised product, by network and product.
        fine: that of products in float32.

    Raises:
        ExportError: torch cannot trace a network.
        ModelError: a network or a product that the detector does not have.
    """
    fine = fine or {}
    named = scales.keys() | fine.keys()
    if unknown := sorted(named - set(pipeline.networks)):
        raise ModelError(
            f"got scales of the network {unknown[0]}, which {pipeline.name} does not have; expected some of "
            f"{', '.join(pipeline.networks)}: quantise the float model again"
        )
    return {
        name: QuantisedNetwork(
            graph,
            scales.get(name, {}),
            pipeline.get_submodule(name),
            fine.get(name, {}),
        )
        for name, graph in folded_networks(pipeline, geometry, None).items()
    }


def float_networks(pipeline: Pipeline[Any, Any]) -> Pipeline[Any, Any]:
    """Return a detector with float networks in place of its quantised ones; all other tensors are shared."""
    networks = {}
    for name in pipeline.networks:
        network = pipeline.get_submodule(name)
        if isinstance(network, QuantisedNetwork):
            networks[name] = network.original
    return pipeline.with_networks(networks)
