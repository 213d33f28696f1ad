"""Origins of thresholds: their words, and the fields that files hold."""

import pytest

from anomedge.threshold.origin import Origin

PLACED = {
    "source": "a fold",
    "normal": 4,
    "anomalous": 0,
    "margin": 0.1,
    "extrapolated": False,
    "pictures": "",
}
IMPORTED = PLACED | {
    "rule": "imported",
    "normal": 0,
    "imported_from": "padim.ckpt (anomalib 2.7)",
}


def test_the_words_of_an_imported_threshold_tell_its_file_and_its_shift():
    raised = Origin(**IMPORTED, shift=0.25)
    lowered = Origin(**IMPORTED, shift=-0.25)
    source = "imported from padim.ckpt (anomalib 2.7)"
    assert raised.rule_in_words == f"{source}, raised by 0.25"
    assert lowered.rule_in_words == f"{source}, lowered by 0.25"
    assert Origin(**IMPORTED).rule_in_words == source


def test_the_words_of_a_sample_count_its_pictures():
    both = Origin(**(PLACED | {"rule": "f1", "anomalous": 2}))
    assert both.sample_in_words == "4 normal and 2 anomalous pictures (a fold)"
    assert both.scale_in_words == "the spread of normal scores"
    alone = Origin(**IMPORTED)
    assert alone.sample_in_words == "no pictures (a fold)"
    assert "5 % of the threshold" in alone.scale_in_words


@pytest.mark.parametrize("rule", ["f1", "imported"])
def test_absent_fields_are_left_out_of_files(rule):
    origin = Origin(**(PLACED | {"rule": rule}))
    assert set(origin.model_dump()) == {*PLACED, "rule", "rate"}
    assert Origin(**origin.model_dump()) == origin


def test_fields_that_are_set_are_written():
    origin = Origin(**IMPORTED, shift=0.25, ties=("a.png",))
    written = origin.model_dump(mode="json")
    assert written["shift"] == 0.25
    assert written["ties"] == ["a.png"]
    assert Origin.model_validate(written) == origin


def test_files_hold_the_given_fields_alone():
    fields = {
        "rule": "f1", "rate": None, "source": "", "normal": 1, "anomalous": 1, "margin": 1.0, "extrapolated": False,
        "pictures": "0",
    }  # fmt: skip
    assert Origin(**fields).model_dump(mode="json") == fields
    more = fields | {"rule": "recall", "recall": 0.9, "outliers": ["a.png"]}
    assert Origin(**more).model_dump(mode="json") == more
