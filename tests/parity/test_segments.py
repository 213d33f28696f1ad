"""Stages from given earlier stages: a stage computed alone, errors carried on, and levels that are cut apart."""

import numpy as np
import pytest

from anomedge.errors import BundleError
from anomedge.parity.segments import GIVEN, Segments
from anomedge.runtimes.specs import TensorSpec
from tests.parity.examples import comparison
from tests.parity.sessions import Session, reference

NAMES = ["preprocessed", "features/a", "features/b", "distances"]


def chain(feed, factor=2.0, apart=True):
    """Each stage from the one before it; `apart`: level b is computed from the given level a."""
    pixels = feed["frames"].mean(axis=(1, 2, 3))[:, None]
    a = factor * feed[GIVEN + "preprocessed"]
    return {
        "preprocessed": pixels,
        "features/a": a,
        "features/b": (feed[GIVEN + "features/a"] if apart else a) + 1,
        "distances": feed[GIVEN + "features/b"] * 10,
    }


def segments(function=chain, inputs=None, outputs=NAMES):
    session = Session(function)
    given = [GIVEN + name for name in NAMES[:-1]] if inputs is None else inputs
    session.inputs = {"frames": TensorSpec("uint8", (None, 4, 4, 3))}
    session.inputs |= {name: TensorSpec("float32", (None, 1)) for name in given}
    session.outputs = dict.fromkeys(outputs)
    original = reference(3)
    stages = {
        name: np.array([[value]], np.float32)
        for name, value in zip(NAMES, (3, 6, 7, 70), strict=True)
    }
    original.stages[0] = stages
    made = comparison(None, [], reference=original)
    return Segments(session, made, NAMES), stages


def plain(tensors):
    return [float(tensors[name][0, 0]) for name in NAMES]


def test_every_stage_is_computed_from_the_given_ones():
    cut, stages = segments()
    assert plain(cut.run(0, stages)) == [3, 6, 7, 70]
    moved = stages | {"features/a": np.array([[9.0]], np.float32)}
    assert plain(cut.run(0, moved)) == [3, 6, 10, 70]


def test_an_error_is_carried_on_by_the_stages_after_it():
    """Level a of the copy is three times its input, not twice."""
    cut, stages = segments(lambda feed: chain(feed, factor=3.0))
    own = cut.run(0, stages)
    assert plain(own) == [3, 9, 7, 70]
    carried = cut.propagated(0, ["preprocessed"], own)
    assert plain(carried) == [3, 9, 10, 100]
    known = ["preprocessed", "features/a"]
    assert plain(cut.propagated(0, known, own)) == [3, 6, 7, 70]


@pytest.mark.parametrize(
    ("apart", "groups"),
    [
        (True, [["preprocessed"], ["features/a"], ["features/b"], ["distances"]]),
        (False, [["preprocessed"], ["features/a", "features/b"], ["distances"]]),
    ],
)  # fmt: skip
def test_levels_that_are_not_cut_apart_are_one_group(apart, groups):
    cut, _ = segments(lambda feed: chain(feed, apart=apart))
    assert cut.groups() == groups


@pytest.mark.parametrize(
    "wrong",
    [{"inputs": []}, {"inputs": [GIVEN + "features/a"]}, {"inputs": [GIVEN + "preprocessed", "x"]}, {"outputs": NAMES[1:]}],
)  # fmt: skip
def test_another_graph_is_refused(wrong):
    with pytest.raises(
        BundleError, match=r"expected the stages .*export again"
    ):
        segments(**wrong)


def test_stages_are_given_as_floats():
    with pytest.raises(BundleError, match="export again"):
        session = Session(chain)
        session.inputs = {
            "frames": TensorSpec("uint8", (None, 4, 4, 3)),
            GIVEN + "preprocessed": TensorSpec("int64", (None, 1)),
        }
        session.outputs = dict.fromkeys(NAMES)
        Segments(session, None, NAMES)


def test_a_stage_of_another_shape_is_refused():
    def wide(feed):
        stages = chain(feed)
        return stages | {"distances": np.zeros((1, 2))}

    cut, stages = segments(wide)
    with pytest.raises(BundleError, match=r"stage distances is \(1, 2\)"):
        cut.run(0, stages)
