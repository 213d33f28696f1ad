"""The processor of a training: as named, else the best one, and plain words where there is none."""

import pytest
import torch

from anomedge.errors import DeviceMismatch, InputError
from anomedge.pipelines.training import TrainOptions
from anomedge.pipelines.training.processor import processor_of


@pytest.mark.parametrize(
    ("name", "usable", "expected"),
    [
        (None, 0, "cpu"),
        (None, 2, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 2, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_the_processor_is_the_named_one_or_the_best(
    name, usable, expected, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: usable > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: usable)
    assert processor_of(name) == torch.device(expected)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceMismatch, match=r"can use 0 GPUs.*--device cpu"):
        processor_of("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cpu:0", "CUDA", "cuda\n"])
def test_a_name_of_no_processor_is_refused_in_plain_words(name):
    with pytest.raises(InputError, match="expected cpu, cuda or cuda:1"):
        TrainOptions.checked(device=name)
