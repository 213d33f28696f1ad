"""What every runtime is: a session that takes named arrays and gives named arrays.

The base class owns the life cycle, the input checks and the translation of errors; an adapter opens, feeds and
fetches. After opening, an adapter says where it really runs, and the base refuses anything but what was asked for.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle, Variant
from anomedge.errors import (
    AnomedgeError,
    BundleError,
    DeviceMismatch,
    InputError,
    RuntimeFailure,
)
from anomedge.runtimes.graph_file import GraphFile

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Built",
    "Options",
    "Session",
    "TensorSpec",
    "Tensors",
    "how_to_install",
    "is_there",
    "translated",
]

Tensors = dict[str, npt.NDArray[Any]]

_LEAST_WORKSPACE = 1 << 20
_JETSON = Path("/etc/nv_tegra_release")


@dataclass(frozen=True)
class TensorSpec:
    """Type and shape of an input or output; None is any size."""

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('any' if n is None else str(n) for n in self.shape)})"

    def accepts(self, array: npt.NDArray[Any]) -> bool:
        """True where type, rank and every fixed size agree, and no size is zero."""
        sizes = zip(self.shape, array.shape, strict=False)
        return (
            str(array.dtype) == self.dtype
            and array.ndim == len(self.shape)
            and all(got > 0 and wanted in (None, got) for wanted, got in sizes)
        )

    def may_be(self, other: TensorSpec) -> bool:
        """True where type and rank are the other's, and every size that is known here."""
        sizes = zip(self.shape, other.shape, strict=False)
        alike = self.dtype == other.dtype and len(self.shape) == len(
            other.shape
        )
        return alike and all(own in (None, wanted) for own, wanted in sizes)


def _shown(specs: Mapping[str, TensorSpec]) -> str:
    return (
        ", ".join(f"{name} {spec}" for name, spec in specs.items()) or "nothing"
    )


@dataclass(frozen=True)
class Options:
    """How to open.

    Args:
        device: where to run.
        precision: which of the bundle's variants.
        threads: of the CPU; the vendor's choice when None.
        hint: "latency" or "throughput", where the vendor has such a choice.
        stages: open the graph with taps.
        tf32: allow TF32, a precision of its own, on GPUs.
        cache: folder for engines built here; one beside the bundle when None.
        batches: least, usual and largest batch that an engine is built for.
        workspace: bytes that an engine's builder may use; the vendor's choice when None.
        cuda_graph: record an inference once and replay it, on GPUs.
        version_compatible: build engines that later releases of the vendor read too.
        hardware_compatible: build engines that other GPUs of the family read too.
        dla: number of the deep learning accelerator to build for, where the release has one.
    """

    device: str = "cpu"
    precision: str = "fp32"
    threads: int | None = None
    hint: str = "latency"
    stages: bool = False
    tf32: bool = False
    cache: Path | None = None
    batches: tuple[int, int, int] = (1, 1, 8)
    workspace: int | None = None
    cuda_graph: bool = False
    version_compatible: bool = False
    hardware_compatible: bool = False
    dla: int | None = None

    @classmethod
    def checked(cls, **values: Any) -> Options:
        """Options from keywords.

        Raises:
            InputError: an unknown one, or a value out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise InputError(
                f"got options {unknown}; expected some of: {', '.join(sorted(known))}"
            )
        options = cls(**values)
        if options.threads is not None and not 1 <= options.threads <= 1024:
            raise InputError(
                f"got threads={options.threads}; expected 1 or more, or none to let the vendor choose"
            )
        if options.hint not in {"latency", "throughput"}:
            raise InputError(
                f"got hint={options.hint!r}; expected 'latency' or 'throughput'"
            )
        least, usual, largest = options.batches
        if not 1 <= least <= usual <= largest <= 4096:
            raise InputError(
                f"got batches={options.batches}; expected least <= usual <= largest, from 1 to 4096"
            )
        if (
            options.workspace is not None
            and options.workspace < _LEAST_WORKSPACE
        ):
            raise InputError(
                f"got workspace={options.workspace}; expected bytes, {_LEAST_WORKSPACE} (1 MiB) or more"
            )
        return options


@dataclass(frozen=True)
class Built:
    """An engine ahead of time: its file, its size, whether it was built just now, and what was written of it."""

    path: Path
    bytes: int
    fresh: bool
    record: dict[str, Any]


class Session(ABC):
    """An opened graph; use it as a context manager or `close` it.

    A subclass names itself and its vendor, says which of a bundle's files it opens, and writes `_open`, `_run` and
    `_close`. It passes the bytes of `self.graph` to the vendor, never a path, so that the bytes hashed are the bytes
    run even if the files change.
    """

    name: ClassVar[str] = ""
    short: ClassVar[str] = ""
    vendor: ClassVar[str] = ""
    extra: ClassVar[str] = ""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    largest: int | None = None
    """The largest batch of a graph that takes several; any when None."""

    def __init__(self, graph: GraphFile | Path, options: Options) -> None:
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
    def from_file(cls, path: Path, options: Options) -> Session:
        """Open one graph's file."""
        return cls(path, options)

    @classmethod
    def from_bundle(cls, bundle: Bundle, options: Options) -> Session:
        """Open the graph that a bundle has for this runtime."""
        session = cls.from_variant(
            bundle, bundle.variant(options.precision), options
        )
        try:
            session._hold_to(bundle)
        except BaseException:
            session.close()
            raise
        return session

    @classmethod
    def from_variant(
        cls, bundle: Bundle, variant: Variant, options: Options
    ) -> Session:
        """Open this runtime's file of a variant, without checking the graph's inputs and outputs."""
        return cls(
            GraphFile.in_bundle(bundle, cls.file_of(variant, options)), options
        )

    @classmethod
    def file_of(cls, variant: Variant, options: Options) -> str:
        """Which of a variant's files this runtime opens."""
        return variant.graph("stages" if options.stages else "model")

    @classmethod
    def runs_here(cls) -> bool:
        """True where the vendor is installed and has what it runs on; nothing of the vendor is imported."""
        return is_there(cls.vendor)

    @classmethod
    def build(
        cls, graph: GraphFile | Path, options: Options, *, force: bool = False
    ) -> Built:
        """Build what opening would build first, where the runtime has such a thing.

        Raises:
            InputError: it opens graphs as they are.
        """
        del graph, options, force
        raise InputError(
            f"{cls.name} builds no engines, it opens the graph as it is; expected tensorrt or tensorrt-rtx"
        )

    @property
    def version(self) -> str:
        """The vendor's own version."""
        return ""

    @abstractmethod
    def _open(self) -> None:
        """Open the bytes of `self.graph` and set `self.running_on`; check it with `_assert_running_on`."""

    @abstractmethod
    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        """Inputs and outputs of the opened graph."""

    @abstractmethod
    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        """Feed and fetch; the feed has been checked. May be called from several threads at once."""

    def _close(self) -> None:  # noqa: B027 - most vendors free with the last reference
        """Let go of the vendor's objects."""

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        """Named arrays in, named arrays out.

        Raises:
            InputError: a name, type or shape other than the graph's inputs.
            RuntimeFailure: the vendor failed, or the session is closed.
        """
        if self._closed:
            raise RuntimeFailure(
                f"{self.name}: this session is closed; open another"
            )
        if feed.keys() != self.inputs.keys():
            raise InputError(
                f"got inputs {sorted(feed)}; expected {sorted(self.inputs)}"
            )
        arrays = {name: np.asarray(array) for name, array in feed.items()}
        for name, array in arrays.items():
            if not self.inputs[name].accepts(array):
                got = (
                    f"{array.dtype} ({', '.join(str(n) for n in array.shape)})"
                )
                raise InputError(
                    f"input {name!r}: got {got}; expected {self.inputs[name]}: give frames of that size"
                )
        with self._translated("run"):
            outputs = self._run(
                {
                    name: np.ascontiguousarray(array)
                    for name, array in arrays.items()
                }
            )
        if self._promised:
            self._check(outputs, len(next(iter(arrays.values()))))
        return outputs

    def _hold_to(self, bundle: Bundle) -> None:
        """Refuse a graph that does not take and give what the manifest says."""
        contract = bundle.manifest.input
        count = None if contract.batch == "dynamic" else int(contract.batch)
        taken: dict[str, TensorSpec] = {
            contract.name: TensorSpec(
                contract.dtype, (count, *contract.frame, 3)
            )
        }
        if self.inputs != taken:
            raise BundleError(
                f"{self.path}: takes {_shown(self.inputs)}; its manifest says {_shown(taken)}: export again"
            )
        if self.options.stages:
            return
        given = {
            output.name: TensorSpec(output.dtype, (count, *output.shape))
            for output in bundle.manifest.outputs
        }
        if any(
            name not in self.outputs or not self.outputs[name].may_be(spec)
            for name, spec in given.items()
        ):
            raise BundleError(
                f"{self.path}: gives {_shown(self.outputs)}; its manifest says {_shown(given)}: export again"
            )
        self._promised = given

    def _check(self, outputs: Tensors, count: int) -> None:
        for name, spec in self._promised.items():
            wanted = (count, *spec.shape[1:])
            if outputs[name].shape != wanted:
                raise RuntimeFailure(
                    f"{self.name} gave {name} {outputs[name].shape}; expected {wanted}: export again"
                )

    def close(self) -> None:
        """Free what the vendor holds; may be called again."""
        if not self._closed:
            self._closed = True
            with self._translated("close"):
                self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _assert_running_on(self, real: str, *expected: str) -> None:
        """Refuse to run elsewhere than asked: vendors fall back silently."""
        self.running_on = real
        if real not in expected:
            raise DeviceMismatch(
                f"{self.name}: asked for {self.options.device!r} ({', '.join(expected)}) but it runs on {real!r}; "
                f"install what the device needs, or ask for another"
            )

    def _translated(self, verb: str) -> AbstractContextManager[None]:
        return translated(self.name, verb, self.path)


def how_to_install(vendor: str, extra: str) -> str:
    """What to do where a vendor's package is missing."""
    if vendor == "tensorrt" and _JETSON.exists():
        return "it comes with JetPack; make the environment with python3 -m venv --system-site-packages"
    return f"pip install 'anomedge[{extra}]'"


def is_there(package: str) -> bool:
    """True where a package is installed and may be imported; only the packages that it lies in are imported.

    >>> is_there("numpy"), is_there("numpy.nothing"), is_there("nothing.at.all")
    (True, False, False)
    """
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


@contextmanager
def translated(name: str, verb: str, path: Path) -> Iterator[None]:
    """Vendor errors stop here, whatever their type; the cause is kept."""
    try:
        yield
    except (AnomedgeError, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, ImportError) and not str(
            error
        ):  # one built for numpy 1 says why to the terminal only
            text = f"it does not load beside numpy {np.__version__}; expected a release that does: pip install -U {name}, or 'numpy<2'"
        raise RuntimeFailure(
            f"{name} could not {verb} {path.name}: {text[:600]}"
        ) from error
