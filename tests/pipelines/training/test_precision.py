"""Networks in bfloat16 within a block."""

import torch

from anomedge.pipelines import Config
from anomedge.pipelines.training.precision import mixed_precision
from tests.pipelines.training.detectors import SIZE, Mean, images


def test_networks_round_within_the_block_and_give_float32():
    config = Config(size=SIZE)
    made = Mean(config, **Mean.build_networks(config)).eval()
    exact = made.frozen(images())
    with mixed_precision(made, torch.device("cpu")):
        rounded = made.frozen(images())
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)
    assert torch.equal(made.frozen(images()), exact)
