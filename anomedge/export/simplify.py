"""Simplify the graph that torch writes: fold constants and fuse operators without changing any value.

`torch.onnx.export(optimize=True)` is not used: its rules for x + 0, x - 0, x * 1 and x / 1 compare with tolerances of
1e-8 and 1e-5, so a detector's `x - 3.7e-9`, `sqrt(x + 1e-9)` or `x * 1.000004` loses its constant. The same rules stand
here with exact comparisons, and onnxscript's own rules are used where they do not compare within a tolerance.
"""

from __future__ import annotations

from typing import Any

import onnx_ir.passes.common as passes
from onnxscript import optimizer
from onnxscript.rewriter import RewritePass, RewriteRule, RewriteRuleSet
from onnxscript.rewriter.rules import common

__all__ = ["simplify"]

_ROUNDS = 2
_KEPT_RULES = (
    "two_reshapes_matmul_reshape_rule", "one_reshape_matmul_reshape_rule",
    "cast_constant_of_shape_rule", "cast_constant_of_shape_without_value_rule",
    "collapse_slice_rule", "collapse_slice2_rule",
    "materialize_reshape_shape_rule",
    "min_min_rule", "max_max_rule", "min_max_rule", "max_min_rule",
    "successive_clip_relu_rule", "successive_relu_clip_rule", "successive_relu_rule", "successive_clip_rule",
    "cast_cast_rule", "no_op_cast_rule", "no_op_expand_rule", "flatten_to_reshape_rule", "reshape_reshape_rule",
    "slice_split_rule", "no_op_transpose_rule", "transpose_transpose_rule", "unsqueeze_unsqueeze_rule",
    "squeeze_reshape_1d_rule",
    "no_op_dynamic_scatter_nd_rule", "no_op_static_scatter_nd_rule",
    "normalize_pad_format_conv_rule", "normalize_pad_format_conv_integer_rule",
    "fuse_pad_into_conv_rule", "fuse_pad_into_conv_integer_rule",
    "fuse_batchnorm_into_conv_rule", "fuse_batchnorm_into_conv_transpose_rule", "fuse_batchnorm_into_gemm_rule",
    "remove_optional_bias_from_conv_rule", "remove_optional_bias_from_conv_transpose_rule",
    "remove_optional_bias_from_qlinear_conv_rule", "remove_optional_bias_from_gemm_rule",
)  # fmt: skip
"""onnxscript's own rules, in its order; rules that the installed release does not have are skipped."""


def simplify(model: Any) -> None:
    """Simplify a graph of onnx_ir in place.

    Ensures: only constants that are exactly zero or one are treated as zero or one.
    """
    rules = RewriteRuleSet([*_exact_identities(), *_rules_of_onnxscript()])
    passes.InlinePass()(model)
    for _ in range(_ROUNDS):
        optimizer.fold_constants(model, onnx_shape_inference=True)
        RewritePass(rules)(model)
        passes.RemoveUnusedNodesPass()(model)
        passes.RemoveUnusedFunctionsPass()(model)
        passes.RemoveUnusedOpsetsPass()(model)
    passes.LiftConstantsToInitializersPass(
        lift_all_constants=True, size_limit=0
    )(model)
    passes.LiftSubgraphInitializersToMainGraphPass()(model)
    passes.DeduplicateInitializersPass()(model)
    passes.CommonSubexpressionEliminationPass()(model)
    for name in ("OutputFixPass", "NameFixPass"):
        if hasattr(passes, name):
            getattr(passes, name)()(model)


def _rules_of_onnxscript() -> list[Any]:
    return [
        getattr(common, name) for name in _KEPT_RULES if hasattr(common, name)
    ]


def _exact_identities() -> list[Any]:
    """Return rules that remove x + 0, x - 0, x * 1 and x / 1 for exact scalar constants, and Dropout."""
    add, subtract = _exact_identity("Add", 0), _exact_identity("Sub", 0)
    multiply, divide = _exact_identity("Mul", 1), _exact_identity("Div", 1)
    dropouts = [common.dropout_zero_rule, common.dropout_inference_rule]
    return [*multiply.commute(), *add.commute(), subtract, divide, *dropouts]


def _exact_identity(operator: str, constant: int) -> RewriteRule:
    """Return the rule that removes an operator with a constant that does not change its first operand."""

    def pattern(op: Any, x: Any, number: Any) -> Any:
        return getattr(op, operator)(x, number)

    name = f"exact_{operator.lower()}_{constant}"
    return RewriteRule(pattern, _identity, _is(constant), name=name)


def _identity(op: Any, x: Any, **_: Any) -> Any:
    return op.Identity(x)


def _is(expected: int) -> Any:
    def condition(_context: Any, number: Any, **_: Any) -> bool:
        constant = number.const_value
        return (
            constant is not None
            and not constant.shape
            and bool(constant.numpy() == expected)
        )

    return condition
