"""Statistics are ordinary tensors without a gradient, in whatever mode and from whatever tensors they were made.

A law over every component that stores tensors: its state can be copied, loaded into, saved and fitted again.
"""

import contextlib
import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader

from anomedge import components
from anomedge.components import (
    AllInOneBlock,
    GaussianKDE,
    KCenterGreedy,
    MultiVariateGaussian,
    RunningMoments,
    SequenceINN,
)
from tests.components.test_laws import (
    CASES,
    Case,
    Distance,
    bank,
    fit_if,
    large_bank,
    observations,
    queries,
    samples,
    values,
)


class OpenDistance(Distance):
    """As `Distance`, of a Gaussian that takes its sizes from the data."""

    def __init__(self, fitted: bool) -> None:
        super().__init__(fitted=False)
        self.gaussian = MultiVariateGaussian()
        if fitted:
            self.gaussian.fit(observations())


def fill(module, data):
    module.bank.fill(data)


def update_moments(module, data):
    moments = RunningMoments(5, 12)
    moments.update(data.flatten(2)[:7])
    moments.update(data.flatten(2)[7:])
    module.gaussian.fit_moments(moments)


BY_NAME = {case.name: case for case in CASES}
GAUSSIAN = BY_NAME["gaussian"]

FITTED = [
    *(case for case in CASES if case.data),
    dataclasses.replace(
        GAUSSIAN, name="gaussian of open sizes", make=OpenDistance
    ),
    dataclasses.replace(
        GAUSSIAN, name="gaussian of moments", fit=update_moments
    ),
    dataclasses.replace(BY_NAME["memory bank"], data=bank, fit=fill),
    dataclasses.replace(
        BY_NAME["memory bank of levels"], data=large_bank, fit=fill
    ),
    Case(
        "kde at once",
        lambda fitted: fit_if(fitted, GaussianKDE()),
        queries,
        None,
        samples,
        lambda module, data: module.load_state_dict(
            GaussianKDE(data).state_dict()
        ),
    ),
]


def in_inference_mode(data):
    with torch.inference_mode():
        return data.clone()


def with_graph(data):
    return data.clone().requires_grad_() * 1


@dataclass(frozen=True)
class Way:
    """A mode to fit in, and a form of the data."""

    name: str
    mode: Callable[[], Any] = contextlib.nullcontext
    form: Callable[[torch.Tensor], torch.Tensor] = torch.clone


WAYS = [
    Way("inference mode", torch.inference_mode),
    Way("inference mode and tensors", torch.inference_mode, in_inference_mode),
    Way("inference tensors", form=in_inference_mode),
    Way("no_grad", torch.no_grad),
    Way(
        "leaf that requires a gradient",
        form=lambda data: data.clone().requires_grad_(),
    ),
    Way("part of a graph", form=with_graph),
    Way(
        "transposed view",
        form=lambda data: data.transpose(0, 1).contiguous().transpose(0, 1),
    ),
    Way(
        "every second row of another",
        form=lambda data: data.repeat_interleave(2, dim=0)[::2],
    ),
    Way("float64", form=lambda data: data.double()),
    Way(
        "float64 in inference mode",
        torch.inference_mode,
        lambda data: in_inference_mode(data).double(),
    ),
]

every_fit = pytest.mark.parametrize("case", FITTED, ids=lambda case: case.name)
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)


def is_plain(tensor):
    return not (
        tensor.is_inference()
        or tensor.requires_grad
        or tensor.grad_fn is not None
    )


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def can_be_used(module, fresh, tmp_path):
    """Copy, save, load and load into a module; its tensors are ordinary."""
    assert all(is_plain(buffer) for buffer in module.buffers())
    before = state(module)
    assert all(value.numpy().shape == value.shape for value in before.values())
    save_file(before, tmp_path / "state.safetensors")
    fresh.load_state_dict(load_file(tmp_path / "state.safetensors"))
    module.load_state_dict(fresh.state_dict())
    for other in (module, fresh, copy.deepcopy(module)):
        assert all(
            torch.equal(value, before[name])
            for name, value in other.state_dict().items()
        )
    return True


@every_fit
@every_way
def test_what_is_fitted_can_be_copied_loaded_saved_and_fitted_again(
    case, way, tmp_path
):
    module = case.make(False)
    with way.mode():
        case.fit(module, way.form(case.data()))
    assert can_be_used(module, case.make(False), tmp_path)
    first = state(module)
    case.fit(module, case.data())
    again = state(module)
    expected = state(case.make(True))
    for name, value in expected.items():
        torch.testing.assert_close(
            first[name].to(value), value, rtol=1e-4, atol=1e-4
        )
        assert torch.equal(again[name], value)


@every_fit
def test_a_fitted_component_passes_gradients_to_its_input(case):
    module = case.make(False)
    with torch.inference_mode():
        case.fit(module, case.data())
    x = case.inputs().requires_grad_()
    values(module(x))[0].sum().backward()
    assert x.grad.any()


# The parameters of a backbone and of torch's LayerNorm are as the mode makes them.
@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.name not in {"features", "norm of maps"}],
    ids=lambda case: case.name,
)
def test_what_is_made_in_inference_mode_is_ordinary(case, tmp_path):
    with torch.inference_mode():
        module = case.make(True)
    assert can_be_used(module, case.make(False), tmp_path)


@pytest.mark.parametrize("reflections", [0, 2])
def test_a_flow_made_in_inference_mode_learns_and_loads(reflections, tmp_path):
    def make():
        flow = SequenceINN(6)
        flow.append(
            AllInOneBlock,
            subnet_constructor=nn.Linear,
            learned_householder_permutation=reflections,
        )
        return flow

    with torch.inference_mode():
        flow = make()
    x = torch.randn(3, 6)
    z, log_jacobian = flow(x)
    (z.square().sum() - log_jacobian.sum()).backward()
    assert all(parameter.grad is not None for parameter in flow.parameters())
    assert can_be_used(flow, make(), tmp_path)


@every_fit
def test_a_state_loaded_in_inference_mode_can_be_loaded_over(case, tmp_path):
    module = case.make(False)
    with torch.inference_mode():
        module.load_state_dict(
            {
                name: value.clone()
                for name, value in case.make(True).state_dict().items()
            }
        )
    assert can_be_used(module, case.make(False), tmp_path)


@every_way
def test_a_coreset_is_ordinary(way):
    points = samples()
    with way.mode():
        greedy = KCenterGreedy(way.form(points), 0.2)
        coreset = greedy.sample_coreset()
        distances = greedy.min_distances
    assert is_plain(coreset)
    assert is_plain(distances)
    greedy.update_distances(3)  # outside of the mode that it was made in
    greedy.reset_distances()
    assert (
        copy.deepcopy(greedy).select_coreset_idxs()
        == KCenterGreedy(points, 0.2).select_coreset_idxs()
    )
    torch.testing.assert_close(
        coreset, KCenterGreedy(points, 0.2).sample_coreset(), check_dtype=False
    )


@every_way
def test_running_moments_outlive_the_mode(way):
    data, moments = observations().flatten(2), None
    with way.mode():
        moments = RunningMoments(5, 12)
        moments.update(way.form(data[:20]))
        assert is_plain(moments.mean)
        assert is_plain(moments.covariance())
    moments.update(data[20:])
    expected = RunningMoments(5, 12)
    expected.update(data)
    torch.testing.assert_close(moments.covariance(), expected.covariance())
    assert copy.deepcopy(moments).count == 30


class FittedOnValidation(LightningModule):
    """Fits every estimator where Lightning validates, which is in inference mode."""

    def __init__(self) -> None:
        super().__init__()
        self.estimators = nn.ModuleList(case.make(False) for case in FITTED)

    def validation_step(self, *_):
        assert torch.is_inference_mode_enabled()

    def on_validation_epoch_end(self):
        for case, module in zip(FITTED, self.estimators, strict=True):
            case.fit(module, case.data())


@pytest.mark.filterwarnings(
    "ignore:The '.*_dataloader' does not have many workers"
)
@pytest.mark.filterwarnings(
    "ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated"
)
def test_what_is_fitted_when_lightning_validates_can_be_used(tmp_path):
    module = FittedOnValidation()
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(accelerator="cpu", devices=1, **quiet)
    trainer.validate(module, DataLoader([torch.zeros(1)]), verbose=False)
    assert can_be_used(module, FittedOnValidation(), tmp_path)


def test_no_component_is_left_out():
    makers = [case.make for case in [*CASES, *FITTED]]
    tried = {
        type(part).__name__ for make in makers for part in make(True).modules()
    }
    without_tensors = {"DynamicBufferModule", "InvertibleModule"}
    elsewhere_here = {
        "AllInOneBlock",
        "KCenterGreedy",
        "RunningMoments",
        "SequenceINN",
    }
    assert (
        set(components.__all__)
        == (tried & set(components.__all__)) | without_tensors | elsewhere_here
    )
