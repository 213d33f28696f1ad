"""Frames as users have them: accepted where there is one reading, refused in one precise line elsewhere."""

import numpy as np
import pytest
import torch
from PIL import Image

from anomedge.errors import InputError
from anomedge.images.frames import as_frame
from anomedge.inspector import Inspector

RGB = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


class Recorded(Inspector):
    """Gives the frames that would be inspected."""

    def __init__(self):
        pass

    def _inspect(self, frames):
        return list(frames)


def test_one_frame_gives_one_result_and_a_batch_a_list():
    grey = RGB[:, :, 0]
    repeated = np.stack([grey] * 3, axis=2)
    inspector = Recorded()
    for given, expected in [
        (RGB, RGB),
        (grey, repeated),
        (Image.fromarray(RGB), RGB),
        (Image.fromarray(grey), repeated),
    ]:
        assert np.array_equal(inspector.predict(given), expected)
        assert np.array_equal(
            inspector.predict([given, given]), [expected, expected]
        )
        assert np.array_equal(inspector.predict_batch((given,)), [expected])
    assert np.array_equal(inspector.predict(np.stack([RGB, RGB])), [RGB, RGB])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (
            torch.zeros(3, 6, 8),
            r"got a torch.Tensor; expected an uint8 array \(H, W, 3\).*permute\(1, 2, 0\)",
        ),
        (
            RGB.transpose(2, 0, 1),
            r"got a frame \(3, 6, 8\), channels first; expected \(H, W, 3\): give frame.transpose",
        ),
        (RGB / 255, "got a frame of float64; expected uint8"),
        (RGB.astype(np.uint16), "got a frame of uint16; expected uint8"),
        (
            np.zeros((6, 8, 4), np.uint8),
            r"got a frame \(6, 8, 4\); expected \(H, W, 3\) RGB or \(H, W\) grey",
        ),
        (np.zeros(8, np.uint8), r"got a frame \(8,\)"),
        (b"frame.png", r"got a bytes; expected .*os.fsdecode"),
        (
            Image.fromarray(np.zeros((6, 8), np.float32)),
            "mode F; expected 8 bits",
        ),
        (None, "got a NoneType; expected an uint8 array"),
    ],
)
def test_frames_that_need_a_choice_are_said(given, match):
    for call in (
        lambda: as_frame(given),
        lambda: Recorded().predict(given),
        lambda: Recorded().predict([given]),
    ):
        with pytest.raises(InputError, match=match) as refused:
            call()
        assert "\n" not in str(refused.value)


def test_generators_and_lone_paths_are_no_batch():
    with pytest.raises(
        InputError, match=r"got an iterator.*give list\(frames\)"
    ):
        Recorded().predict(frame for frame in [RGB])
    for batch in ("frame.png", (frame for frame in [RGB])):
        with pytest.raises(
            InputError,
            match="expected a sequence of frames or paths: give a list",
        ):
            Recorded().predict_batch(batch)
