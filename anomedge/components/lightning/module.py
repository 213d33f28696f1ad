r"""The base of one's own detectors under Lightning 2: thresholds and metrics at image and pixel level, and nothing more.

`AnomalyModule` keeps the interface that anomalib 0.3 to 1.x gave this class (Akcay et al. 2022, arXiv:2202.08341), on
Lightning 2's hooks; docs/lightning-names.md maps the old names. A subclass writes `validation_step`, which returns its
batch with `pred_scores` (B,) or `anomaly_maps` (B, 1, H, W) or (B, H, W) added, beside `label` (B,) and, where there
are any, `mask` of the maps' size, both 0 and 1.

The threshold maximises F1 = 2 TP / (2 TP + FP + FN) and is `anomedge.threshold.by_f1`'s, midway between two neighbouring
scores, not a precision-recall curve's: that curve's thresholds are scores themselves, so a copy that rounds the last
digit otherwise decides otherwise. An image or a pixel is anomalous when it is above the threshold, as everywhere here.
"""

import copy
import inspect
import math
import warnings
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from anomedge.components.lightning.evaluation import (
    AdaptiveThreshold,
    AnomalyMetrics,
    EvaluationWarning,
)
from anomedge.errors import InputError, RuntimeMissing
from anomedge.threshold import Decision, Origin

try:
    from lightning.pytorch import LightningModule
    from torchmetrics import MetricCollection
except ImportError as error:
    raise RuntimeMissing(
        f"Lightning cannot be imported ({error}); expected it for AnomalyModule: pip install 'anomedge[train]'"
    ) from error

__all__ = ["AnomalyModule"]

_KEPT = ("label", "pred_scores", "mask", "anomaly_maps")
"""Of each output until the epoch ends; images are let go."""


class AnomalyModule(LightningModule):
    """Base of detectors that Lightning 2 trains, validates, tests and runs.

    Write `validation_step`, and `training_step` and `configure_optimizers` as for any LightningModule. Validation
    computes the thresholds (when adaptive), then the metrics `image_AUROC`, `image_F1Score`, `pixel_AUROC` and
    `pixel_F1Score`; testing computes the metrics at those thresholds. What is kept for it (scores, labels, maps, masks)
    lies on the CPU until the epoch ends and is then let go; every figure is that of the whole set, however it was split
    into batches. Thresholds are part of the state_dict. One process: on several, each would see its share.

    `image_metrics` and `pixel_metrics` may be replaced by other collections of torchmetrics; they are updated with raw
    scores, (N,), and labels, (N,).

    Args:
        adaptive_threshold: compute thresholds when validating; else the defaults hold.
        default_image_threshold, default_pixel_threshold: until computed.
        normalization: None, "none" or "min_max". Outputs are raw scores in any case; `decision` shows them on [0, 1].

    Raises:
        InputError: another normalization.

    Example:
        >>> class Brightness(AnomalyModule):
        ...     def validation_step(self, batch, batch_idx):
        ...         return batch | {"anomaly_maps": batch["image"].mean(dim=1)}
        >>> detector = Brightness(default_image_threshold=0.7)
        >>> detector.predict_step({"image": torch.ones(1, 3, 2, 2)}, 0)["pred_labels"]
        tensor([True])
    """

    model: torch.nn.Module

    def __init__(
        self,
        adaptive_threshold: bool = True,
        default_image_threshold: float = 0.5,
        default_pixel_threshold: float = 0.5,
        normalization: str | None = None,
    ) -> None:
        super().__init__()
        if normalization not in {None, "none", "min_max"}:
            raise InputError(
                f"got normalization={normalization!r}; expected None, 'none' or 'min_max'"
            )
        self.save_hyperparameters(ignore=_modules_given(inspect.currentframe()))
        self.adaptive_threshold = adaptive_threshold
        self.image_threshold = AdaptiveThreshold(
            default_image_threshold, "image"
        )
        self.pixel_threshold = AdaptiveThreshold(
            default_pixel_threshold, "pixel"
        )
        self.image_metrics: MetricCollection = AnomalyMetrics("image_")
        self.pixel_metrics: MetricCollection = AnomalyMetrics("pixel_")
        self._outputs: list[dict[str, Any]] = []

    # What a subclass writes, and the steps made of it.

    def forward(self, batch: Any, *_: Any, **__: Any) -> Any:
        """What `self.model` says of the batch."""
        return self.model(batch)

    def training_step(self, *_: Any, **__: Any) -> Any:
        """To be written by the subclass: the loss of a batch, or None where fitting is not by gradient."""
        raise NotImplementedError(
            f"{type(self).__name__} has no training_step; expected one: write it to use fit"
        )

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        """To be written by the subclass: the batch with `pred_scores` or `anomaly_maps` added."""
        raise NotImplementedError(
            f"{type(self).__name__} has no validation_step; expected one that returns its batch with pred_scores or "
            "anomaly_maps added"
        )

    def predict_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> Any:
        """The validation step's output on the CPU, with `pred_labels` (B,) and, of maps, `pred_masks`; bool.

        The batch itself is not written to: the step gets a shallow copy.
        """
        outputs = self.validation_step(_copied(batch), batch_idx)
        if not isinstance(outputs, dict):
            return outputs
        outputs = self._finished(outputs)
        if "pred_scores" in outputs:
            outputs["pred_labels"] = (
                outputs["pred_scores"].double() > self.image_threshold.value
            )
        if "anomaly_maps" in outputs:
            outputs["pred_masks"] = (
                outputs["anomaly_maps"].double() > self.pixel_threshold.value
            )
        return outputs

    def test_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> Any:
        """As `predict_step`."""
        return self.predict_step(batch, batch_idx, dataloader_idx)

    # Lightning 2 has no step ends; its batch ends call them.

    def validation_step_end(self, outputs: Any) -> Any:
        """A copy of the step's output on the CPU, with `pred_scores`."""
        return self._finished(outputs) if isinstance(outputs, dict) else outputs

    def test_step_end(self, outputs: Any) -> Any:
        """As `validation_step_end`."""
        return self._finished(outputs) if isinstance(outputs, dict) else outputs

    def on_validation_batch_end(
        self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep what the epoch's end needs."""
        self._remember(self.validation_step_end(outputs))

    def on_test_batch_end(
        self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep what the epoch's end needs."""
        self._remember(self.test_step_end(outputs))

    def on_validation_epoch_start(self) -> None:
        """Forget what an interrupted epoch left.

        Raises:
            InputError: several processes.
        """
        self._begin()

    def on_test_epoch_start(self) -> None:
        """As `on_validation_epoch_start`."""
        self._begin()

    def on_validation_epoch_end(self) -> None:
        """Compute the thresholds, when adaptive, then the metrics; nothing in Lightning's sanity check.

        Raises:
            InputError: outputs without labels or scores, of unequal sizes, labels other than 0 and 1, or scores that
                are not finite.
        """
        outputs, self._outputs = self._outputs, []
        trainer = self._trainer
        if trainer is not None and trainer.sanity_checking:
            return
        if self.adaptive_threshold and outputs:
            self._compute_adaptive_threshold(outputs)
        self._evaluate(outputs)

    def on_test_epoch_end(self) -> None:
        """Compute the metrics at the thresholds there are.

        Raises:
            InputError: as `on_validation_epoch_end`.
        """
        outputs, self._outputs = self._outputs, []
        self._evaluate(outputs)

    # What the epoch ends are made of, under anomalib's names.

    def _compute_adaptive_threshold(
        self, outputs: list[dict[str, Any]]
    ) -> None:
        """Both thresholds from outputs; without masks the pixels' is the images'."""
        self._collect_outputs(
            self.image_threshold, self.pixel_threshold, outputs
        )
        self.image_threshold.compute()
        if self.pixel_threshold.update_called:
            self.pixel_threshold.compute()
        else:
            self.pixel_threshold.assign(value=self.image_threshold.value.item())
        self.image_threshold.reset()
        self.pixel_threshold.reset()

    def _collect_outputs(
        self,
        image_metric: Any,
        pixel_metric: Any,
        outputs: Iterable[Mapping[str, Any]],
    ) -> None:
        """Update one metric with images' scores and labels, another with maps and masks where there are any."""
        image_metric.cpu()
        pixel_metric.cpu()
        for output in outputs:
            if "label" not in output or "pred_scores" not in output:
                raise InputError(
                    f"got an output of {sorted(output)}; expected label, and pred_scores or anomaly_maps: return them "
                    "from validation_step"
                )
            image_metric.update(*_pairs(output, "pred_scores", "label"))
            if "mask" in output and "anomaly_maps" in output:
                pixel_metric.update(*_pairs(output, "anomaly_maps", "mask"))

    def _post_process(self, outputs: Any) -> None:
        """Add `pred_scores`, the largest value of each map, where a step gave maps alone; in place."""
        if (
            isinstance(outputs, dict)
            and "pred_scores" not in outputs
            and "anomaly_maps" in outputs
        ):
            outputs["pred_scores"] = (
                outputs["anomaly_maps"].flatten(start_dim=1).amax(dim=1)
            )

    def _outputs_to_cpu(self, output: Any) -> Any:
        """Tensors to the CPU, without their gradients' graph: a dict in place, what lies in it anew."""
        if isinstance(output, Tensor):
            return output.detach().cpu()
        if isinstance(output, dict):
            output.update(
                {
                    key: self._outputs_to_cpu(_copied(value))
                    for key, value in output.items()
                }
            )
        elif type(output) in {list, tuple}:
            return type(output)(
                self._outputs_to_cpu(_copied(value)) for value in output
            )
        return output

    def _log_metrics(self) -> None:
        """Log and reset the metrics that were updated; warn of those that the pictures do not define."""
        for metrics in (self.image_metrics, self.pixel_metrics):
            if not any(metric.update_called for metric in metrics.values()):
                continue
            values = {
                name: float(value) for name, value in metrics.compute().items()
            }
            metrics.reset()
            defined = {
                name: value
                for name, value in values.items()
                if not math.isnan(value)
            }
            self.log_dict(defined, prog_bar=True)
            if missing := sorted(values.keys() - defined.keys()):
                warnings.warn(
                    f"got labels of one kind only; expected normal and anomalous ones for {', '.join(missing)}: not logged",
                    EvaluationWarning,
                    stacklevel=2,
                )

    def decision(
        self, source: str = "validation pictures", pictures: str = ""
    ) -> Decision:
        """The thresholds and scales of the last validation as an anomedge `Decision`, such as a bundle carries.

        Args:
            source: of the validation pictures, in words.
            pictures: a SHA-256 of them, where known.

        Raises:
            InputError: the threshold was given, or loaded without its origin, and not computed.
        """
        threshold = self.image_threshold
        normal, anomalous = int(threshold.normal), int(threshold.anomalous)
        if not normal:
            raise InputError(
                f"got an image threshold of {threshold.value.item():.6g} that no validation computed; expected one that "
                "knows its pictures: run trainer.validate with labelled pictures and adaptive_threshold=True"
            )
        origin = Origin(
            rule="f1" if anomalous else "false-alarm-rate",
            rate=None if anomalous else 1 / (normal + 1),
            source=source,
            normal=normal,
            anomalous=anomalous,
            margin=threshold.margin.item(),
            extrapolated=not anomalous,
            pictures=pictures,
        )
        return Decision(
            threshold=threshold.value.item(),
            pixel_threshold=self.pixel_threshold.value.item(),
            minimum=threshold.minimum.item(),
            maximum=threshold.maximum.item(),
            scale=threshold.scale.item(),
            origin=origin,
        )

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        # anomalib's own ranges: of maps where there are maps, so not the Decision's.
        for owner in ("min_max.", "normalization_metrics."):
            for key in [
                key for key in state_dict if key.startswith(prefix + owner)
            ]:
                del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _begin(self) -> None:
        self._outputs = []
        for metric in (
            self.image_threshold,
            self.pixel_threshold,
            self.image_metrics,
            self.pixel_metrics,
        ):
            metric.reset()
        if self._trainer is not None and self._trainer.world_size > 1:
            raise InputError(
                f"got {self._trainer.world_size} processes; expected one, which sees every picture: "
                "validate and test with Trainer(devices=1)"
            )

    def _finished(self, outputs: dict[str, Any]) -> dict[str, Any]:
        outputs = copy.copy(outputs)
        self._outputs_to_cpu(outputs)
        self._post_process(outputs)
        return outputs

    def _remember(self, output: Any) -> None:
        if isinstance(output, dict):
            self._outputs.append(
                {key: output[key] for key in _KEPT if key in output}
            )

    def _evaluate(self, outputs: list[dict[str, Any]]) -> None:
        if not outputs:
            warnings.warn(
                f"got no output of {type(self).__name__}'s steps; expected a dict of each batch: no threshold or metric",
                EvaluationWarning,
                stacklevel=2,
            )
        for metrics, threshold in (
            (self.image_metrics, self.image_threshold),
            (self.pixel_metrics, self.pixel_threshold),
        ):
            if isinstance(metrics, AnomalyMetrics):
                metrics.set_threshold(threshold.value.item())
        self._collect_outputs(self.image_metrics, self.pixel_metrics, outputs)
        self._log_metrics()


def _modules_given(frame: FrameType | None) -> list[str]:
    """Arguments of the constructors on the stack that are modules: weights, not hyperparameters to save twice."""
    names: list[str] = []
    while frame is not None and "__class__" in frame.f_locals:
        names += [
            name
            for name, value in frame.f_locals.items()
            if isinstance(value, torch.nn.Module)
        ]
        frame = frame.f_back
    return names


def _copied(value: Any) -> Any:
    return copy.copy(value) if isinstance(value, dict) else value


def _pairs(
    output: Mapping[str, Any], scores: str, labels: str
) -> tuple[Tensor, Tensor]:
    """Scores (N,) and their labels (N,) of 0 and 1."""
    values, truths = (
        torch.as_tensor(output[scores]),
        torch.as_tensor(output[labels]),
    )
    if values.numel() != truths.numel() or not values.numel():
        raise InputError(
            f"got {scores} {tuple(values.shape)} with {labels} {tuple(truths.shape)}; expected a label for each value"
        )
    if not bool(((truths == 0) | (truths == 1)).all()):
        raise InputError(
            f"got {labels} up to {truths.max().item():g}; expected 0 for normal and 1 for anomalous"
        )
    if not bool(torch.isfinite(values).all()):
        raise InputError(
            f"got {scores} that are not finite; expected numbers: check the weights and the pictures"
        )
    return values.flatten(), truths.flatten().int()
