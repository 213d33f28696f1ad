"""Suggestions: what dominates is named, and every figure is that of the detector that is proposed."""

import re
from dataclasses import replace

import pytest

from anomedge.budget import Device, Figure
from anomedge.budget.suggestions import _memory_sentence, suggestions
from anomedge.budget.summary import PARTS, Budget, budget_of
from anomedge.budget.tracing import network_of
from tests.budget.models import random_model
from tests.conftest import FRAME


def device(fp32=1e12, bandwidth=1e11, memory=1e10, fp16=None) -> Device:
    def figure(value):
        return None if value is None else Figure(value=value, source="a test")

    return Device(
        title="a test's", fp32=figure(fp32), fp16=figure(fp16), bandwidth=figure(bandwidth), memory=figure(memory),
        release="none",
    )  # fmt: skip


def advice(model, where, frame=FRAME, batch=1) -> tuple[list[str], Budget]:
    network = network_of(model, frame, batch)
    budget = budget_of(network, frame, batch)
    return suggestions(model, network, budget, where), budget


@pytest.fixture(scope="module")
def banked():
    return random_model("patchcore", "test_efficientnet", 64, 6_000)


@pytest.mark.slow
def test_a_bank_that_dominates(banked):
    said, budget = advice(banked, device(), frame=(64, 64))
    assert re.match(r"The distances take \d\d% of the limit", said[0])
    half = next(
        line
        for line in said
        if line.startswith(
            "Half of the bank (3,000 vectors, fit with --coreset"
        )
    )
    patches = 8 * 8 * len(banked.card.fitted)
    assert f"--coreset {3_000 / patches:.2g})" in half
    now, before = (
        float(text)
        for text in re.search(r"([\d.]+) ms, not ([\d.]+)", half).groups()
    )
    assert before == pytest.approx(budget.milliseconds(device()), rel=0.01)
    assert 0.4 * before < now < 0.75 * before
    smaller = budget_of(
        network_of(
            random_model("patchcore", "test_efficientnet", 64, 3_000),
            (64, 64),
            1,
        ),
        (64, 64),
        1,
    )
    assert now == pytest.approx(smaller.milliseconds(device()), rel=0.01)


@pytest.mark.slow
def test_statistics_that_dominate(models):
    slow_memory = device(fp32=1e14, bandwidth=1e9)
    said, _ = advice(models["padim"], slow_memory)
    channels = len(models["padim"].pipeline.config.channels)
    assert said[0].startswith("The distances take")
    assert any(
        line.startswith(
            f"Half of the channels (fit with --features {(channels + 1) // 2})"
        )
        for line in said
    )


def test_a_backbone_that_dominates():
    model = random_model("padim", "resnet18", 96, 4)
    said, budget = advice(model, device(fp16=8e12), frame=(96, 96))
    assert said[0].startswith("The backbone takes")
    assert said[1].startswith("In float16 it would take")
    half = float(re.search(r"take ([\d.e-]+) ms", said[1])[1])
    assert half < budget.shares(device())["backbone"] / 4
    assert any(
        line.startswith("Without layer3 (fit with --layers layer1,layer2):")
        for line in said
    )
    assert any(
        line.startswith("Images of 64x64 (fit with --size 64x64):")
        for line in said
    )


@pytest.mark.slow
def test_a_frame_that_dominates():
    model = random_model("padim", "test_efficientnet", 64, 4)
    said, _ = advice(model, device(), frame=(2160, 3840))
    assert said[0].startswith("Preprocessing takes")
    assert said[1].startswith("Frames of 1080x1920, by the camera's own mode: ")


@pytest.mark.slow
def test_memory_that_does_not_fit(banked):
    said, budget = advice(banked, device(memory=1e6), frame=(64, 64), batch=4)
    assert (
        said[0]
        == f"Memory: {budget.memory.peak / 1e6:,.0f} MB does not fit into the device's 1 MB."
    )
    assert any(line.startswith("One frame at a time: memory") for line in said)
    assert "leaves little of" in _memory_sentence(
        budget, device(memory=1.5 * budget.memory.peak)
    )


def test_nothing_stands_out(banked):
    network = network_of(banked, (64, 64), 1)
    budget = budget_of(network, (64, 64), 1)
    level = replace(
        budget,
        stages=tuple(
            s for s in budget.stages if s.name in {"distances", "anomaly_map"}
        ),
    )
    shares = level.shares(device(fp32=1e30, bandwidth=1))
    assert set(shares) == set(PARTS)
    even = replace(
        budget,
        stages=tuple(
            replace(s, flops=10**9, weights=0, moved=0) for s in budget.stages
        ),
    )
    assert max(even.shares(device()).values()) <= 0.5 * even.milliseconds(
        device()
    )
    assert suggestions(banked, network, even, device()) == []


def test_a_backbone_that_is_no_architecture_has_no_proposals():
    nameless = random_model("patchcore", "test_efficientnet", 64, 6_000)
    nameless.pipeline.config = nameless.pipeline.config.model_copy(
        update={"backbone": "MyNetwork"}
    )
    said, _ = advice(nameless, device(), frame=(64, 64))
    assert len(said) == 1 and said[0].startswith("The distances take")
