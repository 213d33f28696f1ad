"""Contract of a detector: an eval-only module that is fitted once and maps images to a score and, mostly, an anomaly map."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic.fields import FieldInfo
from torch import Tensor, nn
from typing_extensions import Self

from anomedge.errors import InputError
from anomedge.pipelines.data import FitData
from anomedge.resample import Geometry

__all__ = [
    "Config",
    "Options",
    "Pipeline",
    "Prediction",
    "Suggestion",
]

Pixels = Annotated[int, Field(ge=8, le=4096)]

_BOUNDS = {
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "less than",
}
_RANGE_ERRORS = {
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
}


class Prediction(NamedTuple):
    """Raw, unclamped outputs: score (B,) and anomaly_map (B, 1, H, W); None for a detector without a map."""

    score: Tensor
    anomaly_map: Tensor | None = None


class _Record(BaseModel):
    """Frozen values with range checks."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True
    )

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Return an instance of these values.

        Raises:
            InputError: a value out of range, of another type, or unknown.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(_first_fault(cls, error)) from error


class Config(_Record):
    """Everything that a fitted detector is built from, apart from its tensors.

    A model file stores it. `size` is the size (H, W) of the images; `masked` tells whether the detector is restricted to
    a region of the image, see `anomedge.pipelines.regions`.
    """

    size: tuple[Pixels, Pixels]
    masked: bool = False

    newer_fields: ClassVar[tuple[str, ...]] = ("masked",)
    """Fields that files of earlier releases lack; left out where they have their default."""

    @model_serializer(mode="wrap")
    def _without_defaults(
        self, inner: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        """Leave out newer fields with their default, as in files of earlier releases."""
        content: dict[str, Any] = inner(self)
        for name in self.newer_fields:
            if getattr(self, name) == type(self).model_fields[name].default:
                del content[name]
        return content


class Options(_Record):
    """Options of a fit, one field each.

    `anomedge fit` derives an option from each field: its name (`top_k` becomes `--top-k`), its type, its default and
    its description as help text. Descriptions state units and ranges.
    """

    def weights_name(self) -> str:
        """Return the name of the networks' initial weights, for the model's card."""
        return "none"

    def weights_licence(self) -> str:
        """Return the licence of the networks' initial weights, for the model's card."""
        return "as their publisher says"


@dataclass(frozen=True)
class Suggestion:
    """A cheaper detector of the same kind.

    Attributes:
        part: part of the budget that it reduces: "backbone" or "distances".
        text: description, with the options of `anomedge fit` that give it.
        config: its configuration.
        geometry: its geometry; None: unchanged.
    """

    part: str
    text: str
    config: Config
    geometry: Geometry | None = None


C = TypeVar("C", bound=Config)
O = TypeVar("O", bound=Options)  # noqa: E741 - the options


class Pipeline(nn.Module, ABC, Generic[C, O]):
    """A detector for images of one size.

    To add a detector, subclass it in `anomedge/pipelines/<name>.py`, or in a distribution with an entry point in the
    group `anomedge.pipelines`. A subclass defines the class attributes, `build_networks`, `fit` and `stages`.
    `FeaturePipeline` implements `build_networks` for detectors on the feature maps of one backbone.

    Attributes:
        name: name of the detector, in commands and model files.
        config_class: class of its configuration.
        options_class: class of its fit options.
        networks: names of the submodules that may run in reduced precision. Everything else, such as statistics,
            distances, map and score, always runs in float32.
        takes_mask: whether `fit` restricts the detector to `FitData.inside`.
        has_statistics: whether `refit` estimates statistics again; trained detectors have none.
        default_folds: number of folds that score the normal pictures for the threshold; 0: a share of them is held
            back, for detectors whose `fit_folds` costs a training per fold.
        not_fitted: message of `anomedge fit` for a detector that is made otherwise; empty for all others.
        legal_notice: notice on rights to the method, such as patents, for the licences in the model's card; empty: none.

    Args:
        config: the configuration.
        networks: the networks by name, see `build_networks`.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[Config]]
    options_class: ClassVar[type[Options]]
    networks: ClassVar[tuple[str, ...]] = ()
    takes_mask: ClassVar[bool] = False
    has_statistics: ClassVar[bool] = False
    default_folds: ClassVar[int] = 0
    not_fitted: ClassVar[str] = ""
    legal_notice: str = ""

    config: C

    def __init__(self, config: C, **networks: nn.Module) -> None:
        super().__init__()
        if set(networks) != set(self.networks):
            raise TypeError(
                f"{type(self).__name__} got the networks {sorted(networks)}; "
                f"expected {sorted(self.networks)}"
            )
        self.config = config
        for name in self.networks:
            network = networks[name].eval().requires_grad_(False)
            self.add_module(name, network)

    def register_buffer(
        self, name: str, tensor: Tensor | None, persistent: bool = True
    ) -> None:
        """Register a buffer; refuse the name of a buffer that a base class computes from the configuration.

        Assigning a tensor to a buffer also calls this method, as `load_state_dict` does for the stored buffers.

        Raises:
            TypeError: the module has a buffer of that name that is not in its state_dict.
        """
        if name in self._non_persistent_buffers_set:
            raise TypeError(
                f"{type(self).__name__} has a buffer {name!r} already, from its base class; "
                f"expected another name for this one"
            )
        super().register_buffer(name, tensor, persistent)

    @classmethod
    @abstractmethod
    def build_networks(
        cls, config: C, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return the networks of a configuration by name, without trained weights.

        Args:
            config: the configuration.
            backbone: the module that the detector was fitted with, where a configuration cannot name it.
        """

    @classmethod
    @abstractmethod
    def fit(cls, data: FitData, options: O) -> Self:
        """Return a detector fitted to normal images; equal data, options and seed give equal tensors.

        Raises:
            InputError: options that do not suit each other or the data.
            ModelError: a network that cannot be used.
        """

    @classmethod
    def fit_folds(
        cls, data: FitData, options: O, folds: Sequence[Sequence[int]]
    ) -> Iterator[Self]:
        """Yield a detector for each fold, fitted to the images outside of the fold, then one fitted to all images.

        The last one equals that of `fit`. A detector may be changed when the next one is asked for. By default, `fit`
        runs once more than there are folds; a detector that shares work between folds overrides this method and
        `default_folds`.

        Args:
            data: the images.
            options: the options.
            folds: places of each fold's images in the order of iteration; every image is in one fold.
        """
        for number in range(len(folds)):
            yield cls.fit(data.without_fold(folds, number), options).eval()
        yield cls.fit(data, options).eval()

    @classmethod
    def folds_of(cls, options: O) -> int:
        """Return the default number of folds with these options: `default_folds`, or 0 where folds would mislead.

        Scores of normal pictures by a detector that was fitted to fewer pictures must not be lower than those of the
        final one, or the threshold is too low.
        """
        del options
        return cls.default_folds

    @classmethod
    def check_overlap(cls, options: O, pixels: int) -> None:
        """Refuse tiles that share too few pixels, for a detector with a constant border around its map; by default none.

        Args:
            options: the options.
            pixels: the least number of pixels that neighbouring tiles have in common.

        Raises:
            InputError: too few pixels.
        """
        del options, pixels

    @abstractmethod
    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return the named intermediate results in order of computation, for images (B, 3, H, W) in [0, 1].

        The last two are `anomaly_map` (B, 1, H, W) and `score` (B,). A detector without a map has no stage
        `anomaly_map`, and nothing else says so. Outputs of networks are named `features/<layer>`.
        """

    def forward(self, images: Tensor) -> Prediction:
        """Return raw score and map of images, float (B, 3, H, W) in [0, 1]."""
        stages = self.stages(images)
        return Prediction(stages["score"], stages.get("anomaly_map"))

    def with_networks(self, networks: Mapping[str, nn.Module]) -> Self:
        """Return this detector with other networks; all other tensors are shared.

        Args:
            networks: replacements by name; each has the inputs and outputs of the network that it replaces.
        """
        twin = copy.copy(self)
        twin._modules = self._modules | dict(networks)
        # A copy shares the dictionary: a buffer that is set on the twin would be set on this detector, too.
        twin._buffers = dict(self._buffers)
        return twin

    def refit(self, data: FitData, networks: Mapping[str, nn.Module]) -> Self:
        """Return this detector on other networks, with its statistics estimated again on their outputs.

        By default nothing is estimated; a detector with statistics overrides this method and sets `has_statistics`.

        Args:
            data: normal images, most of them those that this detector was fitted to.
            networks: replacements by name, see `with_networks`; quantised ones, for example.

        Raises:
            InputError: too few images.
        """
        del data
        return self.with_networks(networks)

    def describe(self) -> str:
        """Return the detector's name and its networks, for messages."""
        return self.name

    def suggestions(
        self, geometry: Geometry, fitted: int
    ) -> Iterator[Suggestion]:
        """Yield cheaper detectors of this kind; none by default.

        Args:
            geometry: how pictures become images.
            fitted: number of pictures that the detector was fitted to.
        """
        del geometry, fitted
        yield from ()


def _first_fault(kind: type[BaseModel], error: ValidationError) -> str:
    """Return the first fault as got and expected; options of a fit by their names on the command line."""
    first = error.errors()[0]
    path = first["loc"]
    name = ".".join(str(part) for part in path)
    if first["type"] == "extra_forbidden":
        known = ", ".join(kind.model_fields) or "none"
        return f"got the option {name}; expected one of: {known}"
    expected = first["msg"].removeprefix("Input should be ")
    field = kind.model_fields.get(str(path[0])) if len(path) == 1 else None
    if field is not None and first["type"] in _RANGE_ERRORS:
        expected = _range(field) or expected
    if issubclass(kind, Options) and path:
        flag = f"--{str(path[0]).replace('_', '-')}"
        given = _as_given(first["input"])
        got = f"no {flag}" if given is None else f"{flag} {given or repr('')}"
        # One of several numbers with commas.
        each = "each " if len(path) > 1 else ""
        return f"got {got}; expected {each}{expected}"
    return f"got {name} = {first['input']!r}; expected {expected}"


def _range(field: FieldInfo) -> str:
    """Return the bounds of a field in words.

    >>> from pydantic.fields import FieldInfo
    >>> _range(FieldInfo(annotation=int, ge=1, lt=9))
    'at least 1 and less than 9'
    """
    bounds = [
        f"{words} {getattr(each, name)}"
        for each in field.metadata
        for name, words in _BOUNDS.items()
        if getattr(each, name, None) is not None
    ]
    return " and ".join(bounds)


def _as_given(value: Any) -> str | None:
    """Return a value as it is given on the command line; None for none."""
    if value is None:
        return None
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value)
