"""Files that are refused: other models, unfitted ones, other transforms, hostile values."""

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.anomalib import available, import_native
from anomedge.interop.anomalib.models import REGISTRY
from tests.interop.anomalib import builder
from tests.interop.anomalib.refusing import refused


def tensors_of(model):
    """Tensors of the names that a model of anomalib is known by."""
    names = [pattern.replace("*", "weight") for pattern in model.keys]
    return {name: torch.ones(2) for name in names}


NATIVE = [name.replace("_", "") for name in available()]


@pytest.mark.parametrize(
    "name",
    [name for name in REGISTRY.names() if name.lower() not in NATIVE],
)
def test_another_model_is_named(name, tmp_path):
    tensors = tensors_of(REGISTRY.get(name))
    path = builder.saved(builder.checkpoint_27("padim", tensors), tmp_path)
    with pytest.raises(ModelError, match=rf"{name}.*--with-anomalib"):
        import_native(path)


@pytest.mark.parametrize("name", ["padim", "patchcore"])
def test_tensors_beside_those_of_a_detector_need_a_choice(name, tmp_path):
    """A model that is derived from another one is not imported as that one."""
    state = builder.model_state(name) | {"another": torch.ones(2)}
    content = builder.checkpoint_27(name, state)
    refused(content, tmp_path, "no known model .*--detector")


def test_an_unknown_model_is_refused(tmp_path):
    content = builder.checkpoint_27("padim", {"a": torch.ones(2)})
    refused(content, tmp_path, "no known model of anomalib")


def test_ambiguous_tensors_need_a_choice(tmp_path, monkeypatch):
    from anomedge.interop.anomalib.padim import ImportedPadim

    path = builder.saved(builder.checkpoint_27("patchcore"), tmp_path)
    monkeypatch.setattr(ImportedPadim, "matches", lambda foreign: True)
    with pytest.raises(ModelError, match=r"padim, patchcore.*--detector"):
        import_native(path)
    assert import_native(path, "patchcore").pipeline.name == "patchcore"


def test_an_unknown_detector_is_refused(tmp_path):
    content = builder.checkpoint_27("padim")
    refused(content, tmp_path, "'other'", detector="other")


def test_a_chosen_detector_needs_its_tensors(tmp_path):
    content = builder.checkpoint_27("padim")
    refused(content, tmp_path, "no tensor memory_bank", detector="patchcore")


@pytest.mark.parametrize("name", ["feature_extractor.a\nb", "a\nb"])
def test_a_name_with_line_feeds_stays_in_one_line(tmp_path, name):
    state = {name: torch.ones(2)}
    if name.startswith("feature"):
        state |= builder.model_state("patchcore")
    refused(builder.checkpoint_27("patchcore", state), tmp_path, r"a\\nb")


def test_a_file_name_with_line_feeds_stays_in_one_line(tmp_path):
    path = tmp_path / "a\nb.ckpt"
    with pytest.raises(ModelError, match="expected a file") as caught:
        import_native(path)
    assert "\n" not in str(caught.value)
