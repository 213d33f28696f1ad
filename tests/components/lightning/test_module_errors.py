"""What `AnomalyModule` refuses, each in one line."""

import subprocess
import sys

import pytest

from anomedge.components.lightning.module import AnomalyModule
from anomedge.errors import InputError


def test_several_processes_are_refused():
    module = AnomalyModule()
    module._trainer = type(
        "Two", (), {"world_size": 2, "sanity_checking": False}
    )()
    with pytest.raises(
        InputError, match=r"got 2 processes; expected one.*devices=1"
    ):
        module.on_validation_epoch_start()


def test_what_a_subclass_must_write_is_named():
    with pytest.raises(
        NotImplementedError, match="AnomalyModule has no validation_step"
    ):
        AnomalyModule().predict_step({}, 0)
    with pytest.raises(
        NotImplementedError, match="AnomalyModule has no training_step"
    ):
        AnomalyModule().training_step({}, 0)
    with pytest.raises(
        InputError,
        match="got normalization='cdf'; expected None, 'none' or 'min_max'",
    ):
        AnomalyModule(normalization="cdf")


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["lightning", "torchmetrics"])
def test_without_the_extra_one_line_says_what_to_install(missing):
    program = f"""
import sys
sys.modules[{missing!r}] = None
from anomedge.errors import RuntimeMissing
try:
    import anomedge.components.lightning.module
except RuntimeMissing as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = result.stdout.splitlines()
    assert missing in line and "pip install '.[train]' in the clone" in line
