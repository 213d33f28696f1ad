"""Pictures to fit to, and those that place the threshold: never the same, enough of each, all readable."""

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.pipelines.splitting import refuse_unreadable, split_pictures


def write(folder, count, first=0):
    """Pictures that all differ."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        pixels = np.full((8, 8, 3), number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def split(folder, **more):
    given = {"held_back": None, "labelled": None, "holdout": None}
    return split_pictures(folder, **(given | {"folds": 3, "seed": 0} | more))


def names(pictures):
    return sorted(picture.path.name for picture in pictures)


def test_all_pictures_are_fitted_to_and_scored_in_folds(tmp_path):
    found = split(write(tmp_path, 7))
    assert names(found.fitted) == names(found.sample.normal)
    assert sorted(i for fold in found.sample.folds for i in fold) == list(
        range(7)
    )
    assert found.sample.source == "the fitting folder, in 3 folds"


@pytest.mark.parametrize(("holdout", "held"), [(0.3, 3), (0.01, 2), (0.75, 8)])
def test_a_share_of_at_least_two_is_held_back(tmp_path, holdout, held):
    found = split(write(tmp_path, 10), holdout=holdout)
    assert len(found.sample.normal) == held
    every = names(found.fitted) + names(found.sample.normal)
    assert sorted(every) == sorted({f"{i:02}.png" for i in range(10)})
    again = split(tmp_path, holdout=holdout)
    assert names(again.fitted) == names(found.fitted)
    assert not found.sample.folds


@pytest.mark.parametrize(("count", "held"), [(10, 2), (29, 6), (30, 10)])
def test_without_folds_enough_for_synthetic_defects_are_held_back(
    tmp_path, count, held
):
    found = split(write(tmp_path, count), folds=0)
    assert len(found.sample.normal) == held
    assert len(found.fitted) == count - held
    assert (
        found.sample.source == f"{held} of {count} pictures of the "
        "fitting folder"
    )


@pytest.mark.parametrize("holdout", [0, 1, -0.5, 1.5])
def test_shares_out_of_range_are_refused(tmp_path, holdout):
    with pytest.raises(InputError, match="a share between 0 and 1"):
        split(write(tmp_path, 10), holdout=holdout)


def test_held_back_pictures_stand_in_a_folder_of_their_own(tmp_path):
    train = write(tmp_path / "train", 4)
    held = write(tmp_path / "held", 3, first=50)
    found = split(train, held_back=held)
    assert names(found.sample.normal) == ["50.png", "51.png", "52.png"]
    assert found.sample.source == "pictures given for it"
    assert not found.sample.anomalous


def test_labelled_pictures_are_normal_and_anomalous(tmp_path):
    train = write(tmp_path / "train", 4)
    write(tmp_path / "test" / "good", 2, first=50)
    write(tmp_path / "test" / "hole", 3, first=60)
    found = split(train, labelled=tmp_path / "test")
    assert names(found.sample.normal) == ["50.png", "51.png"]
    assert len(found.sample.anomalous) == 3


def test_both_kinds_of_labels_are_needed(tmp_path):
    train = write(tmp_path / "train", 4)
    write(tmp_path / "test" / "good", 2, first=50)
    with pytest.raises(InputError, match="got 2 normal, 0 anomalous"):
        split(train, labelled=tmp_path / "test")


def test_one_sample_places_the_threshold(tmp_path):
    with pytest.raises(InputError, match="expected one of them"):
        split(tmp_path, held_back=tmp_path, labelled=tmp_path)


def test_a_picture_that_is_fitted_on_does_not_place_the_threshold(tmp_path):
    train = write(tmp_path / "train", 4)
    held = write(tmp_path / "held", 3, first=2)
    with pytest.raises(
        InputError,
        match=r"got 2 held-back pictures .* as well, .*02\.png first",
    ):
        split(train, held_back=held)


@pytest.mark.parametrize(
    ("count", "more", "said"),
    [
        (3, {"folds": 5}, "got 3 pictures; expected at least 4"),
        (1, {}, "got 1 pictures; expected at least 4, 2 to fit to beside 2"),
        (2, {}, "got 2 pictures; expected at least 4"),
        (3, {"holdout": 0.5}, "got 3 pictures; expected at least 4"),
        (5, {"holdout": 0.9}, r"got 1 pictures to fit to \(4 held back\)"),
        (4, {"folds": 2}, None),
    ],
)
def test_too_few_pictures_are_refused(tmp_path, count, more, said):
    folder = write(tmp_path, count)
    if said is None:
        assert len(split(folder, **more).fitted) == count
        return
    with pytest.raises(InputError, match=said):
        split(folder, **more)


def test_one_held_back_picture_places_no_threshold(tmp_path):
    train = write(tmp_path / "train", 4)
    held = write(tmp_path / "held", 1, first=50)
    with pytest.raises(InputError, match="got 1 held-back picture; expected"):
        split(train, held_back=held)


def test_unreadable_pictures_are_all_named(tmp_path):
    write(tmp_path, 6)
    pictures = [Picture(p.name, p) for p in sorted(tmp_path.iterdir())]
    refuse_unreadable(pictures)
    (tmp_path / "01.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"01\.png.* cannot be read"):
        refuse_unreadable(pictures)
    (tmp_path / "04.png").write_bytes(b"no picture")
    with pytest.raises(
        InputError, match=r"^2 of 6 pictures cannot be"
    ) as error:
        refuse_unreadable(pictures)
    assert "01.png" in str(error.value)
    assert "04.png" in str(error.value)
