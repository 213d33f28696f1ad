"""Folders of pictures without labels."""

import shutil

import pytest

from anomedge.errors import InputError
from anomedge.images import read_normal
from tests.images.layouts import two_labels


@pytest.mark.parametrize("name", ["ng", "part1/ng", "part1/defects"])
def test_folders_of_anomalous_pictures_are_refused_as_normal(tmp_path, name):
    two_labels(tmp_path, "part1/lamp", name)
    with pytest.raises(InputError, match="holds anomalous pictures"):
        read_normal(tmp_path)


@pytest.mark.parametrize("normal", ["ok", "OK", "normal", "Good"])
def test_labels_below_folders_are_refused_as_normal(tmp_path, normal):
    for line in ("line1", "line2"):
        two_labels(tmp_path / line, normal, "scratch")
    with pytest.raises(InputError, match="holds anomalous pictures"):
        read_normal(tmp_path)
    # Folders that hold nothing else are those of a normal data set.
    for line in ("line1", "line2"):
        shutil.rmtree(tmp_path / line / "scratch")
    assert len(read_normal(tmp_path)) == 8
