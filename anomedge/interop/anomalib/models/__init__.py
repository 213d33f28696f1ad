"""Torch models of an installed anomalib that can be imported: a fixed list, one module per model.

A file never names a class; it is recognised by the names of its tensors, and its
hyper-parameters are checked against the model's `Arguments`.
"""

from __future__ import annotations

from collections.abc import Collection

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib.models.base import (
    Arguments,
    TorchModel,
)
from anomedge.registry import Registry

__all__ = [
    "REGISTRY",
    "Arguments",
    "TorchModel",
    "fitting",
    "identified",
    "named",
]

REGISTRY: Registry[TorchModel] = Registry(
    package=__name__,
    group="anomedge.anomalib_models",
    kind="model of anomalib",
    base=TorchModel,
)


def named(name: str) -> type[TorchModel]:
    """Return a model by its name, upper or lower case.

    Raises:
        InputError: no model of the list has that name.
    """
    for known in REGISTRY.names():
        if known.lower() == name.lower():
            return REGISTRY.get(known)
    raise InputError(
        f"got the model {name!r} of anomalib; expected one of: {', '.join(REGISTRY.names())}"
    )


def fitting(
    tensors: Collection[str], class_name: str = ""
) -> list[type[TorchModel]]:
    """Return the models that tensors of these names fit.

    Args:
        tensors: names of the tensors in the torch model.
        class_name: name of the torch class or of the model, where a file states
            it; it selects among candidates and is never imported.
    """
    found = [
        model for model in REGISTRY.members().values() if model.matches(tensors)
    ]
    stated = [model for model in found if _is_called(model, class_name)]
    return stated or found


def identified(
    tensors: Collection[str], class_name: str = ""
) -> type[TorchModel]:
    """Return the model that tensors of these names belong to; see `fitting`.

    Raises:
        ModelError: no model fits, or several do.
    """
    found = fitting(tensors, class_name)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(model.name for model in found)
        raise ModelError(
            f"the tensors fit several models of anomalib ({names}); expected one: give --detector"
        )
    raise ModelError(
        f"the tensors fit no known model of anomalib; expected one of: {', '.join(REGISTRY.names())}"
    )


def _is_called(model: type[TorchModel], name: str) -> bool:
    """Return whether a file's name is that of the model or its torch class, with or without "Model" at the end."""
    own = model.class_name.removesuffix("Model")
    return name.removesuffix("Model").lower() in (
        model.name.lower(),
        own.lower(),
    )
