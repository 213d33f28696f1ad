"""A certificate as JUnit XML: one suite per runtime, failures as failed cases, text that XML can hold."""

from xml.etree import ElementTree as ET

from anomedge.parity.junit import is_own_junit, junit_xml
from anomedge.parity.records import BUNDLE
from tests.parity.rows import cell, certificate, check, contract, finding


def suites(proof):
    root = ET.fromstring(junit_xml(proof))
    assert root.tag == "testsuites"
    return {suite.get("name"): suite for suite in root}


def cases(suite):
    return {case.get("name"): case for case in suite.findall("testcase")}


def test_a_suite_counts_the_cells_and_checks_of_its_runtime():
    bundle = check(runtime=BUNDLE, kind="bundle", name="scale")
    found = suites(
        certificate(
            cells=(cell(), cell(runtime="ov")),
            checks=(bundle, *contract(), *contract("ov")),
        )
    )
    assert list(found) == ["anomedge.ort", "anomedge.ov", "anomedge.bundle"]
    suite = found["anomedge.ov"]
    assert suite.attrib == {
        "name": "anomedge.ov",
        "tests": "9",
        "failures": "0",
        "errors": "0",
    }
    assert next(iter(cases(suite))) == "fp32 batch 1"
    assert list(cases(found["anomedge.bundle"])) == ["bundle scale"]


def test_failures_have_their_reasons():
    proof = certificate(
        cells=(cell(failures=("score off", "1 labels flipped"), flips=("a",)),),
        checks=(check(passed=False, detail="was not refused"),),
        findings=(finding(passed=False, text="first: distances"),),
    )
    suite = suites(proof)["anomedge.ort"]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "3")
    found = cases(suite)
    assert next(iter(found)) == "fp32 stage by stage"
    failure = found["fp32 batch 1"].find("failure")
    assert failure.get("message") == "score off"
    assert failure.text == "score off\n1 labels flipped"
    failure = found["contract output score"].find("failure")
    assert failure.get("message") == "was not refused"


def test_numbers_are_in_the_output_of_a_case():
    proof = certificate(
        cells=(cell(map_error=None, mask_iou=None),),
        checks=(check(kind="stage", error=2e-5, tolerance=1e-4),),
    )
    found = cases(suites(proof)["anomedge.ort"])
    said = found["fp32 batch 1"].find("system-out").text
    assert said.startswith("8 pictures against eager torch: score off by 1.00e-06 of the scale, 0 flips")  # fmt: skip
    said = found["stage output score"].find("system-out").text
    assert said == "off by 2.00e-05, allowed 1e-04"


def test_cautions_are_properties():
    suite = suites(certificate(notes=("not run: x",)))["anomedge.ort"]
    (entry,) = suite.findall("properties/property")
    assert entry.attrib == {"name": "caution", "value": "not run: x"}
    assert suites(certificate())["anomedge.ort"].find("properties") is None


def test_characters_that_xml_lacks_are_replaced():
    name = "a\x00\x1b\ud800\ufffe<&>.png"
    proof = certificate(checks=(check(passed=False, detail=name),))
    case = cases(suites(proof)["anomedge.ort"])["contract output score"]
    assert case.find("failure").get("message") == "a????<&>.png"


def test_our_own_files_are_known(tmp_path):
    path = tmp_path / "j.xml"
    assert not is_own_junit(path)
    path.write_bytes(junit_xml(certificate()))
    assert is_own_junit(path)
    for other in (b"<testsuites/>", b"", b'{"a": 1}'):
        path.write_bytes(other)
        assert not is_own_junit(path)
    assert not is_own_junit(tmp_path)
