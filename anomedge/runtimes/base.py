"""Session: the base class of all runtimes.

It owns the life cycle, the checks of inputs and outputs, and the translation of
errors. An adapter opens, runs and closes; it reports the real device, and the
base class refuses any device other than the one asked for.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from anomedge.bundle import Bundle, Variant
from anomedge.errors import (
    BundleError,
    DeviceMismatch,
    InputError,
    RuntimeFailure,
)
from anomedge.extras import install_advice
from anomedge.runtimes import options as option_classes
from anomedge.runtimes.choice import Choice, Preference
from anomedge.runtimes.graph_file import GraphFile
from anomedge.runtimes.specs import (
    Tensors,
    TensorSpec,
    checked_feed,
    format_specs,
)
from anomedge.runtimes.vendors import is_installed, translated_errors

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BuildResult", "Session", "Tensors"]


@dataclass(frozen=True)
class BuildResult:
    """An engine built ahead of time.

    Attributes:
        path: file of the engine.
        bytes: its size.
        fresh: whether it was built by this call, not found in the cache.
        record: fingerprint and hash, as stored beside the engine.
    """

    path: Path
    bytes: int
    fresh: bool
    record: dict[str, Any]


class Session(ABC):
    """An opened graph; use it as a context manager or `close` it.

    A subclass states the class attributes and defines `_open`, `_specs` and
    `_run`, and `_close` if the vendor needs it. It passes the bytes
    `self.graph.load().in_one_piece()` to the vendor, never a path: the bytes
    that were hashed are the bytes that run.

    Attributes:
        name, short: full and short name of the runtime.
        vendor: module of the vendor, imported when a graph is opened.
        extra: anomedge's optional dependency that installs the vendor.
        devices: examples of device names, for help texts.
        default_device: device that is used when none is asked for.
        builds_engines: whether `build` compiles engines ahead of time.
        Options: class of the options that the runtime takes.
        largest: largest batch of a graph of any batch; no limit when None.
        running_on: the real device.
        choice: why this runtime was opened, where the user named none.
    """

    name: ClassVar[str] = ""
    short: ClassVar[str] = ""
    vendor: ClassVar[str] = ""
    extra: ClassVar[str] = ""
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    default_device: ClassVar[str] = "cpu"
    builds_engines: ClassVar[bool] = False
    Options: ClassVar[type[option_classes.Options]] = option_classes.Options

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    largest: int | None = None
    choice: Choice | None = None

    def __init__(
        self, graph: GraphFile | Path, options: option_classes.Options
    ) -> None:
        if not isinstance(options, self.Options):
            raise TypeError(
                f"got {type(options).__name__}; expected {self.name}'s options, "
                f"{self.Options.__name__}: use anomedge.runtimes.options_for"
            )
        self.graph = GraphFile.of(graph)
        self.path = self.graph.path
        self.options = options
        self.running_on = ""
        self._closed = False
        self._promised: dict[str, TensorSpec] = {}
        with self._translated("open"):
            self._open()
            self.inputs, self.outputs = self._specs()

    @classmethod
    def from_file(cls, path: Path, options: option_classes.Options) -> Session:
        """Open the file of one graph."""
        return cls(path, options)

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, options: option_classes.Options
    ) -> Session:
        """Open the bundle's graph for this runtime; check it against the manifest.

        Raises:
            BundleError: inputs or outputs differ from the manifest.
        """
        variant = bundle.variant(options.precision)
        session = cls.from_variant(bundle, variant, options)
        try:
            session._check_contract(bundle)
        except BaseException:
            session.close()
            raise
        return session

    @classmethod
    def from_variant(
        cls, bundle: Bundle, variant: Variant, options: option_classes.Options
    ) -> Session:
        """Open a variant's graph for this runtime; inputs and outputs are not checked."""
        name = cls.file_of(variant, options)
        return cls(GraphFile.in_bundle(bundle, name), options)

    @classmethod
    def file_of(cls, variant: Variant, options: option_classes.Options) -> str:
        """Return the name of the variant's file that this runtime opens."""
        return variant.graph("stages" if options.stages else "model")

    @classmethod
    def is_installed(cls) -> bool:
        """Return whether the vendor's package is installed; it is not imported."""
        return is_installed(cls.vendor)

    @classmethod
    def runs_here(cls) -> bool:
        """Return whether vendor and device are present; the vendor is not imported."""
        return cls.is_installed()

    @classmethod
    def why_not_here(cls) -> str:
        """Return in one line why an installed runtime does not run here."""
        return "this machine has no device that it runs on"

    @classmethod
    def preference(cls, precision: str) -> Preference:
        """Return the rank of this runtime here for a precision; called where it runs here; nothing is measured."""
        del precision
        return Preference()

    @classmethod
    def how_to_install(cls) -> str:
        """Return the instruction that installs the vendor's package."""
        if cls.extra:
            return install_advice(cls.extra)
        return f"pip install {cls.vendor}"

    @classmethod
    def check_device(cls, device: str) -> None:
        """Check a device name before long work; the vendor may be imported.

        Raises:
            DeviceMismatch: this machine does not have the device.
        """
        del device

    @classmethod
    def build(
        cls,
        graph: GraphFile | Path,
        options: option_classes.Options,
        *,
        force: bool = False,
    ) -> BuildResult:
        """Build the engine that opening the graph would build first.

        Args:
            graph: an ONNX graph.
            options: options of this runtime.
            force: build even if the engine is in the cache.

        Raises:
            InputError: this runtime opens graphs without building an engine.
        """
        del graph, options, force
        raise InputError(
            f"{cls.name} builds no engines, it opens the graph as it is; "
            f"expected a runtime that builds engines: anomedge build --help"
        )

    @property
    def version(self) -> str:
        """The vendor's version, as certificates show it."""
        vendor = sys.modules.get(self.vendor)
        return str(getattr(vendor, "__version__", ""))

    @property
    def device(self) -> str:
        """The device asked for; the runtime's default if none was."""
        return self.options.device or self.default_device

    @abstractmethod
    def _open(self) -> None:
        """Open `self.graph.load().in_one_piece()`, the ONNX graph as bytes; call `_assert_running_on`."""

    @abstractmethod
    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        """Return inputs and outputs of the opened graph by name; a size of None is any."""

    @abstractmethod
    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        """Return the outputs of a checked feed by name; several threads may call this at once."""

    def _close(self) -> None:  # noqa: B027 - most vendors free with the last reference
        """Free the vendor's objects."""

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        """Run named arrays through the graph; return its outputs by name.

        Raises:
            InputError: a name, type or shape differs from the graph's inputs.
            RuntimeFailure: the vendor failed, or the session is closed.
        """
        if self._closed:
            raise RuntimeFailure(
                f"{self.name}: this session is closed; open another"
            )
        arrays = checked_feed(feed, self.inputs)
        with self._translated("run"):
            outputs = self._run(arrays)
        if self._promised:
            batch = len(next(iter(arrays.values())))
            self._check_outputs(outputs, batch)
        return outputs

    def _check_contract(self, bundle: Bundle) -> None:
        """Compare inputs and outputs with the manifest; remember the outputs."""
        contract = bundle.manifest.input
        batch = None if contract.batch == "dynamic" else int(contract.batch)
        frames = TensorSpec(contract.dtype, (batch, *contract.frame, 3))
        inputs: dict[str, TensorSpec] = {contract.name: frames}
        if self.inputs != inputs:
            raise self._broken_contract("takes", self.inputs, inputs)
        if self.options.stages:
            return
        promised = {
            output.name: TensorSpec(output.dtype, (batch, *output.shape))
            for output in bundle.manifest.outputs
        }
        for name, spec in promised.items():
            if name not in self.outputs or not self.outputs[name].matches(spec):
                raise self._broken_contract("gives", self.outputs, promised)
        self._promised = promised

    def _broken_contract(
        self,
        verb: str,
        got: Mapping[str, TensorSpec],
        expected: Mapping[str, TensorSpec],
    ) -> BundleError:
        return BundleError(
            f"{self.path}: {verb} {format_specs(got)}; its manifest says "
            f"{format_specs(expected)}: export again"
        )

    def _check_outputs(self, outputs: Tensors, batch: int) -> None:
        for name, spec in self._promised.items():
            expected = (batch, *spec.shape[1:])
            if outputs[name].shape != expected:
                raise RuntimeFailure(
                    f"{self.name} gave {name} {outputs[name].shape}; "
                    f"expected {expected}: export again"
                )

    def close(self) -> None:
        """Free the vendor's objects; later calls do nothing."""
        if not self._closed:
            self._closed = True
            with self._translated("close"):
                self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _assert_running_on(self, real: str, *expected: str) -> None:
        """Store the real device.

        Raises:
            DeviceMismatch: it is not an expected one; vendors fall back silently.
        """
        self.running_on = real
        if real not in expected:
            names = [name for name in expected if name != self.device]
            also = f" ({', '.join(names)})" if names else ""
            raise DeviceMismatch(
                f"{self.name}: asked for {self.device!r}{also} "
                f"but it runs on {real!r}; "
                f"install what the device needs, or ask for another"
            )

    def _translated(self, verb: str) -> AbstractContextManager[None]:
        return translated_errors(self.name, verb, self.path.name)
