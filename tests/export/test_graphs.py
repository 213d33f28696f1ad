import pytest
from onnx import helper

from anomedge.errors import ExportError
from anomedge.export.graphs import assert_opset, assert_shared_operators
from tests.export.passes.graphs import model_of


@pytest.mark.parametrize("op", ["Loop", "If", "NonZero", "Einsum", "Resize"])
def test_operators_that_runtimes_do_not_share_are_refused(op):
    with pytest.raises(ExportError, match=op):
        assert_shared_operators(
            model_of(helper.make_node(op, ["frames"], ["y"]), opset=17)
        )


def test_foreign_domains_and_other_opsets_are_refused():
    with pytest.raises(ExportError, match=r"com\.microsoft"):
        assert_shared_operators(
            model_of(
                helper.make_node(
                    "Gelu", ["frames"], ["y"], domain="com.microsoft"
                ),
                opset=17,
            )
        )
    with pytest.raises(ExportError, match="expected opset 17"):
        assert_opset(
            model_of(helper.make_node("Relu", ["frames"], ["y"]), opset=18), 17
        )
