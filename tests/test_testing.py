"""The proof in a user's own tests, and as JUnit."""

import dataclasses
import xml.etree.ElementTree as ET

import pytest

from anomedge.errors import InputError
from anomedge.parity.junit import junit_xml
from anomedge.pipelines.model import save
from anomedge.testing import WeakProofWarning, assert_parity
from tests.commands.running import run
from tests.conftest import RUNTIMES
from tests.parity.conftest import copy as copy
from tests.parity.forging import decided, remove_contracts, sign


def test_against_golden_frames(bundle, runtime):
    certificate = assert_parity(bundle.path, runtime=runtime, batches=(1, 2))
    assert {cell.runtime for cell in certificate.cells} == {runtime}
    assert certificate.reference == "golden frames"


def test_against_eager_torch(bundle, detector, model_paths, pictures):
    certificate = assert_parity(
        bundle,
        RUNTIMES[0],
        str(pictures / "test"),
        model=model_paths[detector],
        batches=(2,),
    )
    assert certificate.reference == "eager torch"
    assert certificate.pictures.total > 10


def test_runtimes_against_one_another(bundle, pictures):
    with pytest.warns(WeakProofWarning, match="no proof against the original"):
        alone = assert_parity(bundle, images=[pictures / "train"], batches=(1,))
    assert "runtimes only" in alone.reference
    with pytest.raises(InputError, match="two runtimes"):
        assert_parity(bundle, RUNTIMES[0], images=pictures / "train")


def test_a_threshold_that_was_signed_again_is_warned_of(copy):
    """Also in the graphs: here none of them states it."""
    remove_contracts(copy)
    sign(copy, **decided(copy, threshold=1e6))
    with pytest.warns(
        WeakProofWarning, match="only the bundle vouches"
    ) as seen:
        certificate = assert_parity(copy, RUNTIMES[0], batches=(1,))
    assert certificate.verdict_line in str(seen[0].message)
    assert "passed against golden frames on" in certificate.verdict_line


def test_an_unsigned_certificate_that_vouches_is_named(copy):
    certificate = assert_parity(copy, RUNTIMES[0], batches=(1,))
    assert "for which host.json vouches, unsigned" in certificate.verdict_line


def test_a_failure_is_an_assertion(tampered):
    with pytest.raises(AssertionError, match="score off by"):
        assert_parity(tampered, RUNTIMES[0], batches=(1,))


def test_another_detector_is_refused(bundle_paths, model_paths):
    with pytest.raises(InputError, match="is another detector than"):
        assert_parity(
            bundle_paths["padim"],
            RUNTIMES[0],
            model=model_paths["patchcore"],
            batches=(1,),
        )


@pytest.mark.slow
def test_another_fit_of_the_detector_is_said(bundle_paths, models, tmp_path):
    model = models["padim"]
    path = tmp_path / "again.safetensors"
    save(
        dataclasses.replace(
            model, card=model.card.model_copy(update={"seed": 7})
        ),
        path,
    )
    with pytest.warns(UserWarning, match="is not the file that"):
        assert_parity(
            bundle_paths["padim"], RUNTIMES[0], model=path, batches=(1,)
        )


def test_junit_of_a_proof(bundle_paths, tmp_path):
    assert (
        run(
            "verify",
            bundle_paths["padim"],
            "--batch",
            "1",
            "2",
            "--junit",
            tmp_path / "j.xml",
            "--json",
        )
        == 0
    )
    root = ET.parse(tmp_path / "j.xml").getroot()
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == [
        f"anomedge.{name}" for name in (*RUNTIMES, "bundle")
    ]
    assert {suite.get("failures") for suite in root} == {"0"}
    assert [case.get("name") for case in root[-1].iter("testcase")] == [
        f"bundle {name}"
        for name in (
            "tolerances",
            "graphs",
            "operators",
            "scale",
            "stages",
            "interfaces",
            "opset",
            "weights",
            "segments",
            "golden statements",
        )
    ]
    for suite in root[:-1]:
        names = [case.get("name") for case in suite.iter("testcase")]
        assert int(suite.get("tests")) == len(names) == len(set(names))
        assert {
            "fp32 batch 1",
            "fp32 batch 2",
            "stage score",
            "contract refuses another size",
        } <= set(names)


def test_junit_of_a_failed_proof(tampered, tmp_path, capfd):
    path = tmp_path / "j.xml"
    assert (
        run(
            "verify",
            tampered,
            "--runtime",
            RUNTIMES[0],
            "--batch",
            "1",
            "--junit",
            path,
        )
        == 3
    )
    suite, _ = ET.parse(path).getroot()
    failed = [
        case
        for case in suite.iter("testcase")
        if case.find("failure") is not None
    ]
    assert int(suite.get("failures")) == len(failed) >= 1
    assert "score off by" in failed[0].find("failure").text
    assert run("verify", tampered, "--junit", tmp_path / "no" / "j.xml") == 2
    assert run("verify", tampered, "--runtime", "caffe", "--junit", path) == 2
    assert not path.exists()
    path.write_text("notes")
    assert run("verify", tampered, "--runtime", "caffe", "--junit", path) == 2
    assert path.read_text() == "notes"


def test_junit_is_xml_whatever_pictures_are_called(bundle):
    certificate = assert_parity(bundle, RUNTIMES[0], batches=(1,))
    cell = certificate.cells[0].model_copy(
        update={"failures": ("<b>\x00\x1b & \ud800 'x\"",)}
    )
    suite = ET.fromstring(
        junit_xml(certificate.model_copy(update={"cells": (cell,)}))
    )[0]
    assert (
        suite.find("testcase").find("failure").get("message")
        == "<b>?? & ? 'x\""
    )
