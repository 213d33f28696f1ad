"""Contract checks of one session: output types, refused inputs and copies in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Manifest
from anomedge.errors import AnomedgeError, InputError
from anomedge.parity.comparison import Comparison
from anomedge.parity.expected import clauses
from anomedge.parity.outputs import FRAMES, Outputs
from anomedge.parity.records import CheckResult
from anomedge.parity.verdict import copies_at, failures_of_cell
from anomedge.progress import track
from anomedge.runtimes import Session, Tensors

__all__ = ["check_contract", "check_copies"]


def check_contract(session: Session, manifest: Manifest) -> list[CheckResult]:
    """Check output types and shapes, and that invalid inputs are refused."""
    batch = manifest.input.batch
    count = 1 if batch == "dynamic" else int(batch)
    shape = (count, *manifest.input.frame, 3)
    frames = np.zeros(shape, dtype=manifest.input.dtype)
    outputs = session.run({FRAMES: frames})
    checks = {}
    for promised in manifest.outputs:
        array = outputs[promised.name]
        same_type = array.dtype == promised.dtype
        same_shape = array.shape == (count, *promised.shape)
        name = f"output {promised.name}"
        checks[name] = _check(
            session,
            name,
            same_type and same_shape,
            f"got {array.dtype} {array.shape}",
        )
    for name, feed in _invalid_feeds(frames).items():
        refused = _is_refused(session, feed)
        checks[name] = _check(session, name, refused, "was not refused")
    return [checks[name] for name in clauses(manifest.has_map)]


def check_copies(
    session: Session, comparison: Comparison, batches: Sequence[int]
) -> Iterator[CheckResult]:
    """Check batches of copies of one picture.

    An inspector fills up a fixed batch with copies. The pictures with the
    lowest and the highest score are checked at every batch size above 1.
    """
    scores = np.asarray(comparison.reference.outputs.score, dtype=np.float64)
    places = {int(scores.argmin()), int(scores.argmax())}
    larger = [batch for batch in batches if batch > 1]
    title = f"{session.name}, copies in a batch"
    for batch in track(larger, title, total=len(larger)):
        failures: list[str] = []
        for place in places:
            failures += _failures_of_copies(session, comparison, place, batch)
        yield _check(
            session, copies_at(batch), not failures, "; ".join(failures)
        )


def _failures_of_copies(
    session: Session, comparison: Comparison, place: int, batch: int
) -> tuple[str, ...]:
    """Run one picture `batch` times in a batch; list the failures."""
    pixels = comparison.reference.pictures[place].frame(comparison.frame)
    outputs = session.run({FRAMES: np.repeat(pixels[None], batch, axis=0)})
    difference = comparison.difference(Outputs.of(outputs), [place] * batch)
    return failures_of_cell(difference, None, comparison.tolerance)


def _invalid_feeds(frames: npt.NDArray[Any]) -> dict[str, Tensors]:
    """Return inputs that every session must refuse, by the contract clause."""
    takes_floats = frames.dtype == np.float32
    other_floats = np.float64 if takes_floats else np.float32
    feeds: dict[str, npt.NDArray[Any]] = {
        "refuses float frames": frames.astype(other_floats),
        "refuses another size": frames[:, :-1],
        "refuses one channel": frames[..., :1],
        "refuses no batch axis": frames[0],
        "refuses an empty batch": frames[:0],
    }
    named = {clause: {FRAMES: array} for clause, array in feeds.items()}
    return named | {"refuses another name": {"images": frames}}


def _is_refused(session: Session, feed: Tensors) -> bool:
    try:
        session.run(feed)
    except InputError:
        return True
    except AnomedgeError:
        return False
    return False


def _check(
    session: Session, name: str, passed: bool, detail: str
) -> CheckResult:
    return CheckResult(
        runtime=session.name,
        kind="contract",
        name=name,
        detail="" if passed else detail,
        passed=bool(passed),
    )
