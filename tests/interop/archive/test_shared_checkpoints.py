"""Real checkpoints, where they are at hand: every tensor has the bits that torch reads or that the file holds."""

import zipfile
from pathlib import Path

import pytest
import torch

from anomedge.interop.archive import Record, StoredTensor, open_archive

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "checkpoints"
FILES = sorted(FOLDER.glob("*.ckpt"))
pytestmark = pytest.mark.skipif(
    not FILES, reason="needs the shared folder's checkpoints"
)


def tensors(content):
    """Yield every tensor of a content once, however it is nested."""
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, StoredTensor):
            yield value
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            waiting += value
        elif isinstance(value, Record):
            waiting += [value.args, value.state, value.items, value.entries]


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def trusted(path):
    """Return torch's own tensors; the shared files are trusted."""
    try:
        return torch.load(path, weights_only=False)["state_dict"]
    except ImportError:
        pytest.skip("needs anomalib")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_tensors_are_torchs(path):
    expected = trusted(path)
    with open_archive(path) as archive:
        state = archive.content["state_dict"]
        assert list(state) == list(expected)
        for name, value in expected.items():
            if not isinstance(value, torch.Tensor):
                assert state[name] == value
                continue
            loaded = state[name].load()
            assert (loaded.dtype, loaded.shape) == (value.dtype, value.shape)
            assert torch.equal(bits(loaded), bits(value)), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_tensors_are_the_files_bytes(path):
    """An independent reader of the zip file, strides applied by torch."""
    with zipfile.ZipFile(path) as file, open_archive(path) as archive:
        found = list(tensors(archive.content))
        for tensor in found:
            raw = file.read(tensor.storage.name)
            whole = torch.frombuffer(bytearray(raw or b"\0"), dtype=torch.uint8)
            view = whole[: len(raw)].view(tensor.dtype)
            expected = view.as_strided(
                tensor.shape, tensor.strides, tensor.offset
            )
            assert torch.equal(bits(tensor.load()), bits(expected))
    assert len(found) > 90


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_content_is_lightnings(path):
    with open_archive(path) as archive:
        content = archive.content
    assert {"state_dict", "hyper_parameters", "epoch"} <= content.keys()
    assert isinstance(content["pytorch-lightning_version"], str)
