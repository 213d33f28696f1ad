"""Laws of every detector."""

import numpy as np
import torch

from anomedge.pipelines.model import load, save


def assert_a_batch_is_its_images(pipeline, images, sizes=(1, 2, 3)):
    """Scores of batches of any size are those of the whole, and the images stay as they are."""
    before = images.clone()
    with torch.no_grad():
        whole = pipeline(images).score
        for size in sizes:
            parts = [pipeline(part).score for part in images.split(size)]
            torch.testing.assert_close(torch.cat(parts), whole)
    assert torch.equal(images, before)


def assert_equal_tensors(one, other):
    """The state_dicts are equal in every bit."""
    states = one.state_dict(), other.state_dict()
    assert list(states[0]) == list(states[1])
    for name, tensor in states[0].items():
        assert torch.equal(states[1][name], tensor), name


def assert_exports_strictly(pipeline, images):
    """`torch.export` takes the detector with an open batch, and the program has its scores."""
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.export.export(
        pipeline, (images[:2],), dynamic_shapes=({0: batch},), strict=True
    )
    with torch.no_grad():
        expected = pipeline(images)
    found = program.module()(images)
    torch.testing.assert_close(found.score, expected.score)


def assert_values_in_float64(pipeline, images, expected):
    """Map and score are those of a formula in float64, maps (N, H, W)."""
    with torch.no_grad():
        found = pipeline(images)
    assert found.anomaly_map.dtype == torch.float64
    np.testing.assert_allclose(found.anomaly_map[:, 0], expected, rtol=1e-9)
    peaks = expected.max(axis=(1, 2))
    np.testing.assert_allclose(found.score, peaks, rtol=1e-9)


def assert_loaded_alike(path, model, images):
    """A stored model has the tensors and the scores of the original; return it."""
    save(model, path)
    found = load(path)
    assert_equal_tensors(found.pipeline, model.pipeline)
    with torch.no_grad():
        scores = found.pipeline(images).score
        assert torch.equal(scores, model.pipeline(images).score)
    return found
