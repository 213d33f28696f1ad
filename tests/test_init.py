"""The package's public names."""

import pytest

import anomedge
from anomedge import Inspector


def test_the_package_hands_on_the_inspector():
    assert anomedge.Inspector is Inspector
    with pytest.raises(AttributeError):
        _ = anomedge.nothing
