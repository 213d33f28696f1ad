"""A detector around a module: scaling, outputs, stages, networks."""

import pytest
import torch
from torch import nn

from anomedge.errors import InputError, ModelError
from anomedge.interop.module import ModuleConfig, ModulePipeline
from anomedge.pipelines import FitData, Options
from anomedge.pipelines.networks import network_inputs, network_of
from tests.interop.modules import SIZE, Returning, Tiny, scored

IMAGES = torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def around(module, **config) -> ModulePipeline:
    return ModulePipeline(ModuleConfig(size=SIZE, **config), module).eval()


def test_images_are_scaled_first():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    pipeline = around(
        Returning(lambda x, _: (x[:, 1, 0, 0], x[:, :1])), mean=mean, std=std
    )
    expected = (IMAGES[:, 1, 0, 0] - 0.4) / 0.3
    torch.testing.assert_close(pipeline(IMAGES).score, expected)


def test_without_scaling_images_are_the_same():
    seen = []
    pipeline = around(Returning(lambda x, grey: seen.append(x) or scored(grey)))
    pipeline.stages(IMAGES)
    assert seen[0] is IMAGES


def test_smaller_maps_are_upsampled_to_the_image():
    pipeline = around(Returning(lambda _, grey: scored(grey[:, :, ::4, ::4])))
    outputs = pipeline(IMAGES)
    assert outputs.anomaly_map.shape == (3, 1, *SIZE)
    assert outputs.score.shape == (3,)


def test_larger_maps_are_refused():
    pipeline = around(
        Returning(lambda _, grey: scored(grey.repeat(1, 1, 2, 1)))
    )
    with pytest.raises(ModelError, match="32x24 pixels for images of 16x24"):
        pipeline.stages(IMAGES)


def test_stages_are_outputs_of_submodules_in_order_of_computation():
    pipeline = around(
        Tiny(), recorded={"head": "head", "features/body": "body.1"}
    )
    stages = pipeline.stages(IMAGES)
    assert list(stages) == ["features/body", "head", "anomaly_map", "score"]
    body = pipeline.held.body
    expected = body[1](body[0](IMAGES))
    # The ReLU behind it does not change the recorded values.
    torch.testing.assert_close(stages["features/body"], expected)


@pytest.mark.parametrize(
    "config", [{"networks": ("no.such",)}, {"recorded": {"x": "bodi"}}]
)
def test_unknown_submodules_are_named(config):
    with pytest.raises(
        InputError, match=r"expected one such as: body, body\.0"
    ):
        around(Tiny(), **config)


@pytest.mark.parametrize(
    "config",
    [{"mean": (0.1, 0.2)}, {"std": (0.0, 1.0, 1.0)}, {"mean": float("nan")}],
)
def test_wrong_scaling_is_refused(config):
    with pytest.raises(InputError, match=r"mean|std"):
        ModuleConfig.checked(size=SIZE, **config)


def test_networks_are_replaced_by_path():
    pipeline = around(Tiny(), networks=("body.0",))
    assert pipeline.networks == ("module.body.0",)
    twin = pipeline.with_networks({"module.body.0": nn.Conv2d(3, 4, 1, 2)})
    assert twin.held.body[0].kernel_size == (1, 1)
    assert pipeline.held.body[0].kernel_size == (3, 3)
    assert twin.held.head is pipeline.held.head
    assert not torch.equal(twin(IMAGES).score, pipeline(IMAGES).score)


def test_inputs_and_tensors_of_networks():
    pipeline = around(Tiny(), networks=("head", "body"))
    inputs = network_inputs(pipeline, 2, SIZE)
    assert inputs["module.head"][0].shape == (2, 4, 8, 12)
    assert network_of(pipeline, "module.body.0.weight") == "module.body"
    assert network_of(pipeline, "module.header.weight") == ""


def test_a_module_is_not_fitted_here():
    with pytest.raises(InputError, match="fitted elsewhere"):
        ModulePipeline.fit(FitData([], size=SIZE), Options())


def test_a_file_cannot_name_a_module():
    config = ModuleConfig(size=SIZE)
    module = Tiny()
    assert ModulePipeline.build_networks(config, module) == {"module": module}
    with pytest.raises(ModelError, match="give it as backbone"):
        ModulePipeline.build_networks(config)
