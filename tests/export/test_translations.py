"""The package's operators of torch in graphs."""

import numpy as np
import onnx
import torch
from onnx import TensorProto
from torch import nn

from anomedge import runtimes
from anomedge.components.quantised import dequantised, quantised
from anomedge.export.simplify import simplify
from anomedge.export.translations import TRANSLATIONS
from tests.conftest import RUNTIMES


class Product(nn.Module):
    """A product of integers with constant weights."""

    def __init__(self) -> None:
        super().__init__()
        integers = torch.arange(-60, 60, dtype=torch.int8).reshape(40, 3)
        self.register_buffer("integers", integers)
        self.register_buffer("scales", torch.tensor([0.5, 1.0, 2.0]))
        self.register_buffer("step", torch.tensor(1 / 127))

    def forward(self, x):
        return dequantised(quantised(x, self.step), self.step) @ dequantised(
            self.integers, self.scales
        )


def test_integers_stay_integers_in_the_file(tmp_path):
    module, x = Product().eval(), torch.rand(2, 40) * 2 - 1
    written = torch.onnx.export(
        module,
        (x,),
        dynamo=True,
        opset_version=18,
        custom_translation_table=TRANSLATIONS,
        verbose=False,
        optimize=False,
    )
    simplify(written.model)
    proto = written.model_proto
    onnx.checker.check_model(proto, full_check=True)
    kinds = [node.op_type for node in proto.graph.node]
    assert sorted(kinds) == [
        "DequantizeLinear",
        "DequantizeLinear",
        "MatMul",
        "QuantizeLinear",
    ]
    stored = {t.name: t for t in proto.graph.initializer}
    assert stored["integers"].data_type == TensorProto.INT8
    assert len(stored["integers"].raw_data) == 120
    assert not any(
        t.data_type == TensorProto.FLOAT and np.prod(t.dims) > 3
        for t in stored.values()
    )
    name = proto.graph.input[0].name
    onnx.save(proto, tmp_path / "model.onnx")
    for runtime in RUNTIMES:
        with runtimes.open(tmp_path / "model.onnx", runtime=runtime) as session:
            (found,) = session.run({name: x.numpy()}).values()
        np.testing.assert_allclose(found, module(x).numpy(), rtol=1e-5)
