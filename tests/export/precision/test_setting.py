"""Which tensors a precision stores otherwise: all large ones, or those of the statistics alone."""

import numpy as np
import pytest
from onnx import TensorProto

from anomedge.export.precision.setting import set_precision
from anomedge.export.tracing import graph_from_model
from anomedge.pipelines.model import load
from tests.conftest import FRAME


@pytest.mark.parametrize(
    ("precision", "data_type", "networks"),
    [
        ("fp32", None, False),
        ("fp16-storage", TensorProto.FLOAT16, True),
        ("int8-storage", TensorProto.UINT8, False),
    ],
)
def test_large_tensors_are_stored_in_the_type_of_the_precision(
    model_paths, precision, data_type, networks
):
    model = load(model_paths["padim"])
    graph, _ = graph_from_model(model, FRAME, None, 17)
    set_precision(graph, model, precision)
    small = [
        tensor.name
        for tensor in graph.graph.initializer
        if tensor.data_type == data_type and np.prod(tensor.dims) > 1000
    ]
    assert any("gaussian" in name for name in small) is (data_type is not None)
    if networks is False:
        assert not any("feature_extractor" in name for name in small)
