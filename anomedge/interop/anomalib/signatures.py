"""Models of anomalib that can be told from the names of their tensors.

No key of a checkpoint names the model's class. Each entry gives tensors, or
prefixes of tensors, that models of this class have.
"""

from __future__ import annotations

from anomedge.interop.anomalib.foreign import ForeignModel

__all__ = ["SIGNATURES", "recognised"]

SIGNATURES: dict[str, tuple[str, ...]] = {
    "AnomalyDINO": ("memory_bank", "feature_encoder."),
    "Cfa": ("memory_bank", "descriptor."),
    "Cflow": ("encoder.", "decoders."),
    "Csflow": ("feature_extractor.", "graph."),
    "Dfkde": ("feature_extractor.", "classifier.kde_model."),
    "Dfm": ("feature_extractor.", "gaussian_model."),
    "Dinomaly": ("encoder.", "bottleneck.0.", "decoder.0."),
    "Draem": ("reconstructive_subnetwork.", "discriminative_subnetwork."),
    "Dsr": ("discrete_latent_model.", "anomaly_detection_module."),
    "EfficientAd": ("teacher.", "student.", "ae."),
    "Fastflow": ("feature_extractor.", "fast_flow_blocks."),
    "FoundAD": ("encoder.", "projector."),
    "Fre": ("feature_extractor.", "fre_model."),
    "Ganomaly": ("generator.", "discriminator."),
    "GeneralAD": ("feature_extractor.pretrained_model.", "discriminator."),
    "Glass": ("forward_modules.", "projection.", "discriminator."),
    "InpFormer": ("encoder.", "prototype_token.", "aggregation."),
    "L2BT": ("teacher.", "forward_net.", "backward_net."),
    "MHPatchcore": ("memory_bank.bank", "covariance.mean"),
    "Padim": ("idx", "gaussian.mean", "gaussian.inv_covariance"),
    "Patchcore": ("memory_bank", "feature_extractor.feature_extractor."),
    "Patchflow": ("feature_extractor.", "feature_adaptor.", "flow."),
    "Rad": ("bank_grid", "patch_banks"),
    "ReverseDistillation": ("encoder.", "bottleneck.", "decoder.layer1."),
    "Stfpm": ("teacher_model.", "student_model."),
    "SuperADD": ("memory_bank", "dino."),
    "Supersimplenet": ("feature_extractor.", "adaptor.", "segdec."),
    "Uflow": ("feature_extractor.", "flow."),
    "UniNet": ("teachers.", "bottleneck."),
}
"""Names and prefixes of tensors by the name of the class; read from the sources of anomalib 2.7.0."""

_MORE_SPECIFIC = {
    "Dinomaly": ("InpFormer",),
    "Uflow": ("Patchflow",),
}
"""Classes that have all tensors of another class, and more."""


def recognised(foreign: ForeignModel) -> list[str]:
    """Return the names of anomalib's classes that the file fits, sorted; one if the file states its class."""
    if foreign.class_name:
        return [foreign.class_name]
    found = [
        name
        for name, parts in SIGNATURES.items()
        if all(_has(foreign, part) for part in parts)
    ]
    return [
        name
        for name in found
        if not set(_MORE_SPECIFIC.get(name, ())) & set(found)
    ]


def _has(foreign: ForeignModel, part: str) -> bool:
    if not part.endswith("."):
        return part in foreign.tensors
    return any(name.startswith(part) for name in foreign.tensors)
