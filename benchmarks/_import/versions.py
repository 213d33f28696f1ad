"""Versions of the compared packages."""

from importlib.metadata import version
from typing import Any

NAMES = (
    "anomedge",
    "anomalib",
    "torch",
    "torchvision",
    "timm",
    "onnxruntime",
    "openvino",
)


def main(_: dict[str, Any]) -> dict[str, str]:
    """Return the versions by package name."""
    return {name: version(name).split("+")[0] for name in NAMES}
