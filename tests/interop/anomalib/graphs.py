"""ONNX graphs with the parts of anomalib's that an import reads; they are never run."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tests.interop.anomalib import builder

NETWORK = "feature_extractor.feature_extractor."


def folded(detector):
    """Path, weight and bias of each convolution with its BatchNorm in it."""
    network = builder.network(builder.LAYERS[detector])
    path, weight = "", None
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            path, weight = name, module.weight
        elif isinstance(module, nn.BatchNorm2d):
            gain = module.weight / (module.running_var + module.eps).sqrt()
            bias = module.bias - module.running_mean * gain
            scaled = weight * gain[:, None, None, None]
            yield path, scaled.detach(), bias.detach()


class Graph:
    """Nodes and constants, gathered in order."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, values):
        array = np.ascontiguousarray(values)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind, *inputs, name="", **attributes):
        output = f"value{len(self.nodes)}"
        made = helper.make_node(kind, inputs, [output], name=name, **attributes)
        self.nodes.append(made)
        return output

    def ended(self, value, output, reach):
        """The normalisation of an output."""
        threshold = self.constant(f"{output}/threshold", np.float32(5))
        value = self.node("Sub", value, threshold)
        divisor = self.constant(f"{output}/reach", np.float32(reach))
        value = self.node("Div", value, divisor)
        self.nodes[-1].output[0] = output

    def saved(self, path, size):
        image = helper.make_tensor_value_info(
            "input", TensorProto.FLOAT, ["batch", 3, *size]
        )
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in ("pred_score", "anomaly_map")
        ]
        made = helper.make_graph(
            self.nodes, "graph", [image], outputs, self.constants
        )
        onnx.save(helper.make_model(made), path)
        return path


def write(detector, path, named, size=builder.SIZE, before=(), resize=None):
    """Write a graph; with `named`, weights have their names, else nodes have."""
    graph = Graph()
    value = "input"
    if resize is not None:
        sizes = graph.node("Concat", "n", graph.constant("to", resize), axis=0)
        value = graph.node("Reshape", value, "shape")
        value = graph.node("Resize", value, "", "", sizes, mode="linear")
    for kind, *others in before:
        value = graph.node(kind, value, *others)
    for kind, values in (("Sub", builder.MEAN), ("Div", builder.STD)):
        column = np.array(values, np.float32).reshape(3, 1, 1)
        value = graph.node(kind, value, graph.constant(kind, column))
    ends = _network(graph, detector, value, named)
    _statistics(graph, detector, ends, named)
    graph.ended(value, "pred_score", 3.0)
    graph.ended(value, "anomaly_map", 6.5)
    return graph.saved(path, size)


def _network(graph, detector, value, named):
    """The convolutions, one after another; the last value of each layer."""
    ends = {}
    for path, weight, bias in folded(detector):
        prefix = f"model.{NETWORK}{path}" if named else f"folded.{path}"
        inputs = [
            graph.constant(f"{prefix}.weight", weight.numpy()),
            graph.constant(f"{prefix}.weight_bias", bias.numpy()),
        ]
        scopes, scope = [], ""
        for part in path.split("."):
            scope = f"{scope}.{part}" if part.isdigit() else part
            scopes.append(scope)
        name = "/".join(
            ["/model/feature_extractor/feature_extractor", *scopes, "Conv"]
        )
        value = graph.node("Conv", value, *inputs, name="" if named else name)
        ends[path.split(".")[0]] = value
    return [ends[layer] for layer in builder.LAYERS[detector]]


def _statistics(graph, detector, ends, named):
    state = builder.statistics(detector)
    if detector == "patchcore":
        graph.constant("model.memory_bank", state["memory_bank"].numpy())
        for end in ends:
            graph.node("AveragePool", end, kernel_shape=[3, 3])
        count = graph.constant("count", np.array([9]))
        graph.node("TopK", ends[0], count)
        return
    prefix = "model." if named else "onnx::"
    for name in ("gaussian.mean", "gaussian.inv_covariance"):
        graph.constant(f"{prefix}{name}", state[name].numpy())
    coarse = graph.node("Resize", ends[1])
    whole = graph.node("Concat", ends[0], coarse, axis=1)
    graph.node("Gather", whole, graph.constant("drawn", state["idx"].numpy()))
