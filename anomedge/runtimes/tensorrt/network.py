"""Parse an ONNX graph into a TensorRT network and state its types and shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anomedge.errors import InputError
from anomedge.runtimes.graph_file import GraphContent
from anomedge.runtimes.options import Batches
from anomedge.runtimes.tensorrt.log import LogRecorder
from anomedge.runtimes.tensorrt.options import EngineOptions

__all__ = [
    "add_profile",
    "create_network",
    "is_weakly_typed",
    "parse",
    "pin_float32_layers",
]

_WITHOUT_PRECISION = {"CAST", "CONSTANT", "IDENTITY", "SHAPE"}
"""Kinds of layers that compute nothing and take no precision in TensorRT 8."""


def is_weakly_typed(trt: Any, options: EngineOptions) -> bool:
    """Return whether the builder may choose types itself.

    TensorRT 8 has weakly typed networks only; before release 11 the deep learning
    accelerator requires them.
    """
    if not hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        return True
    uses_dla = options.dla_core() is not None
    return uses_dla and hasattr(trt.BuilderFlag, "FP16")


def create_network(trt: Any, builder: Any, *, weakly_typed: bool) -> Any:
    """Return an empty network."""
    name = "EXPLICIT_BATCH" if weakly_typed else "STRONGLY_TYPED"
    flag = getattr(trt.NetworkDefinitionCreationFlag, name)
    return builder.create_network(1 << int(flag))


def parse(parser: Any, graph: GraphContent, recorder: LogRecorder) -> None:
    """Parse a graph; a graph above the size limit is read from private files.

    Raises:
        VendorError: the parser refused the graph; with its reasons.
    """
    if graph.fits_in_one_piece:
        parsed = bool(parser.parse(graph.in_one_piece()))
    else:
        with graph.temporary_copy() as path:
            parsed = bool(parser.parse_from_file(str(path)))
    if not parsed:
        reasons = [
            " ".join(str(parser.get_error(i)).split())
            for i in range(parser.num_errors)
        ]
        raise recorder.error(f"{graph.path.name} was not understood", *reasons)


def pin_float32_layers(
    trt: Any, network: Any, config: Any, options: EngineOptions
) -> None:
    """Keep float32 layers in float32 where the builder may choose half precision.

    Half precision is allowed only for a graph that contains some.

    Raises:
        InputError: a float32 graph for the deep learning accelerator.
    """
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    if not any(_has_half_output(trt, layer) for layer in layers):
        if options.dla_core() is not None:
            raise InputError(
                "got dla with a graph in float32; expected half precision: "
                "export --precision fp16"
            )
        return
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    for layer in layers:
        if layer.type.name not in _WITHOUT_PRECISION:
            _pin_float32(trt, layer)


def _pin_float32(trt: Any, layer: Any) -> None:
    """Pin a layer whose floating-point outputs are all float32."""
    types = [tensor.dtype for tensor in _outputs(layer)]
    if trt.DataType.HALF in types or trt.DataType.FLOAT not in types:
        return
    layer.precision = trt.DataType.FLOAT
    for i, dtype in enumerate(types):
        if dtype == trt.DataType.FLOAT:
            layer.set_output_type(i, trt.DataType.FLOAT)


def _has_half_output(trt: Any, layer: Any) -> bool:
    return any(tensor.dtype == trt.DataType.HALF for tensor in _outputs(layer))


def _outputs(layer: Any) -> Iterator[Any]:
    for i in range(layer.num_outputs):
        tensor = layer.get_output(i)
        if tensor is not None:
            yield tensor


def add_profile(
    builder: Any, network: Any, config: Any, options: EngineOptions
) -> None:
    """Add smallest, typical and largest batch; a graph of a fixed batch needs none.

    Raises:
        InputError: another size than the batch is free, the batches do not fit,
            or a free batch for the deep learning accelerator.
    """
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    shapes = {tensor.name: tuple(tensor.shape) for tensor in inputs}
    for name, shape in shapes.items():
        _check_free_sizes(name, shape)
    dynamic = {
        name: shape for name, shape in shapes.items() if shape and shape[0] < 0
    }
    if not dynamic:
        return
    if options.dla_core() is not None:
        raise InputError(
            "got dla with a graph of any batch; the accelerator takes one fixed "
            "batch: export with --batch N"
        )
    profile = builder.create_optimization_profile()
    for name, shape in dynamic.items():
        profile.set_shape(name, *_shapes(shape, options.batches))
    if config.add_optimization_profile(profile) < 0:
        raise InputError(
            f"the builder takes no batches {options.batches}; give others"
        )


def _shapes(shape: tuple[int, ...], batches: Batches) -> list[tuple[int, ...]]:
    return [(batch, *shape[1:]) for batch in batches]


def _check_free_sizes(name: str, shape: tuple[int, ...]) -> None:
    if any(size < 0 for size in shape[1:]):
        raise InputError(
            f"input {name!r} takes any size in {shape}; expected that of its "
            f"batch only: fix the others"
        )
