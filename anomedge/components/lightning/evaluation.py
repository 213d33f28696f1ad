"""Thresholds and metrics of raw anomaly scores, for `AnomalyModule`.

Scores are collected and evaluated at the end of the epoch, so results are
independent of the batch size. torchmetrics maps scores outside [0, 1] through a
sigmoid, batch by batch; large scores then tie. Needs the extra `train`.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomedge.components.scalars import real
from anomedge.errors import InputError, RuntimeMissing
from anomedge.extras import install_advice
from anomedge.threshold import Cut, by_f1, by_false_alarm_rate, spread

try:
    from torchmetrics import Metric, MetricCollection
    from torchmetrics.classification import BinaryAUROC, BinaryF1Score
    from torchmetrics.functional.classification import binary_auroc
except ImportError as error:
    raise RuntimeMissing(
        f"torchmetrics cannot be imported ({error}); expected it for AnomalyModule: {install_advice('train')}"
    ) from error

__all__ = ["AdaptiveThreshold", "AnomalyMetrics", "EvaluationWarning"]

Scores = npt.NDArray[np.float64]

_ORIGIN = ("margin", "scale", "normal", "anomalous", "minimum", "maximum")


class EvaluationWarning(UserWarning):
    """The pictures do not determine a threshold or a metric."""


class AdaptiveThreshold(Metric):
    """Threshold with the best F1, and the sample that it was computed from.

    It stays on the CPU in float64 if its module is moved or converted, because
    half precision could move a threshold onto a score.

    `update(scores, labels)` collects, `compute()` sets the threshold, `reset()`
    removes the scores and keeps the threshold. Without anomalous scores, the
    threshold lies one typical gap above the largest normal one; without normal
    scores, or if all scores are equal, it is unchanged. Both cases warn.

    Args:
        default_value: the threshold until one is computed.
        level: "image" or "pixel", for messages.

    Attributes:
        value: the threshold, a float64 scalar; all attributes are in the
            state_dict.
        margin: distance to the nearest score; 0 until computed.
        scale: spread of the normal scores (`anomedge.threshold.spread`); 0
            until computed.
        normal, anomalous: number of scores of each kind.
        minimum, maximum: of those scores.

    Raises:
        InputError: the default is not a number.

    Example:
        >>> threshold = AdaptiveThreshold()
        >>> threshold.update(torch.tensor([2.3, 1.6, 2.6, 7.9, 3.4]), torch.tensor([0, 0, 0, 1, 1]))
        >>> round(threshold.compute().item(), 6)
        3.0
    """

    scores: list[Tensor]
    labels: list[Tensor]
    value: Tensor
    margin: Tensor
    scale: Tensor
    normal: Tensor
    anomalous: Tensor
    minimum: Tensor
    maximum: Tensor

    full_state_update = False

    def __init__(
        self, default_value: float = 0.5, level: str = "image"
    ) -> None:
        super().__init__()
        self.level = level
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")
        self.assign(
            value=real(default_value, "default_value"),
            **dict.fromkeys(_ORIGIN, 0.0),
        )

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Collect scores (N,) with labels (N,) of 0 and 1."""
        self.scores.append(preds.detach().cpu())
        self.labels.append(target.detach().cpu())

    def compute(self) -> Tensor:
        """Compute the threshold.

        Raises:
            InputError: a score that is not finite.
        """
        scores = torch.cat(self.scores).double()
        labels = torch.cat(self.labels).bool()
        normal, anomalous = scores[~labels].numpy(), scores[labels].numpy()
        if not np.isfinite(scores.numpy()).all():
            raise InputError(
                "got scores that are not finite; expected numbers: check the weights and the pictures"
            )
        if normal.size and anomalous.size and scores.min() < scores.max():
            self._set(by_f1(normal, anomalous), normal, anomalous)
        elif normal.size > 1 and not anomalous.size:
            # At this rate no score lies above the threshold.
            rate = 1 / (normal.size + 1)
            self._set(by_false_alarm_rate(normal, rate), normal, anomalous)
            self._warn(
                "lies one typical gap above the largest score",
                normal,
                anomalous,
            )
        else:
            self._warn(f"stays {self.value.item():.6g}", normal, anomalous)
        return self.value

    def assign(self, **values: float) -> None:
        """Set attributes by name, also in inference mode."""
        with torch.inference_mode(False):
            for name, value in values.items():
                self.register_buffer(
                    name, torch.tensor(value, dtype=torch.float64)
                )

    def _set(self, cut: Cut, normal: Scores, anomalous: Scores) -> None:
        every = np.concatenate([normal, anomalous])
        self.assign(
            value=cut.value,
            margin=cut.margin,
            scale=spread(normal),
            normal=normal.size,
            anomalous=anomalous.size,
            minimum=float(every.min()),
            maximum=float(every.max()),
        )

    def _warn(self, outcome: str, normal: Scores, anomalous: Scores) -> None:
        warnings.warn(
            f"got {normal.size} normal and {anomalous.size} anomalous scores at {self.level} level; expected both "
            f"kinds, differing: the threshold {outcome}; validate with labelled pictures of both",
            EvaluationWarning,
            stacklevel=3,
        )

    def _apply(self, *_: Any, **__: Any) -> "AdaptiveThreshold":
        return self  # unchanged by .to(), .half() and similar methods

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        # anomalib stores the value only; this dict is a copy of the caller's.
        for name in _ORIGIN:
            state_dict.setdefault(
                prefix + name, torch.zeros((), dtype=torch.float64)
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)


class _AUROC(BinaryAUROC):
    """AUROC of raw scores, without the sigmoid of torchmetrics."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.preds.append(preds)
        self.target.append(target)

    def compute(self) -> Tensor:  # type: ignore[override]  # as BinaryAUROC's own
        preds, target = torch.cat(self.preds), torch.cat(self.target)
        if target.min() == target.max():
            return torch.tensor(torch.nan)
        # Ranks have the order of the scores, and lie within [0, 1].
        values, ranks = torch.unique(preds, return_inverse=True)
        return binary_auroc(ranks.double() / len(values), target)


class _F1Score(BinaryF1Score):
    """F1 of raw scores above `threshold`; NaN without anomalous labels."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update((preds.double() > self.threshold).int(), target)

    def compute(self) -> Tensor:
        n_anomalous = torch.as_tensor(self.tp) + torch.as_tensor(self.fn)
        if n_anomalous > 0:
            return super().compute()
        return torch.tensor(torch.nan)


class AnomalyMetrics(MetricCollection):
    """AUROC and F1 of raw scores, with names that start with `prefix`.

    Example:
        >>> metrics = AnomalyMetrics("image_")
        >>> metrics.set_threshold(30)
        >>> metrics.update(torch.tensor([10.0, 20.0, 40.0]), torch.tensor([0, 0, 1]))
        >>> {name: value.item() for name, value in metrics.compute().items()}
        {'image_AUROC': 1.0, 'image_F1Score': 1.0}
    """

    def __init__(self, prefix: str) -> None:
        super().__init__(
            {"AUROC": _AUROC(validate_args=False), "F1Score": _F1Score()},
            prefix=prefix,
            compute_groups=False,
        )

    def set_threshold(self, threshold: float) -> None:
        """Set the threshold of every metric that has one."""
        for metric in self.values():
            if hasattr(metric, "threshold"):
                metric.threshold = threshold
