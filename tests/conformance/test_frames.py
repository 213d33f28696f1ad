"""Frames of an examination: golden ones with their scores, hard ones, files of other modes."""

import numpy as np
from PIL import Image

from anomedge.conformance.frames import (
    golden_cases,
    unusual_files,
    write_frame,
    wrong_sizes,
)


def test_golden_frames_have_the_scores_of_the_bundle(inspector):
    cases = golden_cases(inspector.bundle, 3)
    assert len(cases) == 3
    for case in cases:
        result = inspector.predict(case.frame)
        assert abs(result.score - case.score) < 1e-5
        assert case.anomaly_map.shape == result.anomaly_map.shape


def test_wrong_sizes_exclude_the_right_one():
    shapes = {frame.shape[:2] for frame in wrong_sizes((24, 40)).values()}
    assert (40, 24) in shapes
    assert (24, 40) not in shapes
    assert len(shapes) == 4


def test_unusual_files_are_decoded_to_the_stated_frame(tmp_path):
    frame = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    for _, picture, decoded in unusual_files(frame):
        picture.save(tmp_path / "x.png")
        with Image.open(tmp_path / "x.png") as image:
            found = np.asarray(image.convert("RGB"))
        assert (found == decoded).all()


def test_names_of_files_are_plain(tmp_path):
    frame = np.zeros((2, 3, 3), np.uint8)
    path = write_frame(tmp_path, "../a b/ü", frame, raw=True)
    assert path.parent == tmp_path
    assert path.read_bytes() == bytes(18)
