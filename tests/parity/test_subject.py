"""Digests of a proof's subject: they change with what they are of, and with nothing else."""

from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.bundle.manifest import Golden
from anomedge.images import Picture
from anomedge.parity.reference import Reference
from anomedge.parity.subject import (
    _digest_of_pictures,
    digest_of_decision,
    digest_of_golden,
    digests_of_frames,
)
from tests.parity.examples import DECISION, generated, outputs


def reference(*values, names="abc"):
    pictures = [
        Picture(name, pixels=np.full((4, 4, 3), value, np.uint8))
        for name, value in zip(names, values, strict=False)
    ]
    return Reference("x", pictures, outputs(range(len(pictures))))


def digest(*values, **more):
    made = reference(*values, **more)
    return _digest_of_pictures(made, digests_of_frames(made, None))


def test_pictures_count_with_their_names_and_their_order():
    known = digest(1, 2)
    assert digest(1, 2) == known
    assert digest(2, 1) != known
    assert digest(1, 3) != known
    assert digest(1, 2, names="ac") != known
    assert digest(1, 2, names=["a", "\udce9"]) != known


@pytest.mark.parametrize(
    ("value", "uniform"), [(0, True), (8, True), (9, False)]
)
def test_a_frame_within_eight_grey_levels_is_uniform(value, uniform):
    made = reference(0)
    made.pictures[0].pixels[:2, :, 1] = value
    (found,) = digests_of_frames(made, None)
    assert found.uniform == uniform


def test_noise_of_a_dark_sensor_is_uniform():
    noise = np.random.default_rng(0).integers(0, 4, (2, 40, 40, 3), np.uint8)
    noise[1, 20, 20] = 255
    made = Reference("x", [Picture(str(i), pixels=n) for i, n in enumerate(noise)], outputs([0, 1]))  # fmt: skip
    assert [one.uniform for one in digests_of_frames(made, None)] == [True] * 2


def test_channels_may_differ_in_a_uniform_frame():
    made = reference(0)
    made.pictures[0].pixels[..., 2] = 200
    assert digests_of_frames(made, None)[0].uniform


@pytest.mark.parametrize(
    "changed",
    [{"threshold": 41.0}, {"scale": 11.0}, {"pixel_threshold": None}, {"minimum": 0.0}],
)  # fmt: skip
def test_every_value_of_a_decision_counts(changed):
    other = DECISION.model_copy(update=changed)
    assert digest_of_decision(other) != digest_of_decision(DECISION)
    same = DECISION.model_copy(deep=True)
    assert digest_of_decision(same) == digest_of_decision(DECISION)


def test_golden_files_count_and_graphs_do_not():
    def manifest(name="golden/000.png", sha256="1", **entry):
        golden = Golden(name="a", frame="golden/000.png", **entry)
        files = {name: SimpleNamespace(sha256=sha256)}
        return SimpleNamespace(golden=(golden,), files=files)

    known = digest_of_golden(manifest())
    assert digest_of_golden(manifest(sha256="2")) != known
    assert digest_of_golden(manifest(stages=True)) != known
    graph = digest_of_golden(manifest("model.onnx"))
    assert graph == digest_of_golden(manifest("model.onnx", sha256="2"))


def test_pictures_with_one_pixel_changed_are_repeated():
    picture = np.random.default_rng(0).integers(0, 250, (40, 40, 3), np.uint8)
    pictures = []
    for number in range(20):
        pixels = picture.copy()
        pixels[number, number] = 255
        pictures.append(Picture(f"{number}.png", pixels=pixels))
    pictures += [
        generated("extreme/x", pixels=picture),
        Picture("black", pixels=np.zeros_like(picture)),
    ]
    made = Reference("x", pictures, outputs(range(len(pictures))))
    found = digests_of_frames(made, None)
    assert [one.repeated for one in found] == [
        False,
        *[True] * 19,
        False,
        False,
    ]
    assert len({one.sha256 for one in found}) == 22
