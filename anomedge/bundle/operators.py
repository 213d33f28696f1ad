"""Operators and fields that a bundle's graphs may have: an allow-list for ONNX files and for OpenVINO IR files.

A graph with state or random numbers can pass a proof and decide differently later, and a field unknown here could refer
to files whose hashes are not checked. So a bundle's graph is refused unless all of it is known. Needs no vendor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import count
from xml.etree import ElementTree as ET
from xml.parsers.expat import ExpatError

from anomedge.bundle.ir_elements import faults_of_elements, faults_of_markup
from anomedge.bundle.protobuf import (
    FIXED32,
    FIXED64,
    LENGTHS,
    PARTS,
    VARINT,
    Field,
    Spoilt,
    fields,
    read_varint,
)

__all__ = ["faults_of_ir", "faults_of_onnx", "unlisted_layers"]

ONNX_OPERATORS = frozenset(
    """
    Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization
    BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad
    Clip Col2Im Compress Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumProd CumSum DFT
    DeformConv DepthToSpace DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand
    EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool
    Greater GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax
    Identity InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax
    LpNormalization LpPool MatMul Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization
    MelWeightMatrix Min Mish Mod Mul Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Or PRelu Pad
    Pow QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2
    ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape
    Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT Scatter ScatterElements ScatterND Selu Shape Shrink
    Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split Sqrt
    Squeeze Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Upsample Where
    Xor
""".split()  # noqa: SIM905 - a list literal would take a line for each name
)
"""Standard ONNX operators whose outputs depend on their inputs alone: no state, no random numbers, no inner graph."""

IR_OPERATORS = frozenset(
    """
    Abs Acos Acosh AdaptiveAvgPool AdaptiveMaxPool Add Asin Asinh Atan Atanh AvgPool BatchNormInference BatchToSpace
    BitwiseAnd BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor Broadcast Ceiling Clamp Col2Im Concat
    Const Constant Convert ConvertLike ConvertPromoteTypes Convolution ConvolutionBackpropData Cos Cosh CumSum
    DepthToSpace Divide Einsum Elu Equal Erf Exp FakeConvert FakeQuantize Floor FloorMod Gather GatherElements Gelu
    Greater GreaterEqual GridSample GroupConvolution GroupConvolutionBackpropData GroupNormalization HSigmoid HSwish
    HardSigmoid Identity Interpolate IsFinite IsInf IsNaN LRN Less LessEqual Log LogSoftmax LogicalAnd LogicalNot
    LogicalOr LogicalXor MVN MatMul MaxPool Maximum Minimum Mish Mod Multiply Negative NormalizeL2 NotEqual OneHot PRelu
    Pad Parameter Power Range ReduceL1 ReduceL2 ReduceLogicalAnd ReduceLogicalOr ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum Relu Reshape Result Reverse Roll Round ScaledDotProductAttention ScatterElementsUpdate
    ScatterNDUpdate ScatterUpdate Select Selu ShapeOf ShuffleChannels Sigmoid Sign Sin Sinh Slice SoftPlus SoftSign
    Softmax SpaceToBatch SpaceToDepth Split Sqrt SquaredDifference Squeeze StridedSlice Subtract Swish Tan Tanh Tile
    TopK Transpose Unsqueeze VariadicSplit Xor
""".split()  # noqa: SIM905 - a list literal would take a line for each name
)
"""Types of OpenVINO layers that compute their outputs from their inputs alone. Releases write them in other cases.

Layers are left out that OpenVINO 2026.4 computes from other memory on some inputs, which keeps a state between
inferences: GatherND reads beyond its input where an index is out of range, and layers of regions, such as
ExperimentalDetectronTopKROIs, leave rows of their output as they were. Indices of the layers listed are checked by
OpenVINO, or read as zero.
"""

_IR_NAMES = {name.lower() for name in IR_OPERATORS}
_IR_LARGEST = 16 << 20
"""Parsed, a file of so many bytes may take 0.8 GB; an IR holds no weights and has a few hundred kilobytes."""

_OPSET = re.compile(r"opset[1-9][0-9]?")
_MARKUP = re.compile(rb"<!(?!--)")
"""Document types, entities and CDATA; OpenVINO writes none, and parsers treat them differently."""

_MOST_FIELDS = 1_000_000
"""Fields of one ONNX file; the export of a large backbone has some ten thousand, and reading a million takes a second."""

_DOMAINS = {"", "ai.onnx"}
_TEXT, _NUMBER, _FLOAT = (LENGTHS,), (VARINT,), (FIXED32,)
_FLOATS, _NUMBERS, _DOUBLES = (
    (FIXED32, LENGTHS),
    (VARINT, LENGTHS),
    (FIXED64, LENGTHS),
)
_SINGLE: dict[str, dict[int, tuple[int, ...]]] = {
    "model": {
        1: _NUMBER,
        2: _TEXT,
        3: _TEXT,
        4: _TEXT,
        5: _NUMBER,
        6: _TEXT,
        7: _TEXT,
    },
    "graph": {2: _TEXT, 10: _TEXT},
    "node": {3: _TEXT, 4: _TEXT, 6: _TEXT, 7: _TEXT},
    "attribute": {
        1: _TEXT,
        2: _FLOAT,
        3: _NUMBER,
        4: _TEXT,
        5: _TEXT,
        13: _TEXT,
        20: _NUMBER,
    },
    "tensor": {2: _NUMBER, 8: _TEXT, 9: _TEXT, 12: _TEXT, 14: _NUMBER},
}
"""Fields that occur at most once, with their wire types. Parsers merge or replace repeated ones, each in its own way."""

_REPEATED: dict[str, dict[int, tuple[int, ...]]] = {
    "model": {8: _TEXT, 14: _TEXT},
    "graph": {1: _TEXT, 5: _TEXT, 11: _TEXT, 12: _TEXT, 13: _TEXT, 16: _TEXT},
    "node": {1: _TEXT, 2: _TEXT, 5: _TEXT, 9: _TEXT},
    "attribute": {7: _FLOATS, 8: _NUMBERS, 9: _TEXT, 10: _TEXT},
    "tensor": {
        1: _NUMBERS,
        4: _FLOATS,
        5: _NUMBERS,
        6: _TEXT,
        7: _NUMBERS,
        10: _DOUBLES,
        11: _NUMBERS,
        13: _TEXT,
        16: _TEXT,
    },
}
_LARGEST = {
    ("tensor", 2): 2**31 - 1,
    ("tensor", 14): 1,
    ("attribute", 20): 2**31 - 1,
}
"""Largest numbers of enumerations; parsers cut larger ones to 32 bits, or ignore them."""

_REASONS = {
    ("model", 20): "has graphs for training",
    ("model", 25): "has local functions",
    ("graph", 15): "has sparse tensors",
    ("attribute", 6): "has a node with a graph of its own",
    ("attribute", 11): "has a node with a graph of its own",
    ("attribute", 22): "has sparse tensors",
    ("attribute", 23): "has sparse tensors",
}
"""Fields of the ONNX format that are refused although they are known."""

_INPUT, _OPERATOR, _DOMAIN = 1, 4, 7
_DROPOUT_INPUTS = 2
"""A third input of Dropout may turn it on."""


def faults_of_onnx(content: bytes) -> Iterator[str]:
    """Yield one phrase per reason to refuse an ONNX file; none for a graph such as the export writes.

    >>> list(faults_of_onnx(bytes([0xCA, 0x01, 0x00])))
    ['has local functions']
    """
    # ONNX Runtime reads such a file in its own format, which is not checked here.
    if content[4:8] == b"ORTM":
        yield "has the mark of ONNX Runtime's own format"
        return
    try:
        yield from _faults(
            content, Field(0, LENGTHS, 0, 0, len(content)), "model", count()
        )
    except Spoilt as error:
        yield f"is no valid ONNX graph ({error})"


def faults_of_ir(content: bytes) -> Iterator[str]:
    """Yield one phrase per reason to refuse the XML file of an OpenVINO IR; none for one that OpenVINO converted.

    >>> list(faults_of_ir(b'<net><layers><layer name="n" type="ReadValue" version="opset6"/></layers></net>'))
    ["has layer 'n' of type ReadValue (opset6), which may keep a state, draw random numbers or run other code"]
    """
    if len(content) > _IR_LARGEST:
        yield f"has {len(content)} bytes; expected at most {_IR_LARGEST}"
    elif _MARKUP.search(content):
        yield "has a document type, an entity or CDATA, which no IR has"
    else:
        try:
            root = ET.fromstring(content.decode())  # noqa: S314 - no document type, hence no entities; size is bounded
            # As OpenVINO reads it, without namespaces.
            faults = list(faults_of_markup(content))
        except (ET.ParseError, ExpatError, UnicodeDecodeError) as error:
            yield f"is no valid OpenVINO IR ({error})"
        else:
            yield from faults
            yield from faults_of_elements(root)
            for layer in root.iter("layer"):
                yield from _faults_of_layer(layer)


def unlisted_layers(kinds: Iterable[str]) -> list[str]:
    """Return the types of layers that are not in `IR_OPERATORS`, sorted.

    >>> unlisted_layers(["ReLU", "GatherND", "ReadValue"])
    ['GatherND', 'ReadValue']
    """
    return sorted({kind for kind in kinds if kind.lower() not in _IR_NAMES})


def _faults(
    content: bytes, message: Field, kind: str, counter: Iterator[int]
) -> Iterator[str]:
    """Yield the faults of a message and of those within it; every kind of message here nests to a fixed depth."""
    single, repeated = _SINGLE[kind], _REPEATED[kind]
    seen = set[int]()
    for field in fields(content, message.body, message.end):
        if next(counter) >= _MOST_FIELDS:
            raise Spoilt(f"over {_MOST_FIELDS} fields")
        number = field.number
        if field.wire not in (single.get(number) or repeated.get(number) or ()):
            yield _REASONS.get(
                (kind, number),
                f"has an unknown field {number} (wire type {field.wire}) in a {kind}",
            )
            continue
        if number in single and number in seen:
            yield f"has field {number} of a {kind} twice"
        largest = _LARGEST.get((kind, number))
        if (
            largest is not None
            and read_varint(content, field.body, field.end)[0] > largest
        ):
            yield f"has too large a number in field {number} of a {kind}; expected at most {largest}"
        seen.add(number)
        inner = PARTS[kind].get(number)
        if inner == "node":
            yield from _faults_of_node(content, field)
        if inner is not None:
            yield from _faults(content, field, inner, counter)


def _faults_of_node(content: bytes, message: Field) -> Iterator[str]:
    texts = {_OPERATOR: "", _DOMAIN: ""}
    inputs = 0
    for field in fields(content, message.body, message.end):
        inputs += field.number == _INPUT
        if field.number in texts:
            texts[field.number] = content[field.body : field.end].decode(
                errors="replace"
            )
    operator, domain = texts[_OPERATOR][:60], texts[_DOMAIN][:60]
    if domain not in _DOMAINS:
        yield f"has operator {operator!r} of domain {domain!r}, which runs code that is not ONNX's own"
    elif operator not in ONNX_OPERATORS:
        yield f"has operator {operator!r}, which may keep a state, draw random numbers or run other code"
    elif operator == "Dropout" and inputs > _DROPOUT_INPUTS:
        yield "has operator 'Dropout' with an input that turns it on: it draws random numbers"


def _faults_of_layer(layer: ET.Element) -> Iterator[str]:
    kind, version, name = (
        layer.get(key, "")[:60] for key in ("type", "version", "name")
    )
    if unlisted_layers([kind]) or not _OPSET.fullmatch(version):
        yield (
            f"has layer {name!r} of type {kind} ({version}), which may keep a state, draw random numbers or run other code"
        )
