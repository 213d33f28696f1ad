"""Mutations of graphs with recomputed hashes, which reach the vendors' parsers."""

import re
from collections.abc import Callable
from random import Random
from typing import Any

import onnx
from _copies import Copy

__all__ = ["GRAPHS"]

_NUMBERS = (
    "0",
    "-1",
    "1",
    "7",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "18446744073709551616",
    "nan",
    "",
    "x",
)


def onnx_bytes(copy: Copy, rng: Random) -> None:
    """Damage the bytes of a graph."""
    name = rng.choice(["model.onnx", "model.onnx", "stages.onnx"])
    copy.write(name, damaged(copy.read(name), rng))
    copy.sign()


def ir_bytes(copy: Copy, rng: Random) -> None:
    """Damage the bytes of OpenVINO's two files."""
    name = rng.choice(
        ["openvino/model.xml", "openvino/model.xml", "openvino/model.bin"]
    )
    copy.write(name, damaged(copy.read(name), rng))
    copy.sign()


def damaged(data: bytes, rng: Random) -> bytes:
    """Flip, cut, repeat, blank or move bytes; more often near the start, where the structure is."""
    changed = bytearray(data)
    start = rng.randrange(
        min(len(changed), rng.choice([64, 4096, len(changed)]))
    )
    length = rng.choice([1, 8, 100, 5000])
    kind = rng.randrange(7)
    if kind in (0, 1):
        for _ in range(rng.choice([1, 4, 64])):
            changed[rng.randrange(start, len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del changed[start:]
    elif kind == 3:
        del changed[start : start + length]
    elif kind == 4:
        changed[start : start + length] = bytes(
            len(changed[start : start + length])
        )
    elif kind == 5:
        changed[start:start] = changed[start : start + length] * rng.choice(
            [1, 20]
        )
    else:
        changed[start : start + length] = rng.randbytes(length)
    return bytes(changed)


def onnx_structure(copy: Copy, rng: Random) -> None:
    """Write a well-formed file with a wrong graph."""
    name = rng.choice(["model.onnx", "model.onnx", "stages.onnx"])
    model = onnx.load_from_string(copy.read(name))
    for _ in range(rng.choice([1, 1, 3])):
        rng.choice(_EDITS)(model, copy, rng)
    copy.write(name, model.SerializeToString())
    copy.sign()


def _external(model: Any, copy: Copy, rng: Random) -> None:
    """Move weights to a file outside the bundle."""
    tensor = rng.choice(list(model.graph.initializer))
    wide = [
        t
        for t in model.graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT and 0 < _count(t) <= 1000
    ]
    tensor = rng.choice(wide or [tensor])
    location = rng.choice([
        "../../secret.bin", "../secret.bin", str(copy.outside / "secret.bin"), "golden/../../../secret.bin", "/etc/hostname", "", ".",
        "manifest.json", "golden/score.npy", "/dev/zero", "file://" + str(copy.outside / "secret.bin"), "model.onnx", "./model.onnx",
    ])  # fmt: skip
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    values = {
        "location": location,
        "offset": rng.choice([0, 0, 4096, -1, 2**62]),
        "length": rng.choice([4 * _count(tensor), 0, 2**62]),
    }
    for key, value in values.items():
        tensor.external_data.add(key=key, value=str(value))


def _count(tensor: Any) -> int:
    total = 1
    for n in tensor.dims:
        total *= n
    return total


def _dims(model: Any, _: Copy, rng: Random) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    if tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(
            [0, -1, 1, 2**31, 2**40, 2**62]
        )
    else:
        tensor.dims.append(rng.choice([1, 2**40]))


def _type(model: Any, _: Copy, rng: Random) -> None:
    rng.choice(list(model.graph.initializer)).data_type = rng.choice(
        [0, 1, 2, 7, 8, 11, 16, 99]
    )


def _values(model: Any, _: Copy, rng: Random) -> None:
    """Change the numbers of a small integer tensor: sizes, axes, pads, shapes."""
    small = [
        t
        for t in model.graph.initializer
        if t.data_type == onnx.TensorProto.INT64 and t.raw_data
    ]
    if small:
        tensor = rng.choice(small)
        number = rng.choice([0, -1, 1, 2**20, 2**31, 2**40, 2**62, -(2**62)])
        tensor.raw_data = (
            number.to_bytes(8, "little", signed=True) + tensor.raw_data[8:]
        )


def _attribute(model: Any, _: Copy, rng: Random) -> None:
    attributes = [a for node in model.graph.node for a in node.attribute]
    attribute = rng.choice(attributes)
    number = rng.choice([0, -1, 1, 3, 2**31, 2**40, 2**62])
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = number
    else:
        attribute.i = number


def _rewire(model: Any, _: Copy, rng: Random) -> None:
    nodes = list(model.graph.node)
    node, other = rng.choice(nodes), rng.choice(nodes)
    if node.input and other.output:
        node.input[rng.randrange(len(node.input))] = rng.choice(
            [other.output[0], "", "frames", "nowhere"]
        )


def _remove(model: Any, _: Copy, rng: Random) -> None:
    part = rng.choice(
        [
            model.graph.node,
            model.graph.initializer,
            model.graph.input,
            model.graph.output,
        ]
    )
    if len(part):
        del part[rng.randrange(len(part))]


def _operator(model: Any, _: Copy, rng: Random) -> None:
    node = rng.choice(list(model.graph.node))
    node.op_type = rng.choice(
        [
            "Loop",
            "If",
            "Scan",
            "ConstantOfShape",
            "Resize",
            "Conv",
            "Gather",
            "Reshape",
            "Einsum",
            "Nothing",
            "StringNormalizer",
        ]
    )
    node.domain = rng.choice(["", "", "com.microsoft", "ai.onnx.ml", "own"])


def _interface(model: Any, _: Copy, rng: Random) -> None:
    """Change names, types and sizes of inputs and outputs."""
    value = rng.choice([*model.graph.input, *model.graph.output])
    kind = rng.randrange(3)
    if kind == 0:
        value.name = rng.choice(["", "x", "score", "frames", "é\0"])
    elif kind == 1:
        value.type.tensor_type.elem_type = rng.choice(
            [0, 1, 3, 7, 8, 10, 11, 16, 99]
        )
    elif value.type.tensor_type.shape.dim:
        dim = rng.choice(list(value.type.tensor_type.shape.dim))
        dim.dim_value = rng.choice([0, -1, 1, 5, 2**40])


def _renamed_output(model: Any, _: Copy, rng: Random) -> None:
    """Rename an output and its node's output: the graph loads, but violates the contract."""
    output = rng.choice(list(model.graph.output))
    old, new = output.name, rng.choice(["other", "Score", f"{output.name}_"])
    output.name = new
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]


def _scalar_output(model: Any, _: Copy, rng: Random) -> None:
    """Swap outputs: types agree, ranks differ."""
    inner = [name for node in model.graph.node for name in node.output if name]
    output = rng.choice(list(model.graph.output))
    model.graph.node.append(
        onnx.helper.make_node("Identity", [rng.choice(inner)], ["swapped"])
    )
    for node in model.graph.node:
        node.output[:] = [
            f"{name}_old" if name == output.name else name
            for name in node.output
        ]
        node.input[:] = [
            f"{name}_old" if name == output.name else name
            for name in node.input
        ]
    model.graph.node[-1].output[0] = output.name
    output.type.tensor_type.ClearField("shape")


_EDITS: tuple[Callable[[Any, Copy, Random], None], ...] = (
    _external, _external, _dims, _type, _values, _attribute, _rewire, _remove, _operator, _interface, _renamed_output, _scalar_output,
)  # fmt: skip


def ir_structure(copy: Copy, rng: Random) -> None:
    """Change numbers, types, names and references in OpenVINO's XML."""
    text = copy.read("openvino/model.xml").decode()
    for _ in range(rng.choice([1, 1, 3])):
        text = rng.choice(
            [_ir_number, _ir_number, _ir_word, _ir_entities, _ir_removed]
        )(text, rng)
    copy.write("openvino/model.xml", text.encode())
    copy.sign()


def _ir_number(text: str, rng: Random) -> str:
    found = rng.choice(list(re.finditer(r"(?<=[\"> ,])-?\d+(?=[\"< ,])", text)))
    return text[: found.start()] + rng.choice(_NUMBERS) + text[found.end() :]


def _ir_word(text: str, rng: Random) -> str:
    found = rng.choice(
        list(re.finditer(r'(?<=")[A-Za-z][A-Za-z0-9_]*(?=")', text))
    )
    others = [
        match.group()
        for match in re.finditer(r'(?<=")[A-Za-z][A-Za-z0-9_]*(?=")', text)
    ]
    return (
        text[: found.start()]
        + rng.choice(
            [rng.choice(others), "", "x", "f64", "string", "TensorIterator"]
        )
        + text[found.end() :]
    )


def _ir_entities(text: str, rng: Random) -> str:
    """Add XML entities that read a file or expand."""
    document = rng.choice([
        '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa">' + "".join(f'<!ENTITY x{i} "{"&a;" * 10}">' for i in range(20)) + "]>",
    ])  # fmt: skip
    return text.replace("<net", f"{document}\n<net", 1).replace(
        'name="', 'name="&x;', rng.choice([0, 1])
    )


def _ir_removed(text: str, rng: Random) -> str:
    lines = text.splitlines(keepends=True)
    start = rng.randrange(len(lines))
    del lines[start : start + rng.choice([1, 5, 50])]
    return "".join(lines)


GRAPHS: dict[str, Callable[[Copy, Random], None]] = {
    "signed: ONNX bytes": onnx_bytes,
    "signed: ONNX structure": onnx_structure,
    "signed: IR bytes": ir_bytes,
    "signed: IR structure": ir_structure,
}
"""Kinds of mutation that get past the integrity check, in the graphs."""
