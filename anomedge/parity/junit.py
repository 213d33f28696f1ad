"""Write a certificate as JUnit XML for CI servers.

One suite per runtime and one for the bundle; one case per cell and per check. If stages
were examined, the first case names the faulty stage.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from anomedge.files import NotPlainError, open_plain
from anomedge.parity.certificate import Certificate
from anomedge.parity.records import BUNDLE, Cell, CheckResult, Diagnosis

__all__ = ["is_own_junit", "junit_xml"]

_NOT_XML = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


_BEGINNING = re.compile(rb"<\?xml [^>]*\?>\s*<testsuites name=\"anomedge\"")


def is_own_junit(path: Path) -> bool:
    """Whether a file begins as those of `junit_xml` do; False if it cannot be read."""
    try:
        with open_plain(path) as file:
            return _BEGINNING.match(file.read(256)) is not None
    except (OSError, NotPlainError):
        return False


def junit_xml(certificate: Certificate) -> bytes:
    """Return the certificate as a JUnit file in UTF-8; failures are failed cases."""
    root = ET.Element("testsuites", name="anomedge")
    runtimes = [cell.runtime for cell in certificate.cells]
    runtimes += [check.runtime for check in certificate.checks]
    for runtime in sorted(
        dict.fromkeys(runtimes), key=lambda name: name == BUNDLE
    ):
        cells = [
            _of_cell(cell, certificate.reference)
            for cell in certificate.cells
            if cell.runtime == runtime
        ]
        checks = [
            _of_check(check)
            for check in certificate.checks
            if check.runtime == runtime
        ]
        suite = ET.SubElement(root, "testsuite", name=f"anomedge.{runtime}")
        _add_cautions(suite, certificate)
        diagnoses = [
            _of_diagnosis(diagnosis)
            for diagnosis in certificate.findings
            if diagnosis.runtime == runtime
        ]
        suite.extend([*diagnoses, *cells, *checks])
        cases = suite.findall("testcase")
        failed = sum(case.find("failure") is not None for case in cases)
        suite.attrib |= {
            "tests": str(len(cases)),
            "failures": str(failed),
            "errors": "0",
        }
    ET.indent(root)
    return (
        bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
    )


def _add_cautions(suite: ET.Element, certificate: Certificate) -> None:
    """Add the certificate's cautions as properties of the suite."""
    if certificate.cautions:
        properties = ET.SubElement(suite, "properties")
        for caution in certificate.cautions:
            ET.SubElement(
                properties, "property", name="caution", value=_clean(caution)
            )


def _of_cell(cell: Cell, reference: str) -> ET.Element:
    errors = f"score off by {cell.score_error:.2e}"
    if cell.map_error is not None:
        errors += f", map by {cell.map_error:.2e}"
    summary = (
        f"{cell.pictures} pictures against {reference}: {errors} of the scale, {len(cell.flips)} flips, "
        f"smallest margin {cell.smallest_margin:.2e}"
    )
    return _case(
        cell.runtime,
        f"{cell.precision} batch {cell.batch}",
        summary,
        list(cell.failures),
    )


def _of_check(check: CheckResult) -> ET.Element:
    error = (
        ""
        if check.error is None
        else f"off by {check.error:.2e}, allowed {check.tolerance:.0e}"
    )
    return _case(
        check.runtime,
        f"{check.kind} {check.name}",
        error,
        [] if check.passed else [check.detail],
    )


def _of_diagnosis(diagnosis: Diagnosis) -> ET.Element:
    name = f"{diagnosis.precision} stage by stage"
    return _case(
        diagnosis.runtime,
        name,
        diagnosis.text,
        [] if diagnosis.passed else [diagnosis.text],
    )


def _case(
    runtime: str, name: str, output: str, failures: list[str]
) -> ET.Element:
    case = ET.Element(
        "testcase", classname=f"anomedge.{runtime}", name=_clean(name)
    )
    if failures:
        failure = ET.SubElement(case, "failure", message=_clean(failures[0]))
        failure.text = _clean("\n".join(failures))
    if output:
        ET.SubElement(case, "system-out").text = _clean(output)
    return case


def _clean(text: str) -> str:
    """Replace characters that XML cannot hold; a picture's name may have some."""
    return _NOT_XML.sub("?", text)
