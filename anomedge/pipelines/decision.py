"""Place the threshold of a fitted detector from the scores of a sample, by a rule."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes
from anomedge.images import Picture
from anomedge.images.distributions import distributions_of_pictures
from anomedge.pipelines.crossfit import Scored, ScoredSample
from anomedge.pipelines.sensitivity import LEAST_PICTURES, sensitivity
from anomedge.threshold import (
    Cut,
    Decision,
    Origin,
    Scores,
    TailFit,
    by_f1,
    spread,
)
from anomedge.threshold_rules.balanced import by_balanced_accuracy
from anomedge.threshold_rules.labelled import by_recall
from anomedge.threshold_rules.outliers import far_above, without_outliers
from anomedge.threshold_rules.rate import by_robust_rate

__all__ = [
    "RULES",
    "InsensitiveWarning",
    "OutlierWarning",
    "Rule",
    "SmallSampleWarning",
    "ThresholdSample",
    "place_threshold",
]

RuleName = Literal["rate", "balanced", "labelled"]
RULES: tuple[RuleName, ...] = ("rate", "balanced", "labelled")

_MOST_MISSED = 0.2
_LEAST_AUROC = 0.8
_MOST_NAMED = 10


class SmallSampleWarning(UserWarning):
    """The sample is too small for the false-alarm rate, so the threshold was extrapolated."""


class InsensitiveWarning(UserWarning):
    """The threshold misses more than a fifth of the synthetic defects, or the detector does not separate them."""


class OutlierWarning(UserWarning):
    """Some normal pictures score far above the others: defects among the normals?"""


@dataclass(frozen=True)
class Rule:
    """How a threshold is placed.

    Args:
        name: "rate", "balanced" or "labelled"; None: by the sample, see `resolved`.
        rate: false-alarm rate aimed at, in (0, 1), for "rate".
        most_false_alarms: cap on the false-alarm rate, in (0, 1), for "balanced".
        recall: share of the anomalous pictures to catch, in (0, 1], for "labelled"; None: the best F1.
    """

    name: RuleName | None = None
    rate: float = 0.01
    most_false_alarms: float = 0.1
    recall: float | None = None

    @classmethod
    def named(
        cls,
        name: str | None,
        rate: float | None,
        most_false_alarms: float | None,
        recall: float | None,
    ) -> Rule:
        """Return the rule of a name from a command line; a number that one rule alone takes selects that rule.

        Raises:
            InputError: no such rule, or a number that the rule does not take.
        """
        numbers = {
            "rate": ("--rate", rate),
            "balanced": ("--max-false-alarms", most_false_alarms),
        }
        given = [
            rule for rule, (_, value) in numbers.items() if value is not None
        ]
        chosen = name or (given[0] if given else None)
        for rule in given:
            if rule != chosen:
                raise InputError(
                    f"got {numbers[rule][0]} with the rule {chosen}; expected it with the rule {rule} alone: leave it out"
                )
        for known in (*RULES, None):
            if chosen == known:
                return cls(
                    known,
                    cls.rate if rate is None else rate,
                    cls.most_false_alarms
                    if most_false_alarms is None
                    else most_false_alarms,
                    recall,
                )
        raise InputError(
            f"got the rule {name!r}; expected one of: {', '.join(RULES)}"
        )

    def require(self, normal: int) -> None:
        """Refuse too few normal pictures, before the fit.

        Args:
            normal: number of normal pictures that place the threshold.

        Raises:
            InputError: fewer than the rule `balanced` needs.
        """
        if self.name == "balanced" and normal < LEAST_PICTURES:
            raise InputError(
                f"got {normal} normal pictures that place the threshold by the rule balanced; expected at least "
                f"{LEAST_PICTURES}: give more, hold more back, or --rule rate"
            )

    def check(self, labelled: bool) -> None:
        """Refuse options that contradict each other, before the fit.

        Raises:
            InputError: a number out of range, or a rule without its pictures.
        """
        for name, share in (
            ("false-alarm rate", self.rate),
            ("largest false-alarm rate", self.most_false_alarms),
        ):
            if not 0 < share < 1:
                raise InputError(
                    f"got a {name} of {share}; expected one between 0 and 1, such as 0.01"
                )
        if self.name is not None and (self.name == "labelled") != labelled:
            raise InputError(
                f"got the rule {self.name} {'with' if labelled else 'without'} labelled pictures; "
                f"expected the rule labelled if and only if --labelled gives some"
            )
        if self.recall is None:
            return
        if not labelled:
            raise InputError(
                "got a target recall without labelled pictures; expected some: give them with --labelled"
            )
        if not 0 < self.recall <= 1:
            raise InputError(
                f"got a target recall of {self.recall}; expected a share in (0, 1], such as 0.95"
            )


@dataclass(frozen=True)
class ThresholdSample:
    """Pictures that place the threshold.

    Attributes:
        normal: normal pictures.
        anomalous: anomalous pictures; with some, the rule is "labelled".
        source: where they come from, for the bundle's manifest.
        folds: places of each fold's normal pictures, if they are fitted to as well; empty if they are not.
    """

    normal: Sequence[Picture]
    anomalous: Sequence[Picture]
    source: str
    folds: Sequence[Sequence[int]] = ()


class _Placed(NamedTuple):
    """A threshold, the name of its rule in files, the rate aimed at, and the tail that placed it."""

    cut: Cut
    rule: Literal["false-alarm-rate", "f1", "balanced", "recall"]
    rate: float | None = None
    tail: TailFit | None = None


def place_threshold(
    scored: ScoredSample, sample: ThresholdSample, rule: Rule
) -> Decision:
    """Return thresholds of score and map, if there is one, the range of scores, and their scale.

    Args:
        scored: scores of the sample's pictures, in their order.
        sample: the pictures.
        rule: how to place the thresholds.

    Raises:
        InputError: the score of every picture is 0, or the rule lacks its pictures.
    """
    normal, anomalous = scored.normal, scored.anomalous
    if not anomalous.scores.any():
        _refuse_constant_zero(normal.scores)
    name = _resolved(rule, scored)
    placed = _place(name, rule, scored, _scores)
    pixels = None
    if normal.peaks is not None:
        pixels = _place(name, rule, scored, _peaks).cut.value
    every = np.concatenate([normal.scores, anomalous.scores])
    origin = _origin(placed, scored, sample, rule)
    _warn(placed, origin, scored, rule)
    return Decision(
        threshold=placed.cut.value,
        pixel_threshold=pixels,
        minimum=float(every.min()),
        maximum=float(every.max()),
        scale=spread(without_outliers(normal.scores)),
        origin=origin,
    )


def _resolved(rule: Rule, scored: ScoredSample) -> RuleName:
    """Return the rule's name; by default labelled or balanced, and rate with too few pictures for a balance."""
    if len(scored.anomalous):
        return "labelled"
    rule.require(len(scored.normal))
    if rule.name is not None:
        return rule.name
    return "balanced" if len(scored.synthetic) else "rate"


def _place(
    name: RuleName,
    rule: Rule,
    scored: ScoredSample,
    of: Callable[[Scored], Scores],
) -> _Placed:
    """Place one threshold: that of scores, or that of the largest values of maps."""
    normal = of(scored.normal)
    if name == "rate":
        cut, tail = by_robust_rate(normal, rule.rate)
        return _Placed(cut, "false-alarm-rate", rule.rate, tail)
    if name == "balanced":
        cap = rule.most_false_alarms
        cut = by_balanced_accuracy(normal, of(scored.synthetic), cap)
        return _Placed(cut, "balanced", cap)
    if rule.recall is not None:
        cut = by_recall(normal, of(scored.anomalous), rule.recall)
        return _Placed(cut, "recall")
    return _Placed(by_f1(normal, of(scored.anomalous)), "f1")


def _scores(part: Scored) -> Scores:
    return part.scores


def _peaks(part: Scored) -> Scores:
    return np.empty(0) if part.peaks is None else part.peaks


def _origin(
    placed: _Placed, scored: ScoredSample, sample: ThresholdSample, rule: Rule
) -> Origin:
    pictures = [*sample.normal, *sample.anomalous]
    digests = "".join(str(picture.digest) for picture in pictures)
    found = far_above(scored.normal.scores)[:_MOST_NAMED]
    synthetic = scored.synthetic
    measured = (
        sensitivity(
            scored.normal.scores,
            synthetic.scores,
            synthetic.kinds,
            placed.cut.value,
        )
        if len(synthetic)
        else None
    )
    return Origin(
        rule=placed.rule,
        rate=placed.rate,
        source=sample.source,
        normal=len(sample.normal),
        anomalous=len(sample.anomalous),
        margin=placed.cut.margin,
        extrapolated=placed.cut.extrapolated,
        pictures=sha256_of_bytes(digests.encode()),
        recall=rule.recall if placed.rule == "recall" else None,
        folds=len(sample.folds) or None,
        outliers=tuple(sample.normal[i].name for i in found),
        tail=placed.tail,
        sensitivity=measured,
        caught=_above(placed, scored.anomalous),
        alarms=_above(placed, scored.normal) if sample.anomalous else None,
        normals=distributions_of_pictures(scored.normal.scores, sample.normal),
    )


def _above(placed: _Placed, scored: Scored) -> int | None:
    """Return the number of scores above the threshold; None without scores."""
    if not len(scored):
        return None
    return int((scored.scores > placed.cut.value).sum())


def _refuse_constant_zero(normal: Scores) -> None:
    """Refuse scores without a scale: of features that are equal in all pictures, as of a dead channel, or of likelihoods of 0."""
    if not normal.any():
        raise InputError(
            f"got score 0 for all {normal.size} normal pictures; expected them to differ: if the features are the same "
            f"in each, give other --layers or --weights, or more --features; if a detector was trained on few pictures, "
            f"fewer --epochs, or --patience"
        )


def _warn(
    placed: _Placed, origin: Origin, scored: ScoredSample, rule: Rule
) -> None:
    normal = scored.normal
    messages = (
        (SmallSampleWarning, _of_small_sample(placed, len(normal), rule)),
        (OutlierWarning, _of_outliers(origin, len(far_above(normal.scores)))),
        (InsensitiveWarning, _of_sensitivity(origin)),
        (InsensitiveWarning, _of_alarms(origin, rule)),
    )
    for category, message in messages:
        if message:
            warnings.warn(message, category, stacklevel=4)


def _of_small_sample(placed: _Placed, count: int, rule: Rule) -> str:
    cut = placed.cut
    if placed.rule != "false-alarm-rate" or not cut.extrapolated:
        return ""
    if count * rule.rate >= 1:
        return (
            f"got {count} scores too many of which are equal for a false-alarm rate of {rule.rate:g}; the threshold "
            f"lies {cut.margin:.4g} above the largest: give other pictures with --held-back"
        )
    needed = int(np.ceil(1 / rule.rate))
    if placed.tail is not None:
        return (
            f"got {count} normal pictures; expected at least {needed} for a false-alarm rate of {rule.rate:g}: the "
            f"threshold was extrapolated by a tail model, to between {placed.tail.low:.4g} and {placed.tail.high:.4g} "
            f"with 95 % confidence; give more pictures"
        )
    return (
        f"got {count} normal pictures; expected at least {needed} for a false-alarm rate of {rule.rate:g}: the threshold "
        f"lies {cut.margin:.4g} above the largest score, where about 1 normal picture in {count + 1} may still pass it; "
        f"give more pictures"
    )


def _of_outliers(origin: Origin, count: int) -> str:
    """Return the message on scores far above the others; `origin` names the highest ones only."""
    if not count:
        return ""
    return (
        f"{count} of the {origin.normal} normal pictures that placed the threshold score far above the others: look at "
        f"{', '.join(origin.outliers)}; expected normal pictures only: move away those that show a defect, and fit again"
    )


def _of_sensitivity(origin: Origin) -> str:
    measured = origin.sensitivity
    if measured is None:
        return ""
    if measured.auroc < _LEAST_AUROC:
        return (
            f"this detector does not separate these pictures: AUROC {measured.auroc:.2f} against synthetic defects; "
            f"expected at least {_LEAST_AUROC}: try another detector, other layers of features, or larger images"
        )
    if measured.caught >= 1 - _MOST_MISSED:
        return ""
    advice = (
        "allow more with --max-false-alarms of `fit` or `import`"
        if origin.rule == "balanced"
        else "give `fit` or `import` --rule balanced, or a higher --rate"
    )
    return (
        f"the threshold misses {1 - measured.caught:.0%} of {measured.defects} synthetic defects at a false-alarm rate "
        f"of {measured.false_alarms:.1%}; expected at most {_MOST_MISSED:.0%}: {advice}"
    )


def _of_alarms(origin: Origin, rule: Rule) -> str:
    """Return the message on a threshold placed by labels that many of the normal pictures exceed."""
    alarms = origin.alarms or 0
    if alarms <= rule.most_false_alarms * origin.normal:
        return ""
    return (
        f"the threshold catches {origin.caught} of {origin.anomalous} labelled anomalous pictures, and calls {alarms} of "
        f"{origin.normal} normal ones anomalous: this detector does not separate them; try another detector, other "
        f"layers of features, larger images, or a lower target recall"
    )
