"""A vendor's package for a probe: absent, broken or present, each in one line."""

from types import SimpleNamespace

import pytest

from anomedge.doctor.base import Finding
from anomedge.doctor.vendor import imported, one_line


def test_a_package_that_is_not_there_is_not_loaded():
    vendor, finding = imported("no_such_package", "Vendor", pytest.fail)
    assert vendor is None
    assert finding == Finding("Vendor", "not installed", "absent")


def test_one_that_does_not_load_is_broken():
    def load():
        raise OSError("libx.so:\n  cannot open")

    vendor, finding = imported("numpy", "Vendor", load)
    assert vendor is None
    text = "installed but does not load: libx.so: cannot open"
    assert finding == Finding("Vendor", text, "broken")


def test_one_that_loads_states_its_release():
    loaded = SimpleNamespace(__version__="2026.4.1-22982-abc")
    vendor, finding = imported("numpy", "Vendor", lambda: loaded)
    assert vendor is loaded
    assert finding == Finding("Vendor", "2026.4.1, imports")


def test_an_error_without_a_message_has_its_type():
    assert one_line(RuntimeError()) == "RuntimeError"
    assert len(one_line(RuntimeError("x" * 1000))) == 300
