"""The contract of a session: types, shapes, refusals, and copies in a batch."""

from types import SimpleNamespace

import numpy as np

from anomedge.bundle import Bundle
from anomedge.bundle.contracts import InputContract, OutputContract
from anomedge.errors import InputError, RuntimeFailure
from anomedge.parity.comparison import Comparison
from anomedge.parity.contract import check_contract, check_copies
from anomedge.parity.golden import read_golden
from anomedge.parity.verdict import CLAUSES
from anomedge.verification import plan_of
from tests.conftest import RUNTIMES
from tests.parity.sessions import Session


def test_copies_of_a_picture_are_run_as_a_batch(bundle_paths):
    """A fixed batch is filled up with copies of its last picture, so a graph may not know them from others."""
    bundle = Bundle.open(bundle_paths["padim"])
    reference = read_golden(bundle)

    class KnowsCopies:
        name = RUNTIMES[0]

        def run(self, feed):
            frames = feed["frames"]
            places = [
                next(
                    i
                    for i, p in enumerate(reference.pictures)
                    if (p.frame() == f).all()
                )
                for f in frames
            ]
            score, maps = (
                reference.outputs.score[places],
                reference.outputs.anomaly_map[places],
            )
            alike = all((frame == frames[0]).all() for frame in frames)
            return {
                "score": score * (not (alike and self.zeroes)),
                "anomaly_map": maps,
            }

    session = KnowsCopies()
    plan = plan_of(bundle, [RUNTIMES[0]], [1, 8])
    comparison = Comparison.of(bundle, reference, plan)
    for session.zeroes in (False, True):
        checks = check_copies(session, comparison, plan.batches)
        assert [(check.name, check.passed) for check in checks] == [
            ("copies at batch 8", not session.zeroes)
        ]


def refusing(feed):
    """A session that takes frames of the contract alone."""
    (name, frames), *_ = feed.items()
    if name != "frames" or frames.dtype != np.uint8:
        raise InputError("wrong input")
    if frames.shape[1:] != (4, 6, 3) or not len(frames):
        raise InputError("wrong shape")
    return {"score": np.zeros(len(frames), np.float32)}


def contract(function, batch="dynamic", outputs=((),)):
    manifest = SimpleNamespace(
        input=InputContract(height=4, width=6, batch=batch),
        outputs=[OutputContract(name="score", shape=each) for each in outputs],
        has_map=False,
    )
    return check_contract(Session(function), manifest)


def test_a_session_that_refuses_what_it_must_keeps_the_contract():
    checks = contract(refusing)
    expected = [clause for clause in CLAUSES if "anomaly_map" not in clause]
    assert [check.name for check in checks] == expected
    assert all(check.passed and not check.detail for check in checks)
    assert all(check.passed for check in contract(refusing, batch=3))


def test_inputs_that_are_taken_are_named():
    def taking(feed):
        frames = next(iter(feed.values()))
        return {"score": np.zeros(max(len(frames), 1), np.float32)}

    checks = {check.name: check for check in contract(taking)}
    assert checks.pop("output score").passed
    assert {check.detail for check in checks.values()} == {"was not refused"}


def test_a_runtime_that_breaks_down_has_not_refused():
    def failing(feed):
        try:
            return refusing(feed)
        except InputError as error:
            raise RuntimeFailure("vendor crashed") from error

    failed = [check.name for check in contract(failing) if not check.passed]
    assert len(failed) == 6
    assert all(name.startswith("refuses") for name in failed)


def test_outputs_of_another_type_or_shape_are_shown():
    def doubles(feed):
        return {k: v.astype(np.float64) for k, v in refusing(feed).items()}

    assert contract(doubles)[0].detail == "got float64 (1,)"
    (check, *_) = contract(refusing, outputs=[(1, 4, 4)])
    assert (check.passed, check.detail) == (False, "got float32 (1,)")
