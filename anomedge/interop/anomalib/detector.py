"""A detector around a torch model of an installed anomalib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from math import prod
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from typing_extensions import Self

from anomedge.errors import InputError, ModelError
from anomedge.extras import install_advice
from anomedge.interop.anomalib.models import REGISTRY, TorchModel
from anomedge.interop.anomalib.models.base import Arguments
from anomedge.interop.module import ModuleConfig, ModulePipeline
from anomedge.pipelines.base import Options
from anomedge.pipelines.data import FitData

__all__ = [
    "AnomalibConfig",
    "AnomalibDetector",
    "first_fault",
    "installed_version",
]

Length = Annotated[int, Field(ge=0, le=1 << 26)]
Shape = Annotated[tuple[Length, ...], Field(max_length=4)]
_LARGEST = 1 << 31


class AnomalibConfig(ModuleConfig):
    """Configuration.

    Attributes:
        model: name of the model, of the fixed list.
        arguments: its hyper-parameters, see the model's `Arguments`.
        shapes: shapes of the tensors that depend on the fit, by name.
        version: anomalib's version at the import.
    """

    model: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    shapes: dict[str, Shape] = Field(default_factory=dict, max_length=64)
    version: Annotated[
        str, Field(pattern=r"^\d{1,4}\.\d{1,4}[0-9A-Za-z.+]{0,40}$")
    ]

    @field_validator("model")
    @classmethod
    def _of_the_list(cls, model: str) -> str:
        if model not in REGISTRY.names():
            raise PydanticCustomError(
                "model", f"one of: {', '.join(REGISTRY.names())}"
            )
        return model

    @model_validator(mode="after")
    def _suit_the_model(self) -> Self:
        """Refuse arguments that the model does not have, and shapes that its fit does not decide."""
        kind = REGISTRY.get(self.model)
        try:
            kind.arguments_class.model_validate(self.arguments)
        except ValidationError as error:
            raise PydanticCustomError("arguments", first_fault(error)) from None
        for tensor, shape in self.shapes.items():
            if not kind.is_sized(tensor) or prod(shape) > _LARGEST:
                raise PydanticCustomError(
                    "shapes",
                    f"shapes of {kind.name}'s own tensors, not {tensor} {shape}",
                )
        return self

    @property
    def kind(self) -> type[TorchModel]:
        """The model's class in the fixed list."""
        return REGISTRY.get(self.model)

    @property
    def checked_arguments(self) -> Arguments:
        """The arguments with their defaults."""
        return self.kind.arguments_class.model_validate(self.arguments)


class AnomalibDetector(ModulePipeline):
    """A model of anomalib that was imported with anomalib installed; its scores and maps are raw.

    Its files need that package wherever the model itself is run; bundles do not.
    """

    name = "anomalib"
    config_class: ClassVar[type[ModuleConfig]] = AnomalibConfig
    options_class = Options
    not_fitted: ClassVar[str] = (
        "got the detector anomalib, which is imported, not fitted; expected a checkpoint of anomalib: "
        "run `anomedge import --with-anomalib model.ckpt -o model.safetensors`"
    )

    def __init__(self, config: ModuleConfig, module: nn.Module) -> None:
        super().__init__(config, module)
        if isinstance(config, AnomalibConfig):
            self.legal_notice = config.kind.legal_notice

    @classmethod
    def build_networks(
        cls, config: ModuleConfig, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return the torch model; nothing is downloaded.

        Raises:
            ModelError: anomalib is not installed, in another release than that
                of the import, or refuses the arguments.
        """
        if backbone is not None:
            return {"module": backbone}
        if not isinstance(config, AnomalibConfig):
            raise TypeError(
                f"got a {type(config).__name__}; expected an AnomalibConfig"
            )
        _refuse_other_release(config)
        return {"module": _built(config)}

    @classmethod
    def fit(cls, data: FitData, options: Options) -> Self:
        """Refuse to fit.

        Raises:
            InputError: always.
        """
        del data, options
        raise InputError(cls.not_fitted)


def installed_version() -> str:
    """Return the version of the installed anomalib.

    Raises:
        ModelError: it is not installed.
    """
    try:
        return version("anomalib")
    except PackageNotFoundError as error:
        raise ModelError(
            "got a model that needs anomalib, which is not installed; "
            f"expected the package: {install_advice('anomalib')}"
        ) from error


def first_fault(error: ValidationError) -> str:
    """Return the first fault of checked values: got and expected.

    >>> from anomedge.interop.anomalib.models.stfpm import Stfpm
    >>> try:
    ...     Stfpm.arguments_class(backbone="hf-hub:evil/model")
    ... except ValidationError as error:
    ...     print(first_fault(error))
    backbone = 'hf-hub:evil/model' (String should match pattern '^[A-Za-z0-9_.-]{1,80}$')
    """
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    return f"{name} = {str(first['input'])[:80]!r} ({first['msg']})"


def _refuse_other_release(config: AnomalibConfig) -> None:
    """Refuse another release: its classes of the same names may compute other scores."""
    found = installed_version()
    if _release(found) != _release(config.version):
        raise ModelError(
            f"got anomalib {found} for a model that was imported with {config.version}; expected the same release: "
            f"run `pip install 'anomalib=={_release(config.version)}.*'`, or import the checkpoint again"
        )


def _release(text: str) -> str:
    return ".".join(text.split(".")[:2])


def _built(config: AnomalibConfig) -> nn.Module:
    kind = config.kind
    try:
        with _without_memory(kind):
            model = kind.build(config.checked_arguments, config.size)
            _resize(model, config.shapes)
    except ImportError as error:
        raise ModelError(
            f"anomalib's {kind.name} cannot be imported ({error}); expected a whole installation of anomalib: "
            f"repair it"
        ) from error
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"anomalib's {kind.name} refuses the arguments {config.arguments} at {config.size[0]}x{config.size[1]} "
            f"({reason}); expected those of a model that it fitted: import the checkpoint again"
        ) from error
    return model.eval().requires_grad_(False)


@contextmanager
def _without_memory(kind: type[TorchModel]) -> Iterator[None]:
    """Keep the promise of the meta device, under which a file's configuration is checked, for constructors that it refuses."""
    if not kind.makes_constants or torch.get_default_device().type != "meta":
        yield
        return
    with torch.device("cpu"), FakeTensorMode(allow_non_fake_inputs=True):
        yield


def _resize(model: nn.Module, shapes: Mapping[str, Shape]) -> None:
    """Replace buffers by empty ones with the shapes of the fitted model.

    Raises:
        ValueError: the model has no such tensor.
    """
    for path, shape in shapes.items():
        owner, _, name = path.rpartition(".")
        module = model.get_submodule(owner)
        former = module._buffers.get(name)
        if former is None:
            raise ValueError(f"it has no buffer {path}")
        module._buffers[name] = _empty(shape, former)


def _empty(shape: Shape, former: Tensor) -> Tensor:
    return torch.empty(shape, dtype=former.dtype)
