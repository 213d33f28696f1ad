import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.runtimes.specs import TensorSpec, checked_feed, format_specs

FRAMES = TensorSpec("uint8", (None, 4, 6, 3))


@pytest.mark.parametrize(
    ("dtype", "shape", "accepted"),
    [
        ("uint8", (2, 4, 6, 3), True),
        ("float32", (2, 4, 6, 3), False),
        ("uint8", (2, 4, 6), False),
        ("uint8", (2, 5, 6, 3), False),
        ("uint8", (0, 4, 6, 3), False),
    ],
)
def test_a_spec_accepts_its_type_and_sizes(dtype, shape, accepted):
    array = np.zeros(shape, dtype)
    assert FRAMES.accepts(array) == accepted
    if accepted:
        assert checked_feed({"frames": array}, {"frames": FRAMES})
    else:
        with pytest.raises(
            InputError, match=r"expected uint8 \(any, 4, 6, 3\)"
        ):
            checked_feed({"frames": array}, {"frames": FRAMES})


def test_an_unknown_size_matches_every_size():
    fixed = TensorSpec("uint8", (2, 4, 6, 3))
    assert FRAMES.matches(fixed)
    assert not fixed.matches(FRAMES)
    assert not FRAMES.matches(TensorSpec("uint8", (2, 4, 6)))


def test_a_feed_is_made_contiguous_and_is_not_changed():
    array = np.zeros((2, 4, 12, 3), np.uint8)[:, :, ::2]
    feed = checked_feed({"frames": array}, {"frames": FRAMES})
    assert feed["frames"].flags.c_contiguous
    assert not array.flags.c_contiguous
    with pytest.raises(InputError, match=r"got inputs \['x'\]; expected"):
        checked_feed({"x": array}, {"frames": FRAMES})


def test_specs_are_listed():
    assert format_specs({"frames": FRAMES}) == "frames uint8 (any, 4, 6, 3)"
    assert format_specs({}) == "nothing"
