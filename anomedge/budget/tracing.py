"""Operations of a detector's graph, by torch's tracer: no values are computed, no files are written.

The traced module is the one that is exported. The simplifications of the export and of runtimes are modelled as well:
batch normalisation and padding are folded into convolutions, unused channels are removed, expressions of constants are
constants, and views cost nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from anomedge.budget.network import Kind, Network, Operation
from anomedge.export.passes.pack_zeros import PACKED_BELOW, WORTH_PACKING
from anomedge.export.tracing import OUTPUTS, Deployed
from anomedge.pipelines.model import Model
from anomedge.pipelines.trace_errors import traced

__all__ = ["network_of"]

_INPUT = "frames"
# Position of the operand that a runtime packs if it is a constant matrix.
_PACKED_OPERAND = {"matmul": 1, "mm": 1, "addmm": 2, "linear": 1}
_LOOKUPS = {"embedding", "gather", "index", "index_select", "take_along_dim"}
# Operators that ONNX Runtime computes in place, which excludes Sub, Mul, Div, Pow and Sqrt.
_OVERWRITING = {"add", "clamp", "hardtanh", "relu", "relu6", "sigmoid"}
_CHANNELWISE = _OVERWRITING | {
    "batch_norm",
    "elu",
    "gelu",
    "hardswish",
    "leaky_relu",
    "mish",
    "silu",
    "tanh",
}
_NOTHING = {"clone", "dropout", "getitem", "lift_fresh_copy"}
_PADDINGS = {"constant_pad_nd", "pad"}
_GROUPS = 6
"""Position of the groups among a convolution's arguments."""


def network_of(
    model: Model,
    frame: tuple[int, int],
    batch: int,
    like: Network | None = None,
) -> Network:
    """Return the graph of a model for one frame size and batch.

    Args:
        model: fitted, or without data on the device "meta".
        frame: height and width of the camera's frames.
        batch: frames per call.
        like: graph of a fitted model of the same kind, for the stored sizes of a model without data.

    Raises:
        ExportError: torch cannot trace the model.
    """
    program, names = _traced(Deployed(model, frame).eval(), frame, batch)
    graph = _Graph(program, _selected(program.graph))
    counter = FlopCounterMode(display=False)
    with counter:
        for node in program.graph.nodes:
            if node.op == "call_function" and any(True for _ in _tensors(node)):
                graph.add(node, counter)
    (ends,) = (node for node in program.graph.nodes if node.op == "output")
    stages = dict(
        zip(names, (graph.names[node] for node in ends.args[0]), strict=True)
    )
    operations = _needed(graph.operations, set(stages.values()))
    read = {name for operation in operations for name in operation.reads}
    constants = {
        name: size for name, size in graph.constants.items() if name in read
    }
    return Network(
        inputs=graph.inputs,
        constants=constants,
        operations=tuple(operations),
        stages=stages,
        outputs=tuple(stages[name] for name in OUTPUTS if name in stages),
        stored=_stored(program, constants, like),
        computed=frozenset(graph.computed & constants.keys()),
    )


class _Stages(nn.Module):
    """A detector with a forward that returns every stage and records their names."""

    def __init__(self, deployed: Deployed, names: list[str]) -> None:
        super().__init__()
        self.deployed = deployed
        self.tell = names.extend

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        stages = self.deployed.stages(frames)
        self.tell(stages)
        return tuple(stages.values())


def _traced(
    deployed: Deployed, frame: tuple[int, int], batch: int
) -> tuple[Any, list[str]]:
    tensors = [*deployed.parameters(), *deployed.buffers()]
    device = "meta" if any(tensor.is_meta for tensor in tensors) else "cpu"
    if device == "meta":
        deployed.to("meta")
    names: list[str] = []
    example = torch.zeros(batch, *frame, 3, dtype=torch.uint8, device=device)
    with traced(deployed):
        program = torch.export.export(
            _Stages(deployed, names), (example,), strict=False
        )
    return program, list(dict.fromkeys(names))


@dataclass
class _Graph:
    """Operations in the order of the program; `names` maps each node to its value or constant."""

    program: Any
    selected: dict[fx.Node, float]
    inputs: dict[str, int] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)
    operations: list[Operation] = field(default_factory=list)
    names: dict[fx.Node, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        user = self.program.graph_signature.user_inputs
        for node in self.program.graph.nodes:
            if node.op in {"placeholder", "get_attr"}:
                given = node.name in user
                self.names[node] = _INPUT if given else node.name
                (self.inputs if given else self.constants)[self.names[node]] = (
                    _bytes(node)
                )

    def add(self, node: fx.Node, counter: FlopCounterMode) -> None:
        """Add a node as an operation, as part of the previous operation, or as a constant."""
        operands = [
            operand for operand in node.all_input_nodes if operand in self.names
        ]
        values = [
            operand
            for operand in operands
            if self.names[operand] not in self.constants
        ]
        if not values:
            self._add_constant(node, operands)
            return
        before = counter.get_total_flops()
        _run(node)
        share = self.selected.get(node, 1.0)
        kind, reads = (
            self._kind(node, values),
            [self.names[operand] for operand in operands],
        )
        if kind == "convolution":
            self._narrow(node, share)
        if self._folds(node, values):
            kind, reads = (
                "view",
                [self.names[values[0]], self._bias(node, share)],
            )
        elif kind == "view":
            reads = [self.names[operand] for operand in (values[0], *operands)]
        self.names[node] = node.name
        self.operations.append(
            Operation(
                name=node.name,
                kind=kind,
                reads=tuple(dict.fromkeys(reads)),
                shape=tuple(_first(node).shape),
                bytes=round(share * _bytes(node)),
                flops=round(share * (counter.get_total_flops() - before)),
            )
        )

    def _add_constant(self, node: fx.Node, operands: Sequence[fx.Node]) -> None:
        """Add a computed constant; a view or transpose of a constant is the constant itself."""
        if operands and (
            _is_view(node, operands[0]) or _transposes(node, operands[0])
        ):
            self.names[node] = self.names[operands[0]]
            return
        self.names[node] = node.name
        self.constants[node.name] = _bytes(node)
        # The export stores small constants; a runtime computes large ones when it opens the graph.
        if _bytes(node) >= WORTH_PACKING:
            self.computed.add(node.name)

    def _kind(self, node: fx.Node, values: Sequence[fx.Node]) -> Kind:
        name = _name(node)
        if name.startswith("conv"):
            return "convolution"
        if name in _PACKED_OPERAND:
            operand = node.args[_PACKED_OPERAND[name]]
            matrix = (
                isinstance(operand, fx.Node)
                and operand not in values
                and _first(operand).ndim == 2
            )
            return "product" if matrix else "other"
        padding = name in _PADDINGS and all(
            _name(user).startswith("conv") for user in node.users
        )
        if (
            padding
            or name in _NOTHING
            or (name == "index_select" and values[0] in self.selected)
        ):
            return "view"
        if name in _LOOKUPS:
            return "lookup"
        if _is_view(node, values[0]):
            return "view"
        return "overwriting" if name in _OVERWRITING else "other"

    def _folds(self, node: fx.Node, values: Sequence[fx.Node]) -> bool:
        """Return whether a node is a batch normalisation that folds into the convolution before it."""
        made = next(
            (
                o
                for o in reversed(self.operations)
                if o.name == self.names[values[0]]
            ),
            None,
        )
        alone = len(values[0].users) == 1
        return (
            _name(node) == "batch_norm"
            and made is not None
            and made.kind == "convolution"
            and alone
        )

    def _bias(self, node: fx.Node, share: float) -> str:
        """Add the bias that the convolution gets by folding; return its name."""
        value, name = _first(node), f"{node.name}.bias"
        self.constants[name] = (
            round(share * value.shape[1]) * value.element_size()
        )
        return name

    def _narrow(self, node: fx.Node, share: float) -> None:
        """Reduce the weights of a convolution to those of its selected channels."""
        for operand in node.all_input_nodes:
            if self.names[operand] in self.constants:
                self.constants[self.names[operand]] = round(
                    share * _bytes(operand)
                )


def _needed(
    operations: Sequence[Operation], wanted: set[str]
) -> list[Operation]:
    """Return the operations that the wanted values depend on; the export removes the others."""
    needed = []
    for operation in reversed(operations):
        if operation.name in wanted:
            wanted |= set(operation.reads)
            needed.append(operation)
    return needed[::-1]


def _selected(graph: fx.Graph) -> dict[fx.Node, float]:
    """Return the values of which only a constant selection of channels is read, with the selected share."""
    shares: dict[fx.Node, float] = {}
    for node in graph.nodes:
        if (
            _name(node) != "index_select"
            or node.args[1] != 1
            or node.args[2].op not in {"placeholder", "get_attr"}
        ):
            continue
        waiting, channels = [node.args[0]], _first(node.args[0]).shape[1]
        while waiting:
            value = waiting.pop()
            plain = _name(value).startswith("conv") and value.args[
                _GROUPS:
            ] in {(), (1,)}
            if len(value.users) == 1 and (
                plain or _name(value) in _CHANNELWISE
            ):
                shares[value] = _first(node).shape[1] / channels
                operands = [] if plain else value.all_input_nodes
                waiting += [
                    operand
                    for operand in operands
                    if _first(operand).shape[1:2] == (channels,)
                ]
    return shares


def _stored(
    program: Any, constants: dict[str, int], like: Network | None
) -> dict[str, int]:
    """Return the stored bytes of the constants that the export packs (`PackZeros`)."""
    signature = program.graph_signature
    places = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    known = {**program.constants, **program.state_dict}
    stored = {}
    for name, size in constants.items():
        tensor = known.get(places.get(name, ""))
        if tensor is None or tensor.ndim != 3 or size < WORTH_PACKING:
            continue
        if tensor.is_meta:
            share = (
                like.stored[name] / like.constants[name]
                if like and name in like.stored
                else 1.0
            )
        else:
            used = int((tensor != 0).any(dim=0).sum()) + 1
            share = used / tensor[0].numel()
        if share < PACKED_BELOW:
            stored[name] = round(share * size)
    return stored


def _run(node: fx.Node) -> None:
    """Call the operator on the tracer's fake tensors, so that torch counts its operations."""
    arguments, options = fx.map_arg(
        (node.args, node.kwargs), lambda operand: operand.meta["val"]
    )
    if callable(node.target):
        node.target(*arguments, **options)


def _name(node: fx.Node) -> str:
    """Return the operator's plain name, `relu` for `aten.relu_.default`; empty for other nodes."""
    if node.op != "call_function":
        return ""
    if node.target is operator.getitem:
        return "getitem"
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet)).rstrip("_")


def _tensors(node: fx.Node) -> Iterator[Tensor]:
    value = node.meta.get("val")
    yield from (
        v
        for v in (value if isinstance(value, list | tuple) else [value])
        if isinstance(v, Tensor)
    )


def _first(node: fx.Node) -> Tensor:
    return next(_tensors(node))


def _bytes(node: fx.Node) -> int:
    return sum(
        tensor.numel() * tensor.element_size() for tensor in _tensors(node)
    )


def _is_view(node: fx.Node, operand: fx.Node) -> bool:
    """Return whether the result has the operand's elements in the same order."""
    return _aliases(node, operand) and not _transposes(node, operand)


def _transposes(node: fx.Node, operand: fx.Node) -> bool:
    """Return whether the result has the operand's elements in another order."""
    return (
        _aliases(node, operand)
        and _first(operand).is_contiguous()
        and not _first(node).is_contiguous()
    )


def _aliases(node: fx.Node, operand: fx.Node) -> bool:
    """Return whether the result is a view of all of the operand's elements."""
    result, given = _first(node), _first(operand)
    schema = getattr(node.target, "_schema", None)
    shown = schema is not None and any(
        r.alias_info is not None and not r.alias_info.is_write
        for r in schema.returns
    )
    return (
        shown
        and result.numel() == given.numel()
        and result.dtype == given.dtype
    )
