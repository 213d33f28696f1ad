"""Origin of a threshold: the rule that placed it, its sample, and what was measured on it."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from anomedge.threshold.normal_distributions import NormalDistributions

__all__ = ["Origin", "Record", "Sensitivity", "SensitivityRow", "TailFit"]

Share = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """Frozen values; unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class TailFit(Record):
    """Generalised Pareto tail that placed a threshold.

    Attributes:
        shape: shape of the distribution, negative for a bounded tail.
        exceedances: number of scores that it was fitted to.
        low, high: 95 % interval of the threshold (profile likelihood).
    """

    shape: FiniteFloat
    exceedances: int = Field(ge=1)
    low: FiniteFloat
    high: FiniteFloat


class SensitivityRow(Record):
    """Shares of normal pictures and of synthetic defects above a threshold."""

    threshold: FiniteFloat
    false_alarms: Share
    caught: Share


class Sensitivity(Record):
    """Synthetic defects on normal pictures: the share that would be caught.

    Attributes:
        defects: number of synthetic defects.
        auroc: area under the ROC curve of normal pictures against them.
        false_alarms: share of the normal pictures above the threshold.
        caught: share of the defects above the threshold.
        kinds: that share by kind of defect.
        rows: the shares at other thresholds, rising false-alarm rates.
    """

    defects: int = Field(ge=1)
    auroc: Share
    false_alarms: Share
    caught: Share
    kinds: dict[str, Share] = Field(max_length=64)
    rows: tuple[SensitivityRow, ...] = Field(default=(), max_length=64)


class Origin(Record):
    """Origin of a threshold: the rule, the sample and a digest of its pictures.

    `source` to `pictures` describe the sample. The fields below `pictures` are
    left out of files where they are absent, as in older files.

    Attributes:
        rule: how the threshold was placed: `imported` from a file of another
            library, `given` as a number at the import, `baked` from settings of
            a device, or by a sample.
        rate: false-alarm rate aimed at, or the cap of the rule `balanced`.
        recall: share of the anomalous pictures to catch, for the rule `recall`.
        folds: number of folds, if the scores are those of cross-fitting.
        outliers: names of pictures with scores far above the others.
        tail: the tail model, if one placed the threshold.
        sensitivity: measured with synthetic defects, not with real ones.
        caught: labelled anomalous pictures above the threshold.
        alarms: labelled normal pictures above the threshold.
        imported_from: file and library that the detector was imported from.
        shift: by how much an imported threshold was raised (or, if negative,
            lowered), because it equals a score of its sample.
        ties: names of pictures with scores within `shift` of that score.
        carried_by: number of pairs of scores by which the threshold of a float
            detector was carried over to this quantised one.
        baked_from: digest of the bundle whose settings of a device became this
            threshold; the sample remains the one of the scale.
        baked_by: the settings' pictures, author and date.
        normals: distributions of the normal pictures' scores and statistics.
    """

    rule: Literal[
        "false-alarm-rate",
        "f1",
        "balanced",
        "recall",
        "imported",
        "given",
        "baked",
    ]
    rate: float | None = Field(default=None, gt=0, lt=1)
    source: str
    normal: int = Field(ge=0)
    anomalous: int = Field(ge=0)
    margin: FiniteFloat
    extrapolated: bool
    pictures: str
    recall: float | None = Field(default=None, gt=0, le=1)
    folds: int | None = Field(default=None, ge=2)
    outliers: tuple[str, ...] = Field(default=(), max_length=64)
    tail: TailFit | None = None
    sensitivity: Sensitivity | None = None
    caught: int | None = Field(default=None, ge=0)
    alarms: int | None = Field(default=None, ge=0)
    imported_from: str | None = Field(default=None, max_length=512)
    shift: FiniteFloat | None = None
    ties: tuple[str, ...] = Field(default=(), max_length=64)
    carried_by: int | None = Field(default=None, ge=1)
    baked_from: str | None = Field(default=None, max_length=64)
    baked_by: str | None = Field(default=None, max_length=2048)
    normals: NormalDistributions | None = None

    @property
    def rule_in_words(self) -> str:
        """The rule with its number."""
        rate, recall = self.rate or 0, self.recall or 0
        source, shift = self.imported_from or "a file", self.shift or 0
        moved = f", {'raised' if shift > 0 else 'lowered'} by {abs(shift):.3g}"
        words = {
            "f1": "best F1",
            "recall": f"recall {recall:g}",
            "false-alarm-rate": f"false-alarm rate {rate:g}",
            "balanced": "best balanced accuracy against synthetic defects, "
            f"at most {rate:.3g} false alarms",
            "imported": f"imported from {source}" + moved * (shift != 0),
            "given": f"given at the import of {source}",
            "baked": f"set on a device and baked from bundle {(self.baked_from or '')[:16]}",
        }
        return words[self.rule]

    @property
    def sample_in_words(self) -> str:
        """The sample: numbers of pictures and their source."""
        if not self.has_pictures:
            return f"no pictures ({self.source})"
        parts = [f"{self.normal} normal"]
        if self.anomalous:
            parts.append(f"{self.anomalous} anomalous")
        return f"{' and '.join(parts)} pictures ({self.source})"

    @property
    def scale_in_words(self) -> str:
        """Definition of the scale."""
        if self.has_pictures:
            return "the spread of normal scores"
        return "5 % of the threshold, as there are no normal scores"

    @property
    def has_pictures(self) -> bool:
        """Whether pictures were scored to place the threshold or its scale."""
        return self.normal + self.anomalous > 0

    @model_serializer(mode="wrap")
    def _without_absent_fields(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        return {
            name: value
            for name, value in content.items()
            if value not in _ABSENT or name not in _LATER_FIELDS
        }


_ABSENT: tuple[object, ...] = (None, (), [])
_LATER_FIELDS = {
    "recall",
    "folds",
    "outliers",
    "tail",
    "sensitivity",
    "caught",
    "alarms",
    "imported_from",
    "shift",
    "ties",
    "carried_by",
    "baked_from",
    "baked_by",
    "normals",
}
