import warnings

import pytest
import torch
from torch import nn

from anomedge.errors import ExportError
from anomedge.pipelines.trace_errors import traced


@pytest.mark.parametrize("error", [RuntimeError, AssertionError, TypeError])
def test_every_error_of_the_tracer_is_an_export_error(error):
    module = nn.Linear(1, 1)
    with (
        pytest.raises(
            ExportError,
            match=r"torch could not trace the backbone: .*depends on data.*; use another backbone or layer$",
        ) as caught,
        traced(module, "the backbone"),
    ):
        raise error("depends\n   on data")
    assert isinstance(caught.value.__cause__, error)


def test_a_long_reason_is_cut():
    with (
        pytest.raises(ExportError) as caught,
        traced(nn.Identity(), action="export", advice="try again"),
    ):
        raise ValueError("x" * 10_000)
    assert str(caught.value) == (
        f"torch could not export this detector: {'x' * 600}; try again"
    )


def test_tracing_is_silent_and_restores_the_evaluation_mode():
    module = nn.Linear(1, 1)
    with traced(module):
        warnings.warn("the tracer says something", stacklevel=1)
        assert not torch.is_grad_enabled()
        module.train()
    assert not module.training
    assert torch.is_grad_enabled()


class OfExporter(Exception):
    __module__ = "torch.onnx._internal"


def test_the_exporters_first_cause_names_the_operator():
    with (
        pytest.raises(
            ExportError, match=r"this detector: no function for aten\.x; use"
        ),
        traced(nn.Identity()),
    ):
        try:
            raise ValueError("no function for aten.x")
        except ValueError as error:
            raise OfExporter("see the documentation") from error
