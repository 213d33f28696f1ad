"""Golden frames: selection, size limits and array headers."""

import os
import shutil

import pytest

from anomedge.bundle import Bundle, write_manifest
from anomedge.errors import BundleError
from anomedge.parity.golden import (
    places_to_keep,
    places_with_stages,
    read_golden,
)
from tests.parity.examples import generated


def test_selection_of_golden_frames():
    names = [
        *(f"good/{i}" for i in range(20)),
        *(f"blended/{i}" for i in range(9)),
        "extreme/black",
        "extreme/white",
    ]
    pictures = [generated(name) for name in names]
    places = places_to_keep(pictures)
    assert [names[i] for i in places[:2]] == ["good/0", "good/4"]
    assert len(places) == 6 + 4 + 2
    assert [names[i] for i in places_with_stages(pictures)] == [
        "good/0",
        "good/4",
        "extreme/white",
    ]


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        (
            "golden/score.npy",
            1 << 20,
            r"score\.npy: got 1048576 bytes; expected at most",
        ),
        (
            "golden/anomaly_map.npy",
            64 << 20,
            r"anomaly_map\.npy: got 67108864 bytes",
        ),
        ("golden/000.png", 16 << 20, r"000\.png: got 16777216 bytes"),
        ("golden/000/rounded.npy", 256 << 20, r"golden: got 26\d{7} bytes"),
    ],
)
def test_golden_files_larger_than_any_export_writes_are_refused_unread(
    bundle_paths, tmp_path, monkeypatch, name, size, said
):
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    os.truncate(root / name, size)  # sparse: it takes no space
    fields = Bundle.open(bundle_paths["padim"]).manifest.model_dump(
        exclude={"files", "digest"}
    )
    (root / "manifest.json").unlink()
    write_manifest(root, fields)
    bundle = Bundle.open(root)
    monkeypatch.setattr(Bundle, "read", lambda *_: pytest.fail("read"))
    with pytest.raises(BundleError, match=said):
        read_golden(bundle)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,)}",
        "{'descr': [('x', '<f4', (1000000, 1000000))], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': ('<f4', (0, 0)), 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': 0, 'fortran_order': 0, 'shape': 0}",
        "(" * 200,
    ],
)
def test_invalid_array_headers_are_refused(bundle_paths, tmp_path, header):
    """A zero-sized type ended the process; a shape of petabytes was allocated."""
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    text = header.ljust(117).encode() + b"\n"
    (root / "golden" / "score.npy").write_bytes(
        b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(4)
    )
    fields = Bundle.open(bundle_paths["padim"]).manifest.model_dump(
        exclude={"files", "digest"}
    )
    (root / "manifest.json").unlink()
    write_manifest(root, fields)
    with pytest.raises(BundleError):
        read_golden(Bundle.open(root))
