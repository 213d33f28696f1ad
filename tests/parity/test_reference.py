"""References: the decision of the model file before the manifest's, and local thresholds over both."""

from types import SimpleNamespace

from anomedge.bundle import LocalSettings
from anomedge.images import Picture
from anomedge.parity.reference import Original, Reference
from anomedge.resample import Geometry
from tests.parity.examples import DECISION, outputs

STATED = DECISION.model_copy(update={"threshold": 7.0})


def reference(decision=None):
    original = decision and Original("0" * 64, decision, Geometry((4, 4)), {})
    pictures = [Picture("a"), Picture("b/c")]
    return Reference("x", pictures, outputs([1, 2]), original=original)


def bundle(local=None):
    return SimpleNamespace(
        manifest=SimpleNamespace(decision=STATED), local=local
    )


def test_names_are_those_of_the_pictures():
    assert reference().names == ["a", "b/c"]


def test_the_model_files_decision_counts_before_the_manifests():
    assert reference().exported_decision(bundle()) == STATED
    assert reference(DECISION).exported_decision(bundle()) == DECISION


def test_local_thresholds_are_in_force_over_the_exports():
    own = bundle(LocalSettings(threshold=3.0))
    assert reference().decision_in_force(own).threshold == 3
    found = reference(DECISION).decision_in_force(own)
    assert found == DECISION.model_copy(update={"threshold": 3.0})
    assert reference(DECISION).exported_decision(own) == DECISION
    assert reference().decision_in_force(bundle()) == STATED
