"""Records of an evaluation: figures with their counts and intervals."""

from __future__ import annotations

from pydantic import Field

from anomedge.parity.records import Frozen

__all__ = [
    "Column",
    "Evaluation",
    "Figure",
    "KindFigures",
    "LevelFigures",
    "PictureTotals",
    "Rate",
]


class Figure(Frozen):
    """A metric with its 95 % interval; no interval where none is defined."""

    value: float
    low: float | None = None
    high: float | None = None


class Rate(Figure):
    """A share: `count` of `of` pictures or pixels."""

    count: int = Field(ge=0)
    of: int = Field(ge=1)


class LevelFigures(Frozen):
    """Metrics of one level, pictures or pixels; None without both classes.

    Attributes:
        normal, anomalous: number of pictures, or of pixels.
        regions: number of connected regions of the masks; None for pictures.
        threshold: the threshold in force; a value above it is anomalous.
        f1: F1 at the threshold in force.
        best_f1: largest F1 of all thresholds, at `best_threshold`.
        false_alarm_rate: share of normal pictures or pixels above the threshold.
        recall: share of anomalous pictures or pixels above the threshold.
        auroc_error: largest error of the AUROC caused by rounded map values.
    """

    normal: int
    anomalous: int
    regions: int | None = None
    threshold: float
    auroc: Figure | None = None
    average_precision: Figure | None = None
    aupro: Figure | None = None
    f1: Figure | None = None
    best_f1: Figure | None = None
    best_threshold: float | None = None
    false_alarm_rate: Rate | None = None
    recall: Rate | None = None
    auroc_error: float = 0.0


class KindFigures(Frozen):
    """Figures of one kind of defect together with all normal pictures."""

    kind: str
    image: LevelFigures
    pixel: LevelFigures | None


class Column(Frozen):
    """Figures of one detector: eager Torch, or a runtime.

    Attributes:
        name: "eager torch", or the name of the runtime.
        change: value of each metric minus its value in eager Torch, by name such
            as "image auroc"; empty without a model.
        flips: names of the pictures that this detector and eager Torch decide
            differently.
        map_bits: significant bits of the map values that were kept; 24 is exact,
            None for a detector without a map.
    """

    name: str
    version: str
    running_on: str
    image: LevelFigures
    pixel: LevelFigures | None
    kinds: tuple[KindFigures, ...] = ()
    change: dict[str, float] = Field(default_factory=dict)
    flips: tuple[str, ...] = ()
    map_bits: int | None = 24


class PictureTotals(Frozen):
    """Numbers of pictures of a data set.

    Attributes:
        masked: pictures that the pixel figures use: normal ones, and anomalous
            ones with a mask.
        unlabelled: pictures without a label, which are left out.
        fitted: pictures that the detector was fitted to; None without a model.
    """

    normal: int
    anomalous: int
    masked: int
    unlabelled: int
    fitted: int | None = None


class Evaluation(Frozen):
    """Result of an evaluation.

    Attributes:
        subject: bundle or model file.
        digest: digest of the bundle, or SHA-256 of the model file.
        local_thresholds: whether the bundle's local.json is in force.
        columns: eager Torch first, if a model is given.
        notes: figures that are absent, and cautions, one sentence each.
    """

    schema_version: int = 1
    subject: str
    digest: str
    dataset: str
    precision: str
    pictures: PictureTotals
    local_thresholds: bool
    seed: int
    replicates: int
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @property
    def has_map(self) -> bool:
        """Whether the detector gives an anomaly map."""
        return any(column.map_bits is not None for column in self.columns)
