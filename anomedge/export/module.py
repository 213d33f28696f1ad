"""Export any torch module that maps images to a score and an anomaly map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from anomedge.errors import InputError
from anomedge.export.bundling import check_options, export_model
from anomedge.export.checks import check_batch
from anomedge.export.module_probe import probed_module
from anomedge.export.module_tracing import (
    UnsharedOperatorWarning,
    Way,
    check_networks,
    traced_module,
)
from anomedge.export.options import ExportOptions
from anomedge.export.proof import pictures_of
from anomedge.images import Picture, select_normal, with_levels
from anomedge.interop.digests import digest_of
from anomedge.interop.module import ModuleConfig, ModulePipeline
from anomedge.interop.preserved import preserved
from anomedge.interop.probing import Probe, check_tensors
from anomedge.parity import Certificate
from anomedge.pipelines.crossfit import Scorer, score_held_back
from anomedge.pipelines.decision import (
    Rule,
    ThresholdSample,
    place_threshold,
)
from anomedge.pipelines.model import Card, Model, tool_versions
from anomedge.pipelines.splitting import refuse_unreadable
from anomedge.resample import Geometry
from anomedge.resample.levels import Levels
from anomedge.threshold import Decision

_SEED = 0
_LEAST_NORMAL = 2

__all__ = [
    "ModuleExport",
    "UnsharedOperatorWarning",
    "Way",
    "export_module",
]


@dataclass(frozen=True)
class ModuleExport:
    """Result of an export.

    Attributes:
        certificate: of the proof under the runtimes of this machine.
        way: how the module was traced, and the batch sizes that the graph takes.
        decision: the thresholds.
        unshared: operators that not every runtime has; `anomedge lint` names the targets that refuse them.
    """

    certificate: Certificate
    way: Way
    decision: Decision
    unshared: tuple[str, ...]


def export_module(
    module: nn.Module,
    target: Path | str,
    *,
    size: tuple[int, int] | Geometry,
    frame: tuple[int, int] | Literal["any"],
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    decision: Decision | None = None,
    normal: Path | str | None = None,
    rule: Rule | None = None,
    stages: Mapping[str, str] | None = None,
    networks: Sequence[str] | None = None,
    batch: int | Literal["dynamic"] = "dynamic",
    golden: Sequence[Path | str] = (),
    layout: str = "frames",
    precisions: Sequence[str] = ("fp32",),
    runtimes: Sequence[str] = (),
    batches: Sequence[int] = (),
    widen: float = 1.0,
    opset: int = 17,
    force: bool = False,
    levels: Levels | None = None,
    description: str | None = None,
    licence: Mapping[str, str] | None = None,
) -> ModuleExport:
    """Export a torch module to a bundle and prove it; a bundle that fails its proof is not published.

    The module maps images, float32 (B, 3, H, W), to (score, map), to a named tuple, dataclass or dict with `pred_score`
    and `anomaly_map`, or to the score alone: scores (B,), maps (B, 1, h, w) of at most the size of the images. It runs in
    evaluation mode on the CPU, and is left as it was. The bundle identifies it by the SHA-256 of its state_dict.

    Args:
        module: the module, in float32 on the CPU.
        target: the bundle.
        size: height and width of the images, in pixels; a `Geometry` also states a crop, a region or tiles.
        frame: height and width of the camera's frames; "any" for pictures of any size, resized outside the graph.
        mean: of each channel; the module gets (image - mean) / std of images in [0, 1].
        std: of each channel, see mean.
        decision: the thresholds, on raw scores and map values.
        normal: folder of normal pictures, not used for training, which place the thresholds instead.
        rule: how they place them; see `anomedge.pipelines.decision.Rule`.
        stages: dotted path of a submodule by name of a stage; its output is compared and localised like other stages.
        networks: dotted paths of submodules that may run in float16; everything else stays in float32.
        batch: "dynamic", or the fixed batch size of the graph; 1 allows results that depend on the rest of a batch.
        golden: folders of pictures to prove on; without any, synthetic ones are made.
        layout: see `ExportOptions`.
        precisions: in which the graph is written; see `ExportOptions`.
        runtimes: to prove under; all that can run here when empty.
        batches: to prove; 1, 2, 3 and 8 when empty.
        widen: factor on this release's tolerances, 1 to 100; the certificate states it.
        opset: opset of the ONNX graph, 17 or later.
        force: replace an existing bundle.
        levels: levels of pictures with more than 8 bits per channel.
        description: of the module, for readers of the bundle; the name of its class by default.
        licence: licences of "weights" and "detector", for the bundle.

    Raises:
        ModelError: the module cannot be used, and why.
        InputError, ExportError, OutputError: see `anomedge.errors`.
        ProofFailed: the graphs decide differently from the module.
    """
    _check_given(decision, normal)
    options = ExportOptions(
        frame=frame,
        batch=batch,
        opset=opset,
        golden=[Path(folder) for folder in golden],
        runtimes=runtimes,
        batches=batches,
        widen=widen,
        force=force,
        precisions=precisions,
        layout=layout,
    )
    names = check_options(Path(target), options)
    geometry = size if isinstance(size, Geometry) else Geometry(size)
    config = ModuleConfig.checked(
        size=geometry.detector_input,
        mean=mean,
        std=std,
        networks=networks or (),
        recorded=stages or {},
        description=description or type(module).__name__,
    )
    check_tensors(module)
    pipeline = ModulePipeline(config, module)
    check_networks(pipeline, options)
    rule = rule or Rule()
    sample = _sample(normal, levels, rule)
    with preserved(pipeline):
        pipeline.eval()
        own = [*sample.normal, *_golden(options, geometry, levels)]
        probed = probed_module(pipeline, geometry, own, options.fixed_batch)
        if decision is None:
            decision = _placed(pipeline, geometry, sample, rule)
        _check_decision(decision, probed)
        card = _card(config, licence)
        model = Model(
            pipeline, geometry, decision, card, digest_of(module), levels
        )
        return _exported(model, Path(target), options, names, probed)


def _check_given(decision: Decision | None, normal: Path | str | None) -> None:
    if (decision is None) == (normal is None):
        raise InputError(
            f"got {'neither' if decision is None else 'both'} decision= and normal=; expected one of them: thresholds, or "
            f"a folder of normal pictures that place them"
        )


def _exported(
    model: Model,
    target: Path,
    options: ExportOptions,
    names: Sequence[str],
    probed: Probe,
) -> ModuleExport:
    framing = options.framing(model.geometry)
    tracer, options = traced_module(model, framing, options, probed)
    source = Path(model.card.weights)
    certificate = export_model(model, source, target, options, names, tracer)
    return ModuleExport(
        certificate, tracer.way, model.decision, tracer.unshared
    )


def _check_decision(decision: Decision, probed: Probe) -> None:
    if decision.has_map != probed.has_map:
        raise InputError(
            f"got a decision {'with' if decision.has_map else 'without'} a pixel threshold for a module "
            f"{'with' if probed.has_map else 'without'} a map; expected one for a map alone: correct the decision"
        )


def _sample(
    folder: Path | str | None, levels: Levels | None, rule: Rule
) -> ThresholdSample:
    """Return the normal pictures of a folder; check that they can be read, and that they suffice for the rule."""
    if folder is None:
        return ThresholdSample([], [], "no pictures")
    pictures = select_normal(Path(folder), split="test")[0]
    rule.check(labelled=False)
    rule.require(len(pictures))
    if len(pictures) < _LEAST_NORMAL:
        raise InputError(
            f"{folder}: got {len(pictures)} normal pictures; expected at least {_LEAST_NORMAL} to place a threshold"
        )
    pictures = with_levels(pictures, levels)
    refuse_unreadable(pictures)
    return ThresholdSample(pictures, [], "pictures given for it")


def _golden(
    options: ExportOptions, geometry: Geometry, levels: Levels | None
) -> list[Picture]:
    """Return the pictures of the proof, read early so that a wrong folder is refused before long work."""
    framing = options.framing(geometry)
    check_batch(options, framing)
    return pictures_of(options.golden, framing, levels, options.normal)


def _placed(
    pipeline: ModulePipeline,
    geometry: Geometry,
    sample: ThresholdSample,
    rule: Rule,
) -> Decision:
    """Place the thresholds; images are scored one by one, as the reference does."""
    scorer = Scorer(geometry, batch=1, seed=_SEED)
    scored = score_held_back(pipeline, sample.normal, [], scorer)
    return place_threshold(scored, sample, rule)


def _card(config: ModuleConfig, licence: Mapping[str, str] | None) -> Card:
    stated = {
        "weights": "as the author of the module says",
        "detector": "as the author of the module says",
    }
    return Card(
        seed=_SEED,
        fitted=(),
        weights=config.description,
        tools=tool_versions(),
        licence=stated | dict(licence or {}),
    )
