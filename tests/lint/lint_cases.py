"""Small graphs for the lint: one planted fault each, and neighbours of them that nothing is wrong with.

The node with the fault is always called `planted`.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF, INT64, UINT8, BOOL = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.INT64,
    TensorProto.UINT8,
    TensorProto.BOOL,
)


def model(nodes, inputs, outputs, constants=None, opset=17, domains=()):
    """A model; inputs and outputs are {name: (type, shape)}, constants {name: array}."""
    graph = helper.make_graph(
        nodes,
        "case",
        [
            helper.make_tensor_value_info(name, *value)
            for name, value in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, *value)
            for name, value in outputs.items()
        ],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in (constants or {}).items()
        ],
    )
    opsets = [
        helper.make_opsetid("", opset),
        *(helper.make_opsetid(domain, 1) for domain in domains),
    ]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def node(kind, inputs, outputs, **attributes):
    """The planted node."""
    return helper.make_node(kind, inputs, outputs, name="planted", **attributes)


def single(
    kind,
    shape=("B", 3, 8, 8),
    *,
    given=FLOAT,
    made=FLOAT,
    more=(),
    constants=None,
    opset=17,
    rank=None,
    **attrs,
):
    """One node from x to y; `more` are further inputs, which `constants` or nobody gives."""
    made_shape = [None] * (len(shape) if rank is None else rank)
    planted = node(kind, ["x", *more], ["y"], **attrs)
    return model(
        [planted],
        {"x": (given, shape)},
        {"y": (made, made_shape)},
        constants,
        opset,
    )


def resize(opset=18, scale=0.5, **attrs):
    """A resize of the last two axes."""
    scales = np.array([1, 1, scale, scale], np.float32)
    return single(
        "Resize", more=("", "s"), constants={"s": scales}, opset=opset, **attrs
    )


def top_k(k, shape=("B", 5000), constant=True, **attrs):
    """The k largest of the last axis."""
    planted = node("TopK", ["x", "k"], ["y", "i"], **attrs)
    inputs = {"x": (FLOAT, shape)} | ({} if constant else {"k": (INT64, [1])})
    outputs = {
        "y": (FLOAT, [None] * len(shape)),
        "i": (INT64, [None] * len(shape)),
    }
    return model(
        [planted], inputs, outputs, {"k": np.array([k])} if constant else {}
    )


def quantized(zero_point, planted="QuantizeLinear", kind=np.int8):
    """Quantised and back; the planted node has the zero point, its neighbour the same one."""
    names = {"QuantizeLinear": "quantize", "DequantizeLinear": "dequantize"} | {
        planted: "planted"
    }
    nodes = [
        helper.make_node(
            "QuantizeLinear",
            ["x", "s", "z"],
            ["q"],
            name=names["QuantizeLinear"],
        ),
        helper.make_node(
            "DequantizeLinear",
            ["q", "s", "z"],
            ["y"],
            name=names["DequantizeLinear"],
        ),
    ]
    constants = {"s": np.float32(0.1), "z": kind(zero_point)}
    shape = ["B", 3, 8, 8]
    return model(nodes, {"x": (FLOAT, shape)}, {"y": (FLOAT, shape)}, constants)


def loop(trips=3):
    """A loop that doubles x."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["c2"], name="keep_going"),
            helper.make_node("Add", ["v", "v"], ["v2"], name="double"),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("c", BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, [2, 3]),
        ],
        [
            helper.make_tensor_value_info("c2", BOOL, []),
            helper.make_tensor_value_info("v2", FLOAT, [2, 3]),
        ],
    )
    planted = node("Loop", ["n", "go", "x"], ["y"], body=body)
    constants = {"n": np.int64(trips), "go": np.bool_(True)}
    return model(
        [planted], {"x": (FLOAT, [2, 3])}, {"y": (FLOAT, [2, 3])}, constants
    )


def branch():
    """An If on whether the sum of x is positive."""

    def side(kind):
        return helper.make_graph(
            [helper.make_node(kind, ["x"], [f"side_{kind}"], name=kind)],
            kind,
            [],
            [helper.make_tensor_value_info(f"side_{kind}", FLOAT, [2, 3])],
        )

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["t"], keepdims=0),
        helper.make_node("Greater", ["t", "zero"], ["go"]),
        node(
            "If",
            ["go"],
            ["y"],
            then_branch=side("Relu"),
            else_branch=side("Neg"),
        ),
    ]
    return model(
        nodes,
        {"x": (FLOAT, [2, 3])},
        {"y": (FLOAT, [2, 3])},
        {"zero": np.float32(0)},
    )


def layer_normalization(outputs=1):
    """LayerNormalization, with the statistics it may also give."""
    names = ["y", "mean", "deviation"][:outputs]
    planted = node("LayerNormalization", ["x", "w", "b"], names, axis=-1)
    values = {"y": (FLOAT, ["B", 4, 8])} | {
        name: (FLOAT, ["B", 4, 1]) for name in names[1:]
    }
    constants = {"w": np.ones(8, np.float32), "b": np.zeros(8, np.float32)}
    return model([planted], {"x": (FLOAT, ["B", 4, 8])}, values, constants)


def microsoft():
    """An operator of ONNX Runtime's own."""
    planted = node(
        "QLinearSigmoid",
        ["x", "s", "z", "s", "z"],
        ["y"],
        domain="com.microsoft",
    )
    constants = {"s": np.float32(0.1), "z": np.uint8(0)}
    shape = [2, 3]
    return model(
        [planted], {"x": (UINT8, shape)}, {"y": (UINT8, shape)}, constants, domains=("com.microsoft",)
    )  # fmt: skip


def inverse():
    """An operator of ONNX Runtime's own that nobody else has."""
    planted = node("Inverse", ["x"], ["y"], domain="com.microsoft")
    return model(
        [planted],
        {"x": (FLOAT, [3, 3])},
        {"y": (FLOAT, [3, 3])},
        domains=("com.microsoft",),
    )


def qlinear_conv():
    """A convolution in ONNX's quantised operator, not in Q and DQ around a plain one."""
    planted = node(
        "QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z"], ["y"]
    )
    constants = {
        "s": np.float32(0.1),
        "z": np.uint8(0),
        "w": np.ones((4, 3, 1, 1), np.uint8),
    }
    return model(
        [planted],
        {"x": (UINT8, [1, 3, 4, 4])},
        {"y": (UINT8, [1, 4, 4, 4])},
        constants,
    )


def dynamic_quantize():
    """DynamicQuantizeLinear."""
    planted = node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])
    return model(
        [planted],
        {"x": (FLOAT, [2, 3])},
        {"y": (UINT8, [2, 3]), "s": (FLOAT, []), "z": (UINT8, [])},
    )


def volume(rows=46341, batch="B"):
    """A product whose value has rows x rows elements for each frame; 46341 squared is just above 2^31."""
    nodes = [
        helper.make_node("Unsqueeze", ["x", "last"], ["column"], name="column"),
        helper.make_node("Unsqueeze", ["x", "middle"], ["row"], name="row"),
        node("MatMul", ["column", "row"], ["big"]),
        helper.make_node(
            "ReduceMax", ["big"], ["y"], name="largest", axes=[1, 2], keepdims=0
        ),
    ]
    constants = {"last": np.array([2]), "middle": np.array([1])}
    return model(
        nodes, {"x": (FLOAT, [batch, rows])}, {"y": (FLOAT, [batch])}, constants
    )


def reduce_axes(constant=True, computed=False):
    """ReduceSum over axes that are a constant, computed from constants, or given at run time."""
    inputs = {"x": (FLOAT, ["B", 4, 8])} | (
        {} if constant or computed else {"axes": (INT64, [1])}
    )
    nodes = [node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)]
    constants = {"axes": np.array([2])} if constant else {}
    if computed:
        nodes.insert(
            0, helper.make_node("Add", ["one", "one"], ["axes"], name="sum")
        )
        constants = {"one": np.array([1])}
    return model(nodes, inputs, {"y": (FLOAT, [None, None, None])}, constants)


def max_pool(indices=False):
    """MaxPool, with the places of the maxima where asked for."""
    outputs = ["y", "i"] if indices else ["y"]
    planted = node("MaxPool", ["x"], outputs, kernel_shape=[2, 2])
    values = {"y": (FLOAT, ["B", 3, 7, 7])} | (
        {"i": (INT64, ["B", 3, 7, 7])} if indices else {}
    )
    return model([planted], {"x": (FLOAT, ["B", 3, 8, 8])}, values)


def scatter(reduction="none"):
    """ScatterND."""
    planted = node("ScatterND", ["x", "i", "u"], ["y"], reduction=reduction)
    constants = {"i": np.array([[0], [2]]), "u": np.ones((2, 4), np.float32)}
    return model(
        [planted], {"x": (FLOAT, [3, 4])}, {"y": (FLOAT, [3, 4])}, constants
    )


def gather_frames():
    """Columns of uint8 frames gathered before they are cast."""
    nodes = [
        node("Gather", ["x", "i"], ["columns"], axis=2),
        helper.make_node("Cast", ["columns"], ["y"], to=FLOAT, name="cast"),
    ]
    shape = ["B", 8, 4, 3]
    return model(
        nodes,
        {"x": (UINT8, ["B", 8, 16, 3])},
        {"y": (FLOAT, shape)},
        {"i": np.arange(0, 16, 4)},
    )


def cast_then_gather():
    """The same in the order that every target takes."""
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=FLOAT, name="cast"),
        node("Gather", ["f", "i"], ["y"], axis=2),
    ]
    return model(
        nodes,
        {"x": (UINT8, ["B", 8, 16, 3])},
        {"y": (FLOAT, ["B", 8, 4, 3])},
        {"i": np.arange(0, 16, 4)},
    )


def arg_max(rank, kind="ArgMax"):
    """ArgMax of the last of so many axes."""
    shape = [16] if rank == 1 else ["B", 16]
    return single(kind, shape, made=INT64, rank=rank, axis=-1)


def einsum(equation, shape=("B", 3, 4)):
    """A product of x with a constant."""
    planted = node("Einsum", ["x", "w"], ["y"], equation=equation)
    return model(
        [planted], {"x": (FLOAT, shape)}, {"y": (FLOAT, [None] * 3)}, {"w": np.ones((4, 5), np.float32)}
    )  # fmt: skip


def non_zero():
    """NonZero: nobody knows how long its value is before it ran."""
    return single("NonZero", ["B", 4], made=INT64)


def nms():
    """Non-maximum suppression."""
    planted = node("NonMaxSuppression", ["x", "scores", "k"], ["y"])
    inputs = {"x": (FLOAT, [1, 6, 4]), "scores": (FLOAT, [1, 1, 6])}
    return model(
        [planted], inputs, {"y": (INT64, [None, 3])}, {"k": np.array([3])}
    )


def double():
    """float64."""
    return single(
        "Add",
        ["B", 4],
        given=TensorProto.DOUBLE,
        made=TensorProto.DOUBLE,
        more=("x",),
    )


def wide_integers():
    """int64 constants that int32 cannot hold."""
    planted = node("Add", ["x", "c"], ["y"])
    return model(
        [planted],
        {"x": (INT64, ["B", 1])},
        {"y": (INT64, ["B", 1])},
        {"c": np.array([1 << 40])},
    )


def local_function():
    """A function that the model brings along."""
    body = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    case = model(
        [node("Twice", ["x"], ["y"], domain="own")],
        {"x": (FLOAT, [2])},
        {"y": (FLOAT, [2])},
        domains=("own",),
    )
    case.functions.append(body)
    return case


CASES = {
    "relu": single("Relu"),
    "resize plain": resize(mode="linear"),
    "resize plain 17": resize(17, mode="linear"),
    "resize antialias": resize(mode="linear", antialias=1),
    "resize cubic": resize(mode="cubic"),
    "resize crop": resize(mode="linear", keep_aspect_ratio_policy="not_larger"),
    "top_k 4000": top_k(4000),
    "top_k 3839": top_k(3839),
    "top_k 3840": top_k(3840),
    "top_k 9": top_k(9),
    "top_k unsorted": top_k(9, sorted=0),
    "top_k given": top_k(9, constant=False),
    "top_k rank 1": top_k(9, [5000]),
    "quantize 0": quantized(0),
    "quantize 3": quantized(3),
    "dequantize 3": quantized(3, "DequantizeLinear"),
    "quantize uint8 128": quantized(128, kind=np.uint8),
    "quantize uint8 0": quantized(0, kind=np.uint8),
    "loop": loop(),
    "branch": branch(),
    "non_zero": non_zero(),
    "nms": nms(),
    "arg_max 1": arg_max(1),
    "arg_min 1": arg_max(1, "ArgMin"),
    "arg_max 2": arg_max(2),
    "gather uint8": gather_frames(),
    "gather cast": cast_then_gather(),
    "volume": volume(),
    "volume small": volume(100),
    "layer normalization": layer_normalization(),
    "layer normalization 3": layer_normalization(3),
    "opset 23": single("Relu", opset=23),
    "opset 25": single("Relu", opset=25),
    "opset 20": single("Relu", opset=20),
    "double": double(),
    "wide integers": wide_integers(),
    "microsoft": microsoft(),
    "inverse": inverse(),
    "qlinear_conv": qlinear_conv(),
    "dynamic quantize": dynamic_quantize(),
    "reduce axes": reduce_axes(),
    "reduce axes given": reduce_axes(constant=False),
    "reduce axes computed": reduce_axes(constant=False, computed=True),
    "max_pool": max_pool(),
    "max_pool indices": max_pool(indices=True),
    "scatter": scatter(),
    "scatter add": scatter("add"),
    "einsum": einsum("bij,jk->bik"),
    "einsum ellipsis": einsum("...ij,jk->...ik"),
    "einsum diagonal": einsum("bii,ik->bik", ("B", 4, 4)),
    "det": single("Det", ["B", 3, 3], rank=1),
    "clip int64": single("Clip", ["B", 4], given=INT64, made=INT64, more=("l",), constants={"l": np.int64(0)}),
    "sqrt double": single("Sqrt", ["B", 4], given=TensorProto.DOUBLE, made=TensorProto.DOUBLE),
    "add uint8": single("Add", ["B", 4], given=UINT8, made=UINT8, more=("x",)),
    "relu int32": single("Relu", ["B", 4], given=TensorProto.INT32, made=TensorProto.INT32),
    "matmul int32": single("MatMul", ["B", 4, 4], given=TensorProto.INT32, made=TensorProto.INT32, more=("x",)),
    "add int16": single("Add", ["B", 4], given=TensorProto.INT16, made=TensorProto.INT16, more=("x",)),
    "relu half": single("Relu", given=HALF, made=HALF),
    "softmax bf16": single("Softmax", given=TensorProto.BFLOAT16, made=TensorProto.BFLOAT16),
    "local function": local_function(),
}  # fmt: skip


def fault_node(case):
    """The planted node itself."""
    return next(n for n in case.graph.node if n.name == "planted")


def save(case, path):
    """Write a case; returns its path."""
    onnx.save(case, path)
    return path
