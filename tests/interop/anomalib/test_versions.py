"""Versions of anomalib, by the keys of a checkpoint."""

import torch

from tests.interop.anomalib.refusing import refused


def test_a_checkpoint_of_another_library_is_refused(tmp_path):
    content = {"state_dict": {"model.a": torch.ones(2)}}
    refused(content, tmp_path, "without a sign of anomalib")
