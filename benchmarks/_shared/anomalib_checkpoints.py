"""Make a small checkpoint of each model of anomalib 2.7 as its Lightning module saves it; networks are not trained.

Every BatchNorm has the statistics of the pictures, and banks and other statistics are fitted to them, so that scores
have a sensible range. Needs anomalib; nothing is downloaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.interop.anomalib.models import REGISTRY, TorchModel

__all__ = ["CASES", "Case", "images", "reference", "write_checkpoint"]

Size = tuple[int, int]
Model = Any


@dataclass(frozen=True)
class Case:
    """A model, its hyper-parameters, and the size (H, W) of its images.

    Attributes:
        name: the model's name.
        size: of the images.
        given: hyper-parameters that differ from the defaults.
        fill: fits statistics, given the model and images.
        pictures: number of images that it is fitted to.
    """

    name: str
    size: Size
    given: dict[str, Any] = field(default_factory=dict)
    fill: Callable[[Model, Tensor], None] | None = None
    pictures: int = 8

    @property
    def kind(self) -> type[TorchModel]:
        """The model in the fixed list."""
        return REGISTRY.get(self.name)


def images(count: int, size: Size, seed: int = 0) -> Tensor:
    """Return images (B, 3, H, W) in [0, 1]: smooth shapes with noise, of different contrast and brightness."""
    generator = torch.Generator().manual_seed(seed)
    contrast, brightness = torch.rand(2, count, 1, 1, 1, generator=generator)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=size, mode="bicubic")
    noise = 0.05 * torch.randn(count, 3, *size, generator=generator)
    shapes = brightness + (0.1 + contrast) * (smooth - 0.5)
    return (shapes + noise).clamp(0, 1)


def write_checkpoint(case: Case, folder: Path) -> Path:
    """Write the checkpoint of a case; return its path."""
    torch.manual_seed(0)
    model = fitted(case)
    tensors = {
        f"model.{name}": value for name, value in model.state_dict().items()
    }
    for name in ("image_min", "image_max", "pixel_min", "pixel_max"):
        tensors[f"post_processor.{name}"] = torch.tensor(float("nan"))
    for name in ("_image_threshold", "_pixel_threshold"):
        tensors[f"post_processor.{name}"] = torch.tensor(float("nan"))
    content = {
        "epoch": 1,
        "global_step": 1,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": tensors,
        "hyper_parameters": hyper_parameters(case),
        "anomalib_components_enabled": {
            "pre_processor": True, "post_processor": True, "evaluator": False, "visualizer": False,
        },
        "anomalib_pre_processor_config": {"transform": transform_specification(case)},
    }  # fmt: skip
    path = folder / f"{case.name}.ckpt"
    torch.save(content, path)
    return path


def reference(case: Case, tensors: dict[str, Tensor]) -> nn.Module:
    """Return anomalib's own model with these tensors, without changes of anomedge."""
    from anomedge.interop.anomalib.models.base import constructed, imported

    arguments = case.kind.arguments_class.model_validate(case.given)
    package = imported(case.kind.module)
    model = constructed(
        getattr(package, case.kind.class_name),
        case.kind.keywords(arguments, case.size),
        case.kind.replacements(package),
    )
    model.load_state_dict(tensors, strict=True)
    return model.eval().requires_grad_(False)


def fitted(case: Case) -> nn.Module:
    """Return the model with calibrated BatchNorms and fitted statistics."""
    from anomedge.interop.anomalib.models.base import constructed, imported

    arguments = case.kind.arguments_class.model_validate(case.given)
    package = imported(case.kind.module)
    model = constructed(
        getattr(package, case.kind.class_name),
        case.kind.keywords(arguments, case.size),
        case.kind.replacements(package),
    ).eval()
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in case.kind.scaling)
    scaled = (images(case.pictures, case.size) - mean) / std
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calibrate(model, scaled)
        if case.fill is not None:
            case.fill(model, scaled)
    return model.eval()


def calibrate(model: Model, scaled: Tensor) -> None:
    """Give every BatchNorm the statistics of these images."""
    norms = [
        m
        for m in model.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    backbone = next(
        (getattr(model, name) for name in ("feature_extractor", "feature_encoder") if hasattr(model, name)), None
    )  # fmt: skip
    for network in [part for part in (backbone, model) if part is not None]:
        if not norms:
            return
        for norm in norms:
            norm.momentum, norm.training = None, True
            norm.reset_running_stats()
        _observe(network, norms, scaled)
    for norm in norms:
        norm.momentum, norm.training = 0.1, False


def _observe(network: Model, norms: list[Any], scaled: Tensor) -> None:
    """Run a network; extractors of anomalib set evaluation mode when they run, so a hook resets it."""

    def train(norm: nn.Module, _inputs: Any) -> None:
        norm.training = True

    hooks = [norm.register_forward_pre_hook(train) for norm in norms]
    try:
        network(scaled)
    except (RuntimeError, ValueError, IndexError):
        pass  # a model without its bank: the backbone alone is calibrated
    finally:
        for hook in hooks:
            hook.remove()


def fill_by_fit(model: Model, scaled: Tensor) -> None:
    """Collect embeddings in training mode, then fit."""
    model.train()
    model(scaled)
    model.eval()
    model.fit()


def fill_efficient_ad(model: Model, scaled: Tensor) -> None:
    """Set the teacher's statistics and the quantiles of both maps."""
    teacher = model.teacher(scaled)
    model.mean_std["mean"].data = teacher.mean(dim=(0, 2, 3), keepdim=True)
    model.mean_std["std"].data = teacher.std(dim=(0, 2, 3), keepdim=True)
    for kind, level in zip(("st", "ae"), model.get_maps(scaled), strict=True):
        for name, share in (("qa", 0.9), ("qb", 0.995)):
            values = level.flatten()[:: max(1, level.numel() // 100_000)]
            model.quantiles[f"{name}_{kind}"].data = torch.quantile(
                values, share
            )


def fill_cfa(model: Model, scaled: Tensor) -> None:
    """Take the mean features of each patch as centroids."""
    features = list(model.feature_extractor(scaled).values())
    model.memory_bank = model.descriptor(features).mean(dim=0).flatten(1)


def fill_rad(model: Model, scaled: Tensor) -> None:
    """Collect features in training mode, then build the banks.

    The scales of the residual branches become 1: with those of an untrained
    network, no image is nearer than another.
    """
    for name, parameter in model.named_parameters():
        if "gamma_" in name:
            parameter.fill_(1)
    model.train()
    model(scaled)
    model.eval()
    model.build_memory_bank()


def fill_patchcore(model: Model, scaled: Tensor) -> None:
    """Keep every third patch."""
    model.train()
    model(scaled)
    model.eval()
    model.memory_bank = torch.vstack(model.embedding_store)[::3].clone()


def fill_mh_patchcore(model: Model, scaled: Tensor) -> None:
    """Run the three stages of its fit: components, covariance, bank."""
    model.train()
    for part in (model.pca, model.covariance, model.memory_bank):
        embeddings = model(scaled)
        if part is not model.pca:
            embeddings = model.pca(embeddings)
        if part is model.memory_bank:
            embeddings = model.covariance(embeddings)
        part.update(embeddings)
        part.finalize()
    model.eval()


def hyper_parameters(case: Case) -> dict[str, Any]:
    """Return hyper-parameters as Lightning saves them: enumerations are objects of anomalib's classes."""
    from anomedge.interop.anomalib.models.base import imported

    arguments = case.kind.arguments_class.model_validate(case.given)
    values = arguments.model_dump()
    package = imported(case.kind.module)
    for name, owner in (
        ("model_size", "EfficientAdModelSize"),
        ("anomaly_map_mode", "AnomalyMapGenerationMode"),
        ("feature_scaling_method", "FeatureScalingMethod"),
    ):
        if name in values:
            values[name] = getattr(package, owner)(values[name])
    return values


def transform_specification(case: Case) -> dict[str, Any] | None:
    """Return the preprocessing as plain data, in anomalib's own words."""
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    from anomedge.interop.anomalib.models.base import imported

    steps: list[Any] = [Resize(case.size, antialias=True)]
    mean, std = case.kind.scaling
    if std != (1.0, 1.0, 1.0):
        steps.append(Normalize(mean=list(mean), std=list(std)))
    package = imported("anomalib.pre_processing.pre_processor")
    return package.transform_to_spec(Compose(steps))  # type: ignore[no-any-return]


SMALL = "vit_small_patch14_reg4_dinov2"
CASES = {
    case.name: case
    for case in (
        Case("AnomalyDINO", (126, 126), fill=fill_by_fit),
        Case("Cfa", (224, 224), {"backbone": "resnet18"}, fill_cfa),
        Case("Cflow", (128, 128), {"backbone": "resnet18", "coupling_blocks": 4}),
        Case("Csflow", (256, 256), {"cross_conv_hidden_channels": 64}, pictures=2),
        Case("Dfkde", (128, 128), {}, fill_by_fit, 40),
        Case("Dfm", (128, 128), {"backbone": "resnet18", "pooling_kernel_size": 2}, fill_by_fit),
        Case("Dinomaly", (224, 224), {"encoder_name": SMALL}),
        Case("Draem", (128, 128), pictures=2),
        Case("Dsr", (128, 128), pictures=2),
        Case("EfficientAd", (256, 256), {}, fill_efficient_ad, 4),
        Case("Fastflow", (128, 128), {"flow_steps": 4}),
        Case("Fre", (256, 256), {
            "backbone": "resnet18", "layer": "layer2", "pooling_kernel_size": 4, "input_dim": 8192, "latent_dim": 32,
        }),
        Case("Ganomaly", (64, 64), {"n_features": 32}),
        Case("Glass", (128, 128), {
            "backbone": "resnet18", "pretrain_embed_dim": 256, "target_embed_dim": 256, "discriminator_hidden": 128,
        }),
        Case("InpFormer", (224, 224), {"encoder_name": SMALL}),
        Case("L2BT", (112, 112)),
        Case("MHPatchcore", (128, 128), {"backbone": "resnet18.tv_in1k"}, fill_mh_patchcore),
        Case("Padim", (128, 128), {}, fill_by_fit, 16),
        Case("Patchcore", (128, 128), {"backbone": "resnet18"}, fill_patchcore),
        Case("Patchflow", (128, 128), {"backbone": "tf_efficientnet_b0"}),
        Case("Rad", (128, 128), {"backbone": "vit_small_patch16_dinov3", "k_image": 4}, fill_rad),
        Case("ReverseDistillation", (128, 128), {"backbone": "resnet18"}),
        Case("Stfpm", (128, 128)),
        Case("Supersimplenet", (128, 128), {"backbone": "resnet18.tv_in1k"}),
        Case("UniNet", (128, 128), pictures=2),
        Case("Uflow", (128, 128), {"backbone": "resnet18"}),
    )
}  # fmt: skip
