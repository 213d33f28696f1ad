"""What `AnomalyModule` refuses, each in one line."""

import subprocess
import sys

import pytest
import torch

from anomedge.components.lightning.module import AnomalyModule
from anomedge.errors import InputError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"label": None},
            r"got an output of \['anomaly_maps', .*\]; expected label",
        ),
        (
            {"label": torch.tensor([0, 255])},
            "got label up to 255; expected 0 for normal and 1",
        ),
        (
            {"label": torch.tensor([0])},
            r"got pred_scores \(2,\) with label \(1,\)",
        ),
        (
            {"mask": torch.zeros(2, 3, 3)},
            r"got anomaly_maps \(2, 1, 4, 4\) with mask \(2, 3, 3\)",
        ),
        (
            {"anomaly_maps": torch.full((2, 1, 4, 4), torch.nan)},
            "got pred_scores that are not finite",
        ),
        (
            {"anomaly_maps": None},
            "pred_scores or anomaly_maps: return them from validation_step",
        ),
    ],
)
def test_wrong_outputs_are_one_line(change, message):
    output = {
        "label": torch.tensor([0, 1]),
        "anomaly_maps": torch.rand(2, 1, 4, 4),
        "mask": torch.zeros(2, 4, 4),
    }
    output = {
        key: value
        for key, value in (output | change).items()
        if value is not None
    }
    module = AnomalyModule()
    with pytest.raises(InputError, match=message) as caught:
        module._collect_outputs(
            module.image_metrics,
            module.pixel_metrics,
            [module.validation_step_end(output)],
        )
    assert "\n" not in str(caught.value)


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
    assert missing in line and line.endswith("pip install 'anomedge[train]'")


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
