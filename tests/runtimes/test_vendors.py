"""Packages of vendors: whether they are installed, and their errors."""

import pytest

from anomedge import runtimes
from anomedge.errors import InputError, RuntimeFailure, RuntimeMissing
from anomedge.runtimes import vendors
from anomedge.runtimes.vendors import is_installed, translated_errors


def test_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr(vendors.importlib.util, "find_spec", lambda name: None)
    for short, extra in (("trt", "tensorrt"), ("rtx", "rtx")):
        with pytest.raises(
            RuntimeMissing, match=rf"pip install '\.\[{extra}\]'"
        ):
            runtimes.get(short)


def test_a_package_is_found_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "loud_vendor.py").write_text(
        "raise ImportError('libvendor.so')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert is_installed("loud_vendor")
    assert not is_installed("loud_vendor.inner")
    assert not is_installed("no_such_vendor")
    assert not is_installed("no_such_vendor.inner")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("two\n  lines"), "two lines"),
        (KeyError(), "KeyError"),
        (RuntimeError("x" * 9000), "x" * 600),
        (ImportError("libx.so"), "libx.so"),
        (ImportError(), "it does not load beside numpy"),
    ],
)
def test_errors_of_a_vendor_become_one_line_with_their_cause(error, text):
    with (
        pytest.raises(RuntimeFailure) as caught,
        translated_errors("ort", "open", "g.onnx"),
    ):
        raise error
    message = str(caught.value)
    assert message.startswith(f"ort could not open g.onnx: {text}")
    assert "\n" not in message
    assert len(message) < 700
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [InputError("ours"), MemoryError(), KeyboardInterrupt()]
)
def test_our_own_errors_and_a_full_memory_pass(error):
    with (
        pytest.raises(type(error)) as caught,
        translated_errors("ort", "run", "g.onnx"),
    ):
        raise error
    assert caught.value is error
