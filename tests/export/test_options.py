"""Options of an export: the fixed batch, and how pictures become the graph's input."""

from anomedge.export.options import ExportOptions
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import OutsideResize

GEOMETRY = Geometry((16, 24))


def test_a_fixed_batch_is_a_number_and_a_dynamic_one_is_none():
    assert ExportOptions((8, 12)).fixed_batch is None
    assert ExportOptions((8, 12), batch=4).fixed_batch == 4


def test_frames_have_the_cameras_size_and_others_are_resized_outside():
    assert ExportOptions((8, 12)).framing(GEOMETRY) == (8, 12)
    framing = ExportOptions("any").framing(GEOMETRY)
    assert framing == OutsideResize(GEOMETRY)
