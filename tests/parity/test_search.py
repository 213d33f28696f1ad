"""What the stages of an INT8 search prove, picture by picture."""

import numpy as np
import pytest

from anomedge.bundle import Int8Search
from anomedge.errors import BundleError
from anomedge.parity import search
from anomedge.parity.search import SearchProof, check_search, notes_on_search
from tests.parity.examples import comparison
from tests.parity.sessions import Session, reference

RECORD = Int8Search(candidates=8, limit=127, bytes=100)


def stages(distances, proven, excess):
    names = ("distances", "search/proven", "search/excess")
    values = (distances, proven, excess)
    return {
        name: np.array(value, np.float32).reshape(1, 1, 1, -1)
        for name, value in zip(names, values, strict=True)
    }


def test_a_picture_is_exact_if_its_most_distant_patch_is_proven():
    found = SearchProof.of_picture(stages([1, 5, 2], [0, 1, 1], [0.5, 0, 0]))
    assert found == SearchProof(patches=3, proven=2, pictures=1, exact=1)


def test_the_excess_of_the_largest_distance_is_bounded_by_the_others():
    # The distance of 5 can be 3 in truth, but then 4 is the largest one.
    found = SearchProof.of_picture(stages([1, 5, 4], [1, 0, 1], [0, 2, 0]))
    assert (found.exact, found.excess) == (0, 1.0)
    found = SearchProof.of_picture(stages([1, 5, 4], [1, 0, 0], [0, 2, 2]))
    assert found.excess == 2.0


def test_the_check_tells_shares_and_always_passes():
    by_value = {
        30: stages([1, 5], [1, 1], [0, 0]),
        50: stages([1, 5], [1, 0], [0, 2]),
    }
    session = Session(lambda feed: by_value[int(feed["frames"][0, 0, 0, 0])])
    made = comparison(None, [], reference=reference(30, 50))
    (check,) = check_search(session, made, RECORD)
    assert (check.kind, check.passed) == ("search", True)
    assert check.detail == (
        "75.00% of the patches are proven, and the most distant patch of 1 of 2 pictures, by the graph's own "
        "statement, which is not checked; the largest distance of the others is too large by at most 2.0e-01 of the scale"
    )
    assert not [*check_search(session, made, None)]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        stages([1.0], [0.5], [0.0]),
        stages([1.0], [1.0], [-1.0]),
        stages([1.0], [1.0], [np.nan]),
    ],
)
def test_impossible_stages_are_refused(wrong):
    with pytest.raises(BundleError, match="export again"):
        SearchProof.of_picture(wrong)


def test_a_processor_that_saturates_is_named(monkeypatch):
    monkeypatch.setattr(search, "instruction_sets", lambda: {"avx2"})
    monkeypatch.setattr(search, "adds_byte_products", lambda: False)
    (note,) = notes_on_search(RECORD)
    assert "may saturate" in note
    assert not [*notes_on_search(RECORD.model_copy(update={"limit": 64}))]
    assert not [*notes_on_search(None)]
    monkeypatch.setattr(search, "adds_byte_products", lambda: True)
    assert not [*notes_on_search(RECORD)]
