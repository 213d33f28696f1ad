"""Tensors of a file: checked before and after they are loaded."""

import torch

from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import builder
from tests.interop.anomalib.comparing import errors_of, taken_from


def test_half_precision_is_widened_and_said(tmp_path):
    state = builder.model_state("patchcore", torch.float16)
    content = builder.checkpoint_27("patchcore", state)
    path = builder.saved(content, tmp_path)
    imported = import_native(path)
    assert taken_from(imported, "precision of the bank") == ["computed"]
    assert max(errors_of(imported.pipeline, path, builder.SIZE)) < 1e-5
