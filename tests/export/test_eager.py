"""Eager Torch as a session: pictures one at a time, every stage, torchvision's rounded resize."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from anomedge.errors import InputError
from anomedge.export.eager import EagerSession
from anomedge.pipelines.preprocessing import to_images
from anomedge.resample import Geometry
from tests.pipelines.brightness import WithoutMap, detector

GEOMETRY = Geometry((12, 8), (8, 8))
FRAMES = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)


def session(pipeline=None):
    model = SimpleNamespace(pipeline=pipeline or detector(), geometry=GEOMETRY)
    return EagerSession(model, Path("no such file"))


def test_outputs_are_the_detectors():
    with session() as eager:
        outputs = eager.run({"frames": FRAMES})
        images = to_images(torch.from_numpy(FRAMES), GEOMETRY)
        expected = detector()(images)
        assert (eager.name, eager.running_on) == ("eager torch", "cpu")
        assert eager.version == str(torch.__version__)
    assert list(outputs) == ["score", "anomaly_map"]
    np.testing.assert_allclose(outputs["score"], expected.score, rtol=1e-6)
    assert outputs["anomaly_map"].shape == (3, 1, 8, 8)
    assert outputs["score"].dtype == np.float32


def test_a_detector_without_a_map_gives_the_score_alone():
    with session(detector(WithoutMap)) as eager:
        assert list(eager.run({"frames": FRAMES})) == ["score"]


def test_every_stage_comes_in_order():
    with session() as eager:
        stages = eager.stages(FRAMES[:1])
    assert list(stages) == [
        "preprocessed",
        "rounded",
        "features/net",
        "anomaly_map",
        "score",
    ]
    images = to_images(torch.from_numpy(FRAMES[:1]), GEOMETRY)
    assert np.array_equal(stages["preprocessed"], images)


def test_rounded_is_torchvisions_resize_of_bytes():
    planes = torch.from_numpy(FRAMES[:1]).permute(0, 3, 1, 2)
    resized = tv.center_crop(tv.resize(planes, [12, 8], antialias=True), [8, 8])
    with session() as eager:
        found = eager.stages(FRAMES[:1])["rounded"]
    assert np.array_equal(found, resized.float() / 255)
    assert np.array_equal(found * 255, np.round(found * 255))


@pytest.mark.parametrize(
    "frames", [FRAMES.astype(np.float32), FRAMES[0], FRAMES[..., :1]]
)
def test_other_frames_are_refused(frames):
    with session() as eager, pytest.raises(InputError):
        eager.run({"frames": frames})
