"""The preprocessing of an import: of the file, of the table, of an option."""

import pytest

from anomedge.errors import InputError
from anomedge.interop.anomalib import import_native
from anomedge.resample import Geometry
from tests.interop.anomalib import builder
from tests.interop.anomalib.comparing import taken_from
from tests.interop.anomalib.refusing import SPEC, refused


def test_an_unstated_antialias_is_said(tmp_path):
    spec = SPEC("Resize", size=[32, 48], antialias="warn")
    content = builder.checkpoint_27("patchcore", config={"transform": spec})
    imported = import_native(builder.saved(content, tmp_path))
    lines = {line.what: line for line in imported.taken}
    assert lines["resize"].source == "computed"
    assert imported.foreign.preprocessing.mean == (0, 0, 0)


@pytest.mark.parametrize("enabled", [True, False])
def test_an_absent_transform_needs_a_size(enabled, tmp_path):
    config = {"transform": None}
    content = builder.checkpoint_27("patchcore", config=config)
    content["anomalib_components_enabled"]["pre_processor"] = enabled
    refused(content, tmp_path, "give --size")
    path = tmp_path / "model.ckpt"
    imported = import_native(path, size=builder.SIZE)
    lines = {line.what: line.source for line in imported.taken}
    assert lines["mean"] == ("table" if enabled else "file")


def test_a_default_pre_processor_comes_from_the_table(tmp_path):
    content = builder.checkpoint_2("patchcore", True)
    imported = import_native(builder.saved(content, tmp_path))
    assert imported.geometry == Geometry((256, 256))
    assert taken_from(imported, "size") == ["table"]
    assert taken_from(imported, "mean") == ["table"]


def test_a_size_option_replaces_the_table(tmp_path):
    path = builder.saved(builder.checkpoint_2("padim", True), tmp_path)
    with pytest.raises(InputError, match="give the --size"):
        import_native(path)
    imported = import_native(path, size=builder.SIZE)
    assert imported.geometry == Geometry(builder.SIZE)
    assert taken_from(imported, "size") == ["option"]
