"""PatchCore of anomalib: its bank, and the neighbours of its score."""

import pytest
import torch

from tests.interop.anomalib import builder
from tests.interop.anomalib.refusing import refused


@pytest.mark.parametrize(
    ("bank", "match"),
    [
        (torch.empty(0), "empty tensor memory_bank"),
        (torch.rand(4, 99), "99 features"),
        (torch.rand(4, 2, 2), "expected 2 dimensions"),
        (torch.full((4, 384), torch.nan), "not finite"),
        (torch.ones(4, 384, dtype=torch.int64), "floating point"),
        (torch.rand(1, 384), "bank of one vector"),
    ],
)
def test_a_bank_that_cannot_be_used_is_refused(bank, match, tmp_path):
    state = builder.model_state("patchcore") | {"memory_bank": bank}
    content = builder.checkpoint_27("patchcore", state)
    refused(content, tmp_path, match)
