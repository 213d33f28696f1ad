"""Laws of every detector."""

import torch


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
