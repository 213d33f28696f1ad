"""Statement of a bundle on the quantisation of its networks."""

from typing import Annotated

from pydantic import Field, FiniteFloat

from anomedge.bundle.contracts import Frozen

__all__ = ["QuantisedNetworks", "differing_fields"]

_NAMED = 8

Count = Annotated[int, Field(ge=0)]


class QuantisedNetworks(Frozen):
    """Quantised layers, and the decisions that were compared with those of the float detector at the export.

    Attributes:
        float_model: SHA-256 of the float detector's model file.
        quantised: number of layers in INT8.
        kept: layers that stay in float32, by network, with the noise that their quantisation causes in the map (without a
            map: in the score), as a share of the scale.
        pictures: number of calibration pictures.
        refitted: whether the statistics were estimated again on quantised features.
        compared: number of labels that were compared, of pictures and synthetic defects.
        flips: how many labels differ.
        auroc_drop: by how much the AUROC fell, negative if it rose.
        rounding: largest change of a map or score by float32 rounding, which moves values to the next level, as a share
            of the scale.
    """

    float_model: str = Field(max_length=64)
    quantised: Count
    kept: dict[str, dict[str, FiniteFloat]] = Field(max_length=64)
    pictures: Count
    refitted: bool
    compared: Count
    flips: Count
    auroc_drop: FiniteFloat
    rounding: Annotated[FiniteFloat, Field(ge=0)]

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines of text for a person."""
        statistics = (
            "estimated again on quantised features"
            if self.refitted
            else "those of the float detector"
        )
        kept = sum(map(len, self.kept.values()))
        # Adding 0 makes -0 to 0.
        change = round(-self.auroc_drop, 4) + 0.0
        found = (
            f"int8: {self.quantised} layers quantised on {self.pictures} pictures, {kept} in float32; statistics "
            f"{statistics}, thresholds carried over",
            f"against the float detector ({self.float_model[:16]}): {self.flips} of {self.compared} labels differ, AUROC "
            f"{change:+.4f}; rounding moves scores by {self.rounding:.2g} of the scale",
        )
        return found + self._line_on_kept()

    def _line_on_kept(self) -> tuple[str, ...]:
        kept: list[tuple[float, str]] = []
        for network, layers in self.kept.items():
            # Networks of one architecture have layers of the same names.
            kept += [(x, f"{network}.{name}") for name, x in layers.items()]
        if not kept:
            return ()
        worst = sorted(kept, reverse=True)[:_NAMED]
        named = ", ".join(f"{name} ({effect:.2g})" for effect, name in worst)
        more = f" and {len(kept) - _NAMED} more" if len(kept) > _NAMED else ""
        return (
            f"in float32, with their noise as shares of the scale: {named}{more}",
        )


def differing_fields(
    stated: QuantisedNetworks | None, expected: QuantisedNetworks | None
) -> tuple[str, ...]:
    """Return the names of the fields that differ; "quantisation" where one of the two states nothing."""
    if stated is None or expected is None:
        return () if stated is expected else ("quantisation",)
    own = expected.model_dump()
    return tuple(
        name
        for name, value in stated.model_dump().items()
        if value != own[name]
    )
