"""The preprocessing of an import: of the file, of the table, of an option."""

import pytest

from anomedge.errors import InputError
from anomedge.interop.anomalib import import_native
from anomedge.interop.anomalib.defaults import Default
from anomedge.interop.anomalib.foreign import Preprocessing, Taken
from anomedge.interop.anomalib.resolving import resolved
from anomedge.resample import Geometry
from tests.interop.anomalib import builder
from tests.interop.anomalib.comparing import taken_from
from tests.interop.anomalib.files import foreign
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


GEOMETRY = Geometry((32, 48))
DEFAULT = Default(Geometry((64, 64), (56, 56)), (0.5,) * 3, (0.25,) * 3)
OF_FILE = Preprocessing(GEOMETRY, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), True)


def result(stated, default=None, size=None):
    taken = Taken()
    found, geometry = resolved(foreign(preprocessing=stated), default, size, taken)  # fmt: skip
    assert found.geometry == geometry
    assert found.antialias is True
    return found, {line.what: (line.value, line.source) for line in taken}


def test_the_file_counts_before_the_table():
    found, lines = result(OF_FILE, DEFAULT)
    assert found == OF_FILE
    assert lines == {
        "size": ("32x48", "file"),
        "resize": ("antialiased, bilinear", "file"),
        "mean": ("0.1, 0.2, 0.3", "file"),
        "std": ("0.4, 0.5, 0.6", "file"),
    }


def test_the_table_counts_where_the_file_refers_to_it():
    found, lines = result(Preprocessing(source="table"), DEFAULT)
    assert found.geometry == DEFAULT.geometry
    assert (found.mean, found.std) == ((0.5,) * 3, (0.25,) * 3)
    assert lines["size"] == ("64x64, central crop 56x56", "table")
    assert lines["mean"][1] == "table"


def test_an_option_replaces_the_table_and_fills_a_gap():
    for stated in (Preprocessing(source="table"), Preprocessing()):
        found, lines = result(stated, DEFAULT, (40, 40))
        assert found.geometry == Geometry((40, 40))
        assert lines["size"] == ("40x40", "option")


def test_half_a_scaling_is_none():
    found, lines = result(Preprocessing(GEOMETRY, mean=(0.1, 0.1, 0.1)))
    assert found.mean == (0.485, 0.456, 0.406)
    assert lines["std"] == ("0.229, 0.224, 0.225", "table")


def test_the_files_size_may_be_repeated_and_not_contradicted():
    result(OF_FILE, size=(32, 48))
    with pytest.raises(InputError, match=r"got --size 48x32 .* states 32x48"):
        result(OF_FILE, size=(48, 32))


@pytest.mark.parametrize(
    ("stated", "default", "said"),
    [
        (Preprocessing(note="no pre-processor"), None, r"not known \(no pre-processor\); .* --size HxW$"),
        (Preprocessing(), DEFAULT, "--size, by default 64x64, central crop 56x56$"),
        (Preprocessing(source="table"), None, "give --size HxW$"),
    ],
)  # fmt: skip
def test_an_unknown_size_is_asked_for(stated, default, said):
    with pytest.raises(InputError, match=said):
        result(stated, default)
