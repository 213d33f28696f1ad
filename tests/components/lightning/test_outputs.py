"""Outputs of steps: scores, copies without a graph, and labels that are refused."""

import pytest
import torch

from anomedge.components.lightning.module import AnomalyModule
from anomedge.errors import InputError


def test_post_process_takes_the_largest_value_unless_scores_are_given():
    module, maps = AnomalyModule(), torch.tensor([[[1.0, 4.0]], [[3.0, 2.0]]])
    outputs = {"anomaly_maps": maps}
    module._post_process(outputs)
    assert outputs["pred_scores"].tolist() == [4.0, 3.0]
    given = {"anomaly_maps": maps, "pred_scores": torch.tensor([9.0, 8.0])}
    module._post_process(given)
    assert given["pred_scores"].tolist() == [9.0, 8.0]


def test_outputs_go_to_the_cpu_without_their_graph():
    weight, inner = (
        torch.ones(2, requires_grad=True),
        {"b": torch.ones(1, requires_grad=True)},
    )
    output = {
        "a": weight * 2,
        "nested": inner,
        "list": [weight * 3],
        "name": "x.png",
    }
    AnomalyModule()._outputs_to_cpu(output)
    assert not output["a"].requires_grad and not output["list"][0].requires_grad
    assert (
        not output["nested"]["b"].requires_grad and inner["b"].requires_grad
    ), "what lay in it is made anew"
    assert output["name"] == "x.png"


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
