"""A small file made by hand, and one of torch.save."""

import pytest
import torch

from tests.interop.archive.making import write_archive
from tests.interop.archive.zips import PICKLE


@pytest.fixture
def path(tmp_path):
    return write_archive(tmp_path / "file.pt", PICKLE)


@pytest.fixture
def torchs(tmp_path):
    torch.save({"weight": torch.arange(100.0)}, tmp_path / "torchs.pt")
    return tmp_path / "torchs.pt"
