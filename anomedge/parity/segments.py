"""Run single stages, or the stages after one, on the graph that is cut at every tap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomedge.bundle import Bundle
from anomedge.bundle.variants import SEGMENTS, STAGES
from anomedge.errors import BundleError
from anomedge.parity.belonging import GIVEN, fault_of_segments
from anomedge.parity.comparison import Comparison
from anomedge.parity.deviations import deviation_between
from anomedge.parity.outputs import FRAMES
from anomedge.parity.plan import Plan
from anomedge.parity.stages import grouped_by_kind
from anomedge.runtimes import Session, Tensors, get, variant_of

__all__ = ["GIVEN", "Segments", "fault_of_cut_graph", "open_segments"]

_NOISE_FACTOR = 4
"""Factor on the run-to-run noise of a GPU above which a change is an effect."""


def fault_of_cut_graph(bundle: Bundle, plan: Plan) -> str:
    """Return why the plan's cut graph does not belong to its graph of stages; empty if it does."""
    variant = bundle.variant(variant_of(plan.precision))
    stages, cut = variant.graph(STAGES), variant.graph(SEGMENTS)
    fault = fault_of_segments(bundle.read(stages), bundle.read(cut))
    return fault and f"{cut} does not belong to {stages}: {fault}"


def open_segments(bundle: Bundle, plan: Plan, runtime: str) -> Session:
    """Open the cut graph under one runtime."""
    variant = bundle.variant(variant_of(plan.precision))
    files = variant.with_model(SEGMENTS)
    return get(runtime).from_variant(bundle, files, plan.options(runtime))


class Segments:
    """Stages of one session, each computed from given values of the others."""

    def __init__(
        self, session: Session, comparison: Comparison, names: list[str]
    ) -> None:
        """Check the session's inputs and outputs.

        Args:
            session: a session of the cut graph.
            comparison: the comparison with the original.
            names: the stages, in order.

        Raises:
            BundleError: the session's inputs or outputs are not the stages.
        """
        self.names = names
        self._session, self._comparison = session, comparison
        self._check_interface()

    def _check_interface(self) -> None:
        session, names = self._session, self.names
        known = {FRAMES, *(GIVEN + name for name in names)}
        required = {FRAMES, GIVEN + names[0]}
        is_cut = required <= session.inputs.keys() <= known
        has_stages = set(names) <= session.outputs.keys()
        takes_floats = all(
            name == FRAMES or spec.dtype.startswith("float")
            for name, spec in session.inputs.items()
        )
        if not (is_cut and takes_floats and has_stages):
            raise BundleError(
                f"{session.path}: takes {sorted(session.inputs)} and gives "
                f"{sorted(session.outputs)}; expected the stages {names}, each "
                f"from values given for the others: export again"
            )

    def run(self, place: int, given: Tensors) -> Tensors:
        """Compute every stage of a picture from the given values.

        Args:
            place: index of the picture in the reference.
            given: values (1, ...) of all stages.

        Raises:
            BundleError: a stage has another shape than the given value.
        """
        copies = self._comparison.smallest_batch
        feed = {
            name: np.repeat(array, copies, axis=0)
            for name, array in self._feed(place, given).items()
        }
        outputs = self._session.run(feed)
        for name in self.names:
            expected = (copies, *given[name].shape[1:])
            if outputs[name].shape != expected:
                raise BundleError(
                    f"{self._session.path}: stage {name} is "
                    f"{outputs[name].shape}; expected {expected}: export again"
                )
        return {name: outputs[name][:1] for name in self.names}

    def _feed(self, place: int, given: Tensors) -> Tensors:
        """Return the inputs (1, ...) for one picture."""
        picture = self._comparison.reference.pictures[place]
        feed: Tensors = {FRAMES: picture.frame(self._comparison.frame)[None]}
        for name, spec in self._session.inputs.items():
            if name != FRAMES:
                stage = given[name.removeprefix(GIVEN)]
                feed[name] = stage.astype(spec.dtype)
        return feed

    def propagated(
        self, place: int, correct: Sequence[str], own: Tensors
    ) -> Tensors:
        """Return every stage if the first stages are correct.

        The first stages have the original's values; the copy computes the
        others from them.

        Args:
            place: index of the picture in the reference.
            correct: names of the first stages.
            own: each stage as computed from correct values of the others,
                which is the first step of the propagation.
        """
        original = self._comparison.reference.stages[place]
        values = {
            name: original[name] if name in correct else own[name]
            for name in self.names
        }
        for _ in range(len(self.names) - len(correct) - 1):
            for name, array in self.run(place, values).items():
                if name not in correct:
                    values[name] = array
        return values

    def groups(self) -> list[list[str]]:
        """Group the stages that are not cut apart.

        A level of a backbone inherits no error of an earlier level if it
        changes with the value that is given for that level.
        """
        groups: list[list[str]] = []
        independent = self._independent_levels()
        for name in self.names:
            if name in independent:
                groups.append([])
            groups[-1].append(name)
        return groups

    def _independent_levels(self) -> set[str]:
        """Return the stages that depend on the given value of an earlier one.

        The first stage of each kind is one of them.
        """
        place, original = next(iter(self._comparison.reference.stages.items()))
        first, again = self.run(place, original), self.run(place, original)
        noise = {
            name: deviation_between(again[name], first[name], 1.0, "").error
            for name in self.names
        }
        independent: set[str] = set()
        for levels in grouped_by_kind(self.names):
            independent.add(levels[0])
            for level in levels[:-1]:
                changed = {**original, level: original[level] + 1}
                moved = self.run(place, changed)
                for name in levels:
                    error = deviation_between(
                        moved[name], first[name], 1.0, ""
                    ).error
                    if error > _NOISE_FACTOR * noise[name]:
                        independent.add(name)
        return independent
