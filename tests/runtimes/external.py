"""Small graphs with values in a file beside them."""

import onnx
from onnx import TensorProto, helper, numpy_helper


def beside(folder, values, location="weights.bin"):
    """Write a graph that adds its constants to x, and their values one after another in a file; return the graph's path."""
    tensors, data, nodes, last = [], b"", [], "x"
    for name, array in values.items():
        tensor = numpy_helper.from_array(array, name)
        refer(tensor, location, len(data), len(tensor.raw_data))
        data += array.tobytes()
        tensors.append(tensor)
        nodes.append(helper.make_node("Add", [last, name], [f"{name}_sum"]))
        last = f"{name}_sum"
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        tensors,
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "weights.bin").write_bytes(data)
    return folder / "model.onnx"


def refer(tensor, location, offset=None, length=None):
    """Let a tensor refer to a part of a file; its own values go."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, "length": length}
    for key, value in entries.items():
        if value is not None:
            tensor.external_data.append(
                onnx.StringStringEntryProto(key=key, value=str(value))
            )
