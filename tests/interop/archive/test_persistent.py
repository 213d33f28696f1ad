"""Persistent ids: storages by their keys, types and sizes."""

import warnings

import torch

from tests.interop.archive.making import content_of
from tests.interop.archive.saving import saved


def test_quantised_tensors_are_records(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
        path = saved(made, tmp_path / "file.pt")
    content = content_of(path)
    assert content.path == "torch._utils._rebuild_qtensor"
    assert content.args[0].path == "torch.QInt8Storage"
