r"""Base class of detectors trained with Lightning 2.

`AnomalyModule` adds thresholds and metrics at image and pixel level. It keeps
the interface that anomalib 0.3 to 1.x gave this class (Akcay et al. 2022,
arXiv:2202.08341), on the hooks of Lightning 2; docs/lightning-names.md maps the
old names. A subclass writes `validation_step`, which returns its batch with
`pred_scores` (B,) or `anomaly_maps` (B, 1, H, W) or (B, H, W) added, beside
`label` (B,) and an optional `mask` of the size of the maps; labels and masks
are 0 or 1.

The threshold maximises F1 = 2 TP / (2 TP + FP + FN) and is that of
`anomedge.threshold.by_f1`, midway between two neighbouring scores. The
thresholds of a precision-recall curve are scores themselves, so that a rounding
error could flip a label. An image or a pixel is anomalous if its value is above
the threshold.
"""

import inspect
import math
import warnings
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

import torch

from anomedge.components.lightning.evaluation import (
    AdaptiveThreshold,
    AnomalyMetrics,
    EvaluationWarning,
)
from anomedge.components.lightning.outputs import (
    add_scores,
    detached,
    labelled,
    shallow_copy,
)
from anomedge.errors import InputError, RuntimeMissing
from anomedge.extras import install_advice
from anomedge.threshold import Decision, Origin

try:
    from lightning.pytorch import LightningModule
    from torchmetrics import MetricCollection
except ImportError as error:
    raise RuntimeMissing(
        f"Lightning cannot be imported ({error}); expected it for "
        f"AnomalyModule: {install_advice('train')}"
    ) from error

__all__ = ["AnomalyModule"]

_KEPT = ("label", "pred_scores", "mask", "anomaly_maps")
"""Keys of an output that are kept until the end of the epoch; no images."""


class AnomalyModule(LightningModule):
    """Base class of detectors for Lightning 2.

    Write `validation_step`, and `training_step` and `configure_optimizers` as
    for any LightningModule. Validation computes the thresholds (if adaptive),
    then the metrics `image_AUROC`, `image_F1Score`, `pixel_AUROC` and
    `pixel_F1Score`; testing computes the metrics at those thresholds. Scores,
    labels, maps and masks are kept on the CPU until the end of the epoch, so
    metrics are those of the whole set, independent of the batch size.
    Thresholds are part of the state_dict. Only one process is supported.

    `image_metrics` and `pixel_metrics` may be replaced by other collections of
    torchmetrics; they are updated with raw scores, (N,), and labels, (N,).

    Args:
        adaptive_threshold: compute thresholds in validation; otherwise the
            defaults are used.
        default_image_threshold, default_pixel_threshold: initial values.
        normalization: None, "none" or "min_max". Outputs are always raw
            scores; `decision` maps them to [0, 1].

    Raises:
        InputError: another normalization.

    Example:
        >>> class Brightness(AnomalyModule):
        ...     def validation_step(self, batch, batch_idx):
        ...         return batch | {"anomaly_maps": batch["image"].mean(dim=1)}
        >>> detector = Brightness(default_image_threshold=0.7)
        >>> batch = {"image": torch.ones(1, 3, 2, 2)}
        >>> detector.predict_step(batch, 0)["pred_labels"]
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
                f"got normalization={normalization!r}; "
                "expected None, 'none' or 'min_max'"
            )
        self.save_hyperparameters(
            ignore=_module_arguments(inspect.currentframe())
        )
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

    # Steps: some written by the subclass, the others derived from them.

    def forward(self, batch: Any, *_: Any, **__: Any) -> Any:
        """Apply `self.model` to the batch."""
        return self.model(batch)

    def training_step(self, *_: Any, **__: Any) -> Any:
        """Return the loss of a batch, or None without gradients; abstract."""
        raise NotImplementedError(
            f"{type(self).__name__} has no training_step; "
            "expected one: write it to use fit"
        )

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        """Add `pred_scores` or `anomaly_maps` to the batch; abstract."""
        raise NotImplementedError(
            f"{type(self).__name__} has no validation_step; expected one that "
            "returns its batch with pred_scores or anomaly_maps added"
        )

    def predict_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> Any:
        """Return the output of the validation step with labels, on the CPU.

        `pred_labels` (B,) and, if there are maps, `pred_masks` are added; bool.
        The step gets a shallow copy of the batch.
        """
        outputs = self.validation_step(shallow_copy(batch), batch_idx)
        if not isinstance(outputs, dict):
            return outputs
        outputs = self._finished(outputs)
        if "pred_scores" in outputs:
            scores = outputs["pred_scores"].double()
            outputs["pred_labels"] = scores > self.image_threshold.value
        if "anomaly_maps" in outputs:
            maps = outputs["anomaly_maps"].double()
            outputs["pred_masks"] = maps > self.pixel_threshold.value
        return outputs

    def test_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> Any:
        """Do the same as `predict_step`."""
        return self.predict_step(batch, batch_idx, dataloader_idx)

    # Lightning 2 has no step-end hooks; the batch-end hooks call them.

    def validation_step_end(self, outputs: Any) -> Any:
        """Copy the output to the CPU and add `pred_scores`."""
        return self._finished(outputs) if isinstance(outputs, dict) else outputs

    def test_step_end(self, outputs: Any) -> Any:
        """Do the same as `validation_step_end`."""
        return self._finished(outputs) if isinstance(outputs, dict) else outputs

    def on_validation_batch_end(
        self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep scores, labels, maps and masks until the end of the epoch."""
        self._remember(self.validation_step_end(outputs))

    def on_test_batch_end(
        self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep scores, labels, maps and masks until the end of the epoch."""
        self._remember(self.test_step_end(outputs))

    def on_validation_epoch_start(self) -> None:
        """Discard the outputs of an interrupted epoch.

        Raises:
            InputError: several processes.
        """
        self._begin()

    def on_test_epoch_start(self) -> None:
        """Do the same as `on_validation_epoch_start`."""
        self._begin()

    def on_validation_epoch_end(self) -> None:
        """Compute the thresholds, if adaptive, then the metrics.

        Lightning's sanity check computes nothing.

        Raises:
            InputError: outputs without labels or scores, of unequal sizes,
                labels other than 0 and 1, or scores that are not finite.
        """
        outputs, self._outputs = self._outputs, []
        trainer = self._trainer
        if trainer is not None and trainer.sanity_checking:
            return
        if self.adaptive_threshold and outputs:
            self._compute_adaptive_threshold(outputs)
        self._evaluate(outputs)

    def on_test_epoch_end(self) -> None:
        """Compute the metrics at the current thresholds.

        Raises:
            InputError: as `on_validation_epoch_end`.
        """
        outputs, self._outputs = self._outputs, []
        self._evaluate(outputs)

    # Parts of the epoch-end hooks, under anomalib's names.

    def _compute_adaptive_threshold(
        self, outputs: list[dict[str, Any]]
    ) -> None:
        """Compute both thresholds; without masks they are equal."""
        self._collect_outputs(
            self.image_threshold, self.pixel_threshold, outputs
        )
        self.image_threshold.compute()
        if self.pixel_threshold.update_called:
            self.pixel_threshold.compute()
        else:
            value = self.image_threshold.value.item()
            self.pixel_threshold.assign(value=value)
        self.image_threshold.reset()
        self.pixel_threshold.reset()

    def _collect_outputs(
        self,
        image_metric: Any,
        pixel_metric: Any,
        outputs: Iterable[Mapping[str, Any]],
    ) -> None:
        """Update an image metric with scores, a pixel metric with maps."""
        image_metric.cpu()
        pixel_metric.cpu()
        for output in outputs:
            if "label" not in output or "pred_scores" not in output:
                raise InputError(
                    f"got an output of {sorted(output)}; expected label, and "
                    "pred_scores or anomaly_maps: return them from "
                    "validation_step"
                )
            image_metric.update(*labelled(output, "pred_scores", "label"))
            if "mask" in output and "anomaly_maps" in output:
                pixel_metric.update(*labelled(output, "anomaly_maps", "mask"))

    def _post_process(self, outputs: Any) -> None:
        """Add `pred_scores`, the maximum of each map, in place."""
        add_scores(outputs)

    def _outputs_to_cpu(self, output: Any) -> Any:
        """Move tensors to the CPU; see `outputs.detached`."""
        return detached(output)

    def _log_metrics(self) -> None:
        """Log and reset the updated metrics; warn of undefined ones."""
        for metrics in (self.image_metrics, self.pixel_metrics):
            if any(metric.update_called for metric in metrics.values()):
                values = metrics.compute()
                metrics.reset()
                self._log_defined({k: float(v) for k, v in values.items()})

    def _log_defined(self, values: Mapping[str, float]) -> None:
        defined = {k: v for k, v in values.items() if not math.isnan(v)}
        self.log_dict(defined, prog_bar=True)
        if missing := sorted(values.keys() - defined.keys()):
            warnings.warn(
                "got labels of one kind only; expected normal and anomalous "
                f"ones for {', '.join(missing)}: not logged",
                EvaluationWarning,
                stacklevel=3,
            )

    def decision(
        self, source: str = "validation pictures", pictures: str = ""
    ) -> Decision:
        """Return the thresholds and scales of the last validation.

        Args:
            source: description of the validation pictures.
            pictures: SHA-256 of the pictures, if known.

        Raises:
            InputError: no validation computed the threshold, or it was loaded
                without its origin.
        """
        threshold = self.image_threshold
        normal, anomalous = int(threshold.normal), int(threshold.anomalous)
        if not normal:
            raise InputError(
                f"got an image threshold of {threshold.value.item():.6g} that "
                "no validation computed; expected a computed one: run "
                "trainer.validate with labelled pictures and "
                "adaptive_threshold=True"
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
        # anomalib's ranges may be those of maps; a Decision needs scores.
        ranges = (prefix + "min_max.", prefix + "normalization_metrics.")
        for key in list(state_dict):
            if key.startswith(ranges):
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
                f"got {self._trainer.world_size} processes; expected one, "
                "which sees every picture: validate and test with "
                "Trainer(devices=1)"
            )

    def _finished(self, outputs: dict[str, Any]) -> dict[str, Any]:
        outputs = shallow_copy(outputs)
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
                f"got no output of {type(self).__name__}'s steps; expected a "
                "dict of each batch: no threshold or metric",
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


def _module_arguments(frame: FrameType | None) -> list[str]:
    """List constructor arguments that are modules.

    They are weights, which Lightning would save a second time among the
    hyperparameters.
    """
    names: list[str] = []
    while frame is not None and "__class__" in frame.f_locals:
        for name, value in frame.f_locals.items():
            if isinstance(value, torch.nn.Module):
                names.append(name)
        frame = frame.f_back
    return names
