"""Base of the importable models of anomalib: recognition, checked arguments, construction, default preprocessing."""

from __future__ import annotations

import importlib
import warnings
from abc import ABC
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from types import FunctionType
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from anomedge.components.timm_backbones import IMAGENET_SCALING
from anomedge.interop.anomalib.foreign import Triple

__all__ = [
    "Arguments",
    "Backbone",
    "Layers",
    "TorchModel",
    "constructed",
    "with_globals_in",
    "with_method",
    "without_weights",
]

Size = tuple[int, int]

# No colon and no slash: timm would take such a name for an address or a folder.
Backbone = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
Layer = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
Layers = Annotated[tuple[Layer, ...], Field(min_length=1, max_length=16)]


class Arguments(BaseModel):
    """Hyper-parameters that a model is built from, with bounds; their names and defaults are those of anomalib.

    Hyper-parameters that do not change an evaluated model are left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class TorchModel(ABC):
    """A torch model of anomalib.

    To add one, write a subclass into a module of this package. `build` may use
    the installed package; nothing else does.

    Attributes:
        name: anomalib's name of the model.
        module: module of the installed package that defines the torch class.
        class_name: name of the torch class.
        arguments_class: class of the arguments.
        keys: patterns of tensor names; a file of this model matches each.
        absent: patterns of tensor names; a file of this model matches none.
        sized: patterns of tensors with a shape that depends on the fit.
        size: (H, W) of anomalib's default preprocessing.
        crop: (H, W) of the central crop of that preprocessing.
        scaling: mean and standard deviation of that preprocessing.
        makes_constants: whether the constructor makes tensors that torch's meta
            device refuses.
        difference: deliberate difference from anomalib, for the output.
        legal_notice: notice on rights to the method, such as patents; empty: none.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    class_name: ClassVar[str]
    arguments_class: ClassVar[type[Arguments]]
    keys: ClassVar[tuple[str, ...]]
    absent: ClassVar[tuple[str, ...]] = ()
    sized: ClassVar[tuple[str, ...]] = ()
    size: ClassVar[Size] = (256, 256)
    crop: ClassVar[Size | None] = None
    scaling: ClassVar[tuple[Triple, Triple]] = IMAGENET_SCALING
    makes_constants: ClassVar[bool] = False
    difference: ClassVar[str] = ""
    legal_notice: ClassVar[str] = ""

    @classmethod
    def matches(cls, tensors: Collection[str]) -> bool:
        """Return whether a file with tensors of these names is of this model."""
        return all(_any_fits(tensors, key) for key in cls.keys) and not any(
            _any_fits(tensors, key) for key in cls.absent
        )

    @classmethod
    def is_sized(cls, tensor: str) -> bool:
        """Return whether the shape of a tensor depends on the fit."""
        return any(fnmatchcase(tensor, pattern) for pattern in cls.sized)

    @classmethod
    def build(cls, arguments: Any, size: Size) -> nn.Module:
        """Return the torch model for images (H, W), without trained weights; nothing is downloaded."""
        package = imported(cls.module)
        return constructed(
            getattr(package, cls.class_name),
            cls.keywords(arguments, size),
            cls.replacements(package),
        )

    @classmethod
    def keywords(cls, arguments: Any, size: Size) -> dict[str, Any]:
        """Return the arguments of the torch class; those of the same names by default."""
        del size
        return {
            name: getattr(arguments, name)
            for name in type(arguments).model_fields
        }

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return replacements of global names of `package` while the torch class is built; none by default.

        Classes that ask for pretrained weights without an argument to turn that
        off are built with an extractor that does not.
        """
        del package
        return {}


def imported(module: str) -> Any:
    """Import a module of the installed anomalib; warnings about its own dependencies are silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


def constructed(
    kind: type[nn.Module],
    keywords: Mapping[str, Any],
    replacements: Mapping[str, Any],
) -> nn.Module:
    """Build a module; its constructor sees other values of some global names.

    Only this call sees them: the package itself is not changed.
    """
    module = kind.__new__(kind)
    init: Any = kind.__init__
    if replacements:
        init = _with_globals(init, replacements)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        init(module, **keywords)
    return module


def with_globals_in(
    module: nn.Module, method: str, replacements: Mapping[str, Any]
) -> nn.Module:
    """Give a module a method of the same code that sees other values of some global names; its class stays as it was."""
    twin = _with_globals(getattr(type(module), method), replacements)
    return with_method(module, method, twin)


def with_method(
    module: nn.Module, name: str, function: Callable[..., Any]
) -> nn.Module:
    """Give a module another method; its class stays as it was."""
    kind = type(module)
    module.__class__ = type(kind.__name__, (kind,), {name: function})
    return module


def without_weights(extractor: Callable[..., Any]) -> Callable[..., Any]:
    """Return a feature extractor's constructor that never loads pretrained weights."""

    def build(*args: Any, **keywords: Any) -> Any:
        return extractor(*args, **keywords | {"pre_trained": False})

    return build


def _with_globals(function: Any, replacements: Mapping[str, Any]) -> Any:
    """Return a function of the same code with other global names."""
    twin = FunctionType(
        function.__code__,
        function.__globals__ | dict(replacements),
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _any_fits(tensors: Collection[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in tensors)
