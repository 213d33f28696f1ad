"""The package of components: what its import brings along."""

import subprocess
import sys

import pytest

from anomedge import components


@pytest.mark.slow
def test_the_components_leave_the_extra_alone():
    program = "import sys, anomedge.components; print(*{'lightning', 'torchmetrics'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == ""


def test_a_name_that_no_component_has_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Anomaly'"):
        components.Anomaly  # noqa: B018


def test_the_lightning_module_is_found_on_first_access():
    from anomedge.components.lightning.module import AnomalyModule

    assert components.AnomalyModule is AnomalyModule
    assert "AnomalyModule" not in components.__all__
