"""The layout of MVTec AD."""

import pytest

from anomedge.errors import InputError
from anomedge.images import read_folder, read_normal, select_normal
from tests.images.folders import labels, put
from tests.images.layouts import mvtec


def test_mvtec_keeps_names_and_refusals(tmp_path):
    mvtec(tmp_path)
    pictures = read_folder(tmp_path)
    assert [picture.name for picture in pictures] == [
        "good/0.png",
        "good/1.png",
        "scratch/0.png",
        "scratch/1.png",
    ]
    assert [picture.kind for picture in pictures] == ["", "", *["scratch"] * 2]
    with pytest.raises(InputError, match="holds anomalous pictures"):
        read_normal(tmp_path)
    assert len(read_normal(tmp_path / "train")) == 4
    # Whoever names the label means the whole data set.
    selection = select_normal(tmp_path, "good")
    assert [picture.name for picture in selection.pictures] == [
        f"train/good/{i}.png" for i in range(4)
    ]
    assert selection.left_out == {"of another split": 4, "masks": 2}


@pytest.mark.parametrize(
    "names",
    [
        ["good/a.png", "good/b.png", "scratch/c.png"],
        ["a.png", "b.png", "ground_truth/c.png"],
        ["bottle/good/a.png", "bottle/scratch/b.png"],
        ["train/good/a.png", "test/good/b.png", "test/scratch/c.png"],
    ],
)
def test_anomalous_pictures_are_refused_as_normal_ones(tmp_path, names):
    put(tmp_path, *names)
    with pytest.raises(InputError, match="holds anomalous pictures"):
        read_normal(tmp_path)


def test_a_whole_data_set_is_no_folder_of_normal_pictures(tmp_path):
    put(tmp_path, "train/good/a.png", "test/good/b.png")
    with pytest.raises(InputError, match="holds a folder `test`"):
        read_normal(tmp_path)
    assert labels(read_normal(tmp_path / "train")) == {"good/a.png": False}
