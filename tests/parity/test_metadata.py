"""Metadata of graphs, and the contract that every shipped graph carries, against the manifest."""

import pytest

from anomedge.parity import metadata as module


@pytest.mark.parametrize(
    ("faults", "content"),
    [
        (module.faults_of_properties, b"\xca\x01\x00"),
        (module.faults_of_model_info, b'<!DOCTYPE net [<!ENTITY a "b">]><net/>'),
        (module.faults_of_model_info, b"<net"),
    ],
)  # fmt: skip
def test_files_that_are_not_valid_are_named_and_not_read(faults, content):
    (fault,) = faults(content, {"labels": "a b"})
    assert fault.startswith(("has ", "is no valid "))


def test_an_ir_is_compared_as_openvino_reads_it_where_it_is_installed(
    monkeypatch,
):
    def as_read(content, weights, section):
        return {"labels": "b a"}

    monkeypatch.setattr(module, "rt_info_as_read", as_read)
    (fault,) = module.faults_of_section(b"", b"", expected={"labels": "a b"})
    assert fault == "as OpenVINO reads it: labels 'b a'; expected 'a b'"
    assert module.faults_of_section(b"", b"", expected={"labels": "b a"}) == []

    def broken(content, weights, section):
        raise RuntimeError("no\n such opset")

    monkeypatch.setattr(module, "rt_info_as_read", broken)
    (fault,) = module.faults_of_section(b"", b"")
    assert fault == "OpenVINO cannot read it (no such opset)"

    def absent(content, weights, section):
        raise ImportError

    monkeypatch.setattr(module, "rt_info_as_read", absent)
    assert module.faults_of_section(b"", b"", expected={"labels": "a b"}) == []


def test_a_layout_without_metadata_of_model_api_has_none():
    entry = b"<net><layers/><rt_info><model_info><a value='1'/></model_info></rt_info></net>"
    assert module.faults_of_model_info(b"<net><layers/></net>", {}) == []
    assert module.faults_of_model_info(entry, {}) == ["a '1'; expected 'none'"]
