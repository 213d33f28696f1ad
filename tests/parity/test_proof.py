"""The certificate of a whole proof."""

import pytest

from anomedge.errors import BundleError, InputError
from anomedge.export.proof import reference_from_model
from anomedge.images import read_folders
from anomedge.parity import Plan, Reference, prove
from anomedge.parity.golden import read_golden
from tests.conftest import FRAME, RUNTIMES
from tests.parity.faulty_stages import plan_of_one


def test_against_eager_torch(bundle, models, model_paths, pictures, detector):
    given = read_folders([pictures / "test"])[:3]
    reference = reference_from_model(
        models[detector], model_paths[detector], given, FRAME, blended=0
    )
    certificate = prove(
        bundle, reference, plan_of_one(RUNTIMES[0]), stages=True
    )
    assert certificate.passed, certificate.failures
    assert [row.name for row in certificate.stages] == list(
        bundle.manifest.stages
    )
    assert all(
        row.picture in {picture.name for picture in reference.pictures}
        for row in certificate.stages
    )


def test_stages_are_refused_for_a_reference_without_stages(bundle):
    reference = read_golden(bundle)
    blind = Reference("another runtime", reference.pictures, reference.outputs)
    with pytest.raises(InputError, match="--model"):
        prove(bundle, blind, plan_of_one(RUNTIMES[0]), stages=True)


@pytest.mark.parametrize("plan", [Plan([], (1,)), Plan(RUNTIMES, ())])
def test_an_empty_plan_is_refused(bundle, plan):
    with pytest.raises(InputError, match="nothing would be compared"):
        prove(bundle, read_golden(bundle), plan)


def test_a_precision_that_the_bundle_has_not_is_refused(bundle):
    plan = Plan(RUNTIMES, (1,), "fp16")
    with pytest.raises(BundleError, match="got precision 'fp16'"):
        prove(bundle, read_golden(bundle), plan)
