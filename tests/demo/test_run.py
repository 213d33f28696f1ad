"""The whole job as the README has it, and that both detectors find what was planted."""

import numpy as np
import pytest

from anomedge.demo.run import _examples, _make_room
from anomedge.errors import OutputError
from anomedge.images import Picture


@pytest.mark.slow
def test_demo_proves_both_detectors(demo):
    folder, outcomes = demo
    assert [o["detector"] for o in outcomes] == ["padim", "patchcore"]
    for outcome, image, pixel in zip(
        outcomes, (0.85, 0.93), (0.8, 0.93), strict=True
    ):
        certificate = outcome["certificate"]
        assert certificate["failures"] == []
        assert certificate["pictures"]["blended"] >= 20
        assert all(cell["flips"] == [] for cell in certificate["cells"])
        assert all(
            cell["image_auroc"] > image and cell["pixel_auroc"] > pixel
            for cell in certificate["cells"]
        )
        assert set(outcome["milliseconds"]) == {"onnxruntime", "openvino"}
    for detector in ("padim", "patchcore"):
        assert (
            folder / "demo-out" / f"{detector}-overlays.png"
        ).stat().st_size > 10_000


def test_a_folder_of_an_earlier_run_is_used_again(tmp_path):
    output = tmp_path / "deep" / "out"
    _make_room(output)
    (output / "pictures").mkdir()
    (output / "pictures" / "old.png").touch()
    (output / "padim.safetensors").touch()
    _make_room(output)
    assert not (output / "pictures").exists()
    assert (output / "padim.safetensors").exists()


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "mine.png").touch()
    with pytest.raises(OutputError, match="expected a new or empty folder"):
        _make_room(tmp_path)
    assert (tmp_path / "pictures" / "mine.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_the_first_picture_of_each_kind_is_shown():
    pixels = np.zeros((1, 1, 3), np.uint8)
    names = ["good/0.png", "good/1.png", "scratch/0.png", "blob/3.png"]
    shown = _examples([Picture(name, pixels=pixels) for name in names])
    assert [picture.name for picture in shown] == [
        "blob/3.png",
        "good/0.png",
        "scratch/0.png",
    ]
