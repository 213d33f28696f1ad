"""Options of an export that are refused before long work."""

import os
import warnings

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError, OutputError
from anomedge.export.checks import (
    check_batch,
    check_layout,
    check_precisions,
    check_replaced,
    check_shape,
    warn_of_sizes,
)
from anomedge.export.options import ExportOptions, Int8Options
from anomedge.images import Picture
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import OutsideResize

FRAME = (96, 128)
REFUSED = [
    (check_shape, {"frame": (0, 8)}, "0"),
    (check_shape, {"batch": 0}, "got batch 0; expected 'dynamic' or a number from 1 to 4096"),
    (check_shape, {"batch": 4097}, "got batch 4097"),
    (check_shape, {"frame": (8192, 8192), "batch": 11}, "at most 2 GiB"),
    (check_shape, {"opset": 16}, "got opset 16; expected one from 17 to"),
    (check_shape, {"opset": 99}, "got opset 99"),
    (check_layout, {"layout": "anomalib", "frame": "any"}, "with frame any; expected --frame HxW"),
    (check_layout, {"layout": "anomalib", "precisions": ["fp16"]}, "expected fp32 among them"),
    (check_layout, {"layout": "anomalib", "batch": 2}, "got batch 2 with layout anomalib; expected dynamic or 1"),
    (check_layout, {"layout": "martian"}, "martian"),
    (check_precisions, {"precisions": []}, "got precision []"),
    (check_precisions, {"precisions": ["fp16", "fp16"]}, "each at most once"),
    (check_precisions, {"precisions": ["fp32", "fp64"]}, "got precision ['fp32', 'fp64']"),
    (check_precisions, {"precisions": ["int8", "fp32"]}, "expected int8 alone"),
    (check_precisions, {"precisions": ["fp32"], "int8": Int8Options([])}, "expected --precision int8"),
    (check_precisions, {"precisions": ["tf32"]}, "got precision ['tf32']"),
]  # fmt: skip


def options(**changed):
    return ExportOptions(**({"frame": FRAME} | changed))


@pytest.mark.parametrize(("check", "changed", "message"), REFUSED)
def test_options_that_cannot_be_are_refused(check, changed, message):
    with pytest.raises(InputError) as error:
        check(options(**changed))
    assert message in str(error.value)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"frame": "any", "batch": 4096},
        {"frame": (8192, 8192), "batch": 10},
        {"layout": "anomalib", "batch": 1},
        {"precisions": ["fp16", "fp32"], "layout": "anomalib"},
    ],
)
def test_options_that_can_be_are_taken(changed):
    for check in (check_shape, check_layout, check_precisions):
        check(options(**changed))


def test_pictures_of_any_size_are_float32_batches_of_the_models_size():
    framing = OutsideResize(Geometry((8192, 8192)))
    check_batch(options(frame="any", batch=2), framing)
    with pytest.raises(InputError, match="got batch 3 of frames"):
        check_batch(options(frame="any", batch=3), framing)
    check_batch(options(frame="any"), framing)


def test_only_bundles_and_empty_folders_are_replaced(tmp_path):
    target = tmp_path / "part.anomedge"
    check_replaced(target, force=True)
    target.mkdir()
    check_replaced(target, force=True)
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is no bundle; expected one"):
        check_replaced(target, force=True)
    check_replaced(target, force=False)
    (target / "manifest.json").write_text("{}")
    check_replaced(target, force=True)


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_files_and_links_are_not_replaced(tmp_path, kind):
    target, folder = tmp_path / "target", tmp_path / "folder"
    folder.mkdir()
    if kind == "file":
        target.write_text("")
    else:
        target.symlink_to(folder if kind == "link" else tmp_path / "no")
    assert os.path.lexists(target)
    with pytest.raises(OutputError, match="is no bundle"):
        check_replaced(target, force=True)


def test_thresholds_of_a_device_go_with_a_warning(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "local.json").write_text("{}")
    with pytest.warns(
        UserWarning, match=r"local\.json will go with the bundle"
    ):
        check_replaced(tmp_path, force=True)


def test_pictures_of_several_sizes_advise_any(tmp_path):
    pictures = []
    for size in ((8, 12), (10, 12)):
        path = tmp_path / f"{size[0]}.png"
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)
        pictures.append(Picture(path.name, path))
    with pytest.warns(
        UserWarning,
        match="2 sizes, 8x12 to 10x12; .* 96x128 alone: .*--frame any",
    ):
        warn_of_sizes(pictures, options())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_sizes(pictures, options(frame="any"))
        warn_of_sizes(pictures[:1], options())
