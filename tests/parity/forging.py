"""Bundles that state something else, with hashes that are right again."""

import json
import re

import onnx

from anomedge.bundle import Bundle, write_manifest
from tests.conftest import RUNTIMES

ONE = ("--runtime", RUNTIMES[0], "--batch", "1")


def sign(root, **changed):
    """Make the manifest right again after files or statements were changed, as anybody can."""
    content = json.loads((root / "manifest.json").read_bytes())
    fields = {
        name: value
        for name, value in content.items()
        if name not in {"files", "digest"}
    }
    (root / "manifest.json").unlink()
    write_manifest(root, fields | changed)
    return Bundle.open(root)


def statement(root, name):
    return json.loads((root / "manifest.json").read_bytes())[name]


def decided(root, **changed):
    return {"decision": statement(root, "decision") | changed}


def host(root):
    return json.loads((root / "certificates" / "host.json").read_bytes())


def remove_contracts(root):
    """Remove the contract from every graph, as graphs of earlier releases have none."""
    for path in root.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        if model.metadata_props:
            del model.metadata_props[:]
            path.write_bytes(model.SerializeToString(deterministic=True))
    for path in root.glob("openvino/*.xml"):
        text = path.read_text()
        section = re.compile("<anomedge>.*?</anomedge>", re.DOTALL)
        path.write_text(section.sub("", text))
