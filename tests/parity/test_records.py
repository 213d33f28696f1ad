"""Rows of certificates: left-out numbers, and pictures in words."""

import math

import pytest

from tests.parity.rows import cell, counts, stage


def test_numbers_that_json_lacks_become_null():
    content = cell(score_error=math.nan, batch_error=math.inf).to_json()
    assert content["score_error"] is None
    assert content["batch_error"] is None


def test_figures_of_a_map_are_left_out_without_one():
    assert {"map_error", "mask_iou"} <= cell().to_json().keys()
    content = cell(map_error=None, mask_iou=None).to_json()
    assert not {"map_error", "mask_iou"} & content.keys()
    assert "image_auroc" in content


@pytest.mark.parametrize(
    ("error", "exceeds"),
    [(1e-4, False), (1.1e-4, True), (None, True), (math.nan, True)],
)
def test_a_stage_exceeds_its_limit_if_its_error_is_no_number(error, exceeds):
    assert stage(error=error, allowed=1e-4).exceeds_limit == exceeds


def test_the_users_own_pictures_are_all_but_the_generated():
    made = counts(total=20, blended=5, extreme=4, synthetic=3)
    assert made.own == 8


def test_labels_and_masks_are_counted_in_words():
    new = counts(labelled=8, anomalous=2, masked=6)
    assert new.of_labels == "of 6 normal, 2 anomalous"
    assert new.of_masks == "of 6 pictures"
    old = counts(labelled=8)
    assert old.of_labels == "of 8 labelled"
    assert old.of_masks == "of uncounted pictures"
