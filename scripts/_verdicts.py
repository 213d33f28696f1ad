"""Independent check of the verdicts of proofs: a mutated bundle that differs from its original must not pass.

The unchanged original replaces the model file: decision, geometry and eager Torch's outputs for its golden frames. The
checks are few and use none of the product's comparison code: scores and labels of the golden frames, and the values of
the manifest.
"""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from anomedge.bundle import Bundle
from anomedge.images import Picture
from anomedge.parity import Plan, prove
from anomedge.parity.golden import read_golden
from anomedge.parity.outputs import collect
from anomedge.parity.reference import GoldenOutputs, Original, Reference
from anomedge.parity.stored import stored_certificates

__all__ = ["Oracle", "false_certificates"]

_LIMITS = {
    "score": 1e-4,
    "map": 1e-4,
    "batch": 5e-5,
    "pixels": 1e-5,
    "stage": 1e-4,
}
_SLACK = 2.0
"""Factor on the tolerances: original and copy may each be off by one tolerance, in opposite directions."""


class Oracle:
    """Results of the original bundle; decides whether a proof of a mutated copy may pass."""

    def __init__(self, original: Bundle, runtimes: tuple[str, ...]) -> None:
        self._bundle, self._runtimes = original, runtimes
        # A trial must not read the original's files.
        self._parts = _parts_of(original)
        golden = read_golden(original)
        # Keep the pictures in memory, because a trial must not read the original's files.
        pictures = [
            Picture(picture.name, pixels=picture.frame())
            for picture in golden.pictures
        ]
        golden = replace(golden, pictures=pictures)
        decision, geometry = (
            original.manifest.decision,
            original.manifest.geometry,
        )
        model = Original(
            original.manifest.model,
            decision,
            geometry,
            original.manifest.licence,
        )
        self._reference = Reference(
            "eager torch",
            golden.pictures,
            golden.outputs,
            golden.stages,
            original=model,
        )

    def false_passes(self, copy: Bundle) -> list[str]:
        """Prove a copy with the model file and on its golden frames; list the false passes, one line per reason."""
        found = []
        plan = Plan(self._runtimes, (1,), threads=1)
        stored = read_golden(copy)
        model = self._reference.original
        if model is not None:
            model = replace(
                model,
                golden=GoldenOutputs(self._reference, stored)
                if self._same_frames(stored)
                else None,
            )
        if prove(copy, replace(self._reference, original=model), plan).passed:
            reasons = [
                *self._manifest_differences(copy),
                *self._file_differences(copy),
                *self._output_differences(copy),
            ]
            found += [f"false pass with the model: {why}" for why in reasons]
        if prove(copy, stored, plan).passed:
            found += [
                f"false pass on golden frames: {why}"
                for why in (
                    *_widened_tolerances(copy),
                    *self._file_differences(copy),
                )
            ]
        return found

    def _same_frames(self, stored: Reference) -> bool:
        """Whether a copy's golden frames are the original's; eager Torch cannot be asked about others here."""
        names = [picture.name for picture in self._reference.pictures]
        return names == [picture.name for picture in stored.pictures]

    def _manifest_differences(self, copy: Bundle) -> list[str]:
        """List the values of the manifest that differ from the original's."""
        got, wanted = copy.manifest, self._bundle.manifest
        fields = ("threshold", "pixel_threshold", "minimum", "maximum", "scale")
        wrong = [
            name
            for name in fields
            if getattr(got.decision, name) != getattr(wanted.decision, name)
        ]
        return [
            *wrong,
            *(["geometry"] if got.image != wanted.image else []),
            *_widened_tolerances(copy),
        ]

    def _file_differences(self, copy: Bundle) -> list[str]:
        """List the files of graphs, and the statements on them, that differ; a bundle may have no IR."""
        found = _parts_of(copy)
        return [
            f"other parts of {name}"
            for name, wanted in self._parts.items()
            if name in found and found[name] != wanted
        ]

    def _output_differences(self, copy: Bundle) -> list[str]:
        """List the runtimes whose scores or labels of golden frames differ from the original's."""
        frame, pictures = (
            self._bundle.manifest.input.frame,
            self._reference.pictures,
        )
        decision, wanted = (
            self._bundle.manifest.decision,
            np.asarray(self._reference.outputs.score, dtype=np.float64),
        )
        scale = np.maximum(decision.scale, 0.05 * np.abs(wanted))
        wrong = []
        for name in self._runtimes:
            with Plan(self._runtimes, (1,), threads=1).open(
                copy, name
            ) as session:
                score = np.asarray(
                    collect(session, pictures, frame, 1).score, dtype=np.float64
                )
            if not (
                np.abs(score - wanted) / scale <= _SLACK * _LIMITS["score"]
            ).all():
                wrong.append(
                    f"{name} score off by {float((np.abs(score - wanted) / scale).max()):.1e} of the scale"
                )
            if (
                (score > decision.threshold) != (wanted > decision.threshold)
            ).any():
                wrong.append(f"{name} flips a label")
        return wrong


def _parts_of(bundle: Bundle) -> dict[str, object]:
    """Return the parts of the graphs' files, as the package `onnx` reads them, and the statements on them."""
    weights, ir = "openvino/model.bin", "openvino/model.xml"
    files, manifest = bundle.manifest.files, bundle.manifest
    parts: dict[str, object] = {
        name: _shape_of(onnx.load_from_string(bundle.read(name)))
        for name in ("model.onnx", "stages.onnx", "segments.onnx")
    }
    if weights in files:
        parts[weights] = files[weights].bytes
    if ir in files:
        parts[ir] = _contract_of_ir(bundle.read(ir).decode(errors="replace"))
    return parts | {
        "opset": manifest.opset,
        "golden_source": manifest.golden_source,
    }


def _contract_of_ir(text: str) -> list[str]:
    """Return the entries of the contract in an IR, and of any other section of that name."""
    return re.findall(r"<anomedge\b.*?</anomedge>", text, re.DOTALL)


def _shape_of(model: onnx.ModelProto) -> list[object]:
    graph = model.graph
    return [
        [value.name for value in graph.input],
        [value.name for value in graph.output],
        [tensor.name for tensor in graph.initializer],
        [node.op_type for node in graph.node],
        [(entry.key, entry.value) for entry in model.metadata_props],
    ]


def _widened_tolerances(copy: Bundle) -> list[str]:
    stated = copy.manifest.tolerances.get("fp32", {})
    return [
        f"tolerance of {name}"
        for name, limit in _LIMITS.items()
        if stated.get(name, 0.0) > limit * 1.001
    ]


def false_certificates(bundle: Bundle) -> list[str]:
    """List certificates shown as passed although their rows fail or they are about another bundle."""
    found = []
    for stored in stored_certificates(bundle):
        if stored.passed:
            content = json.loads(
                (bundle.path / "certificates" / stored.name).read_bytes()
            )
            found += [
                f"false certificate: {why}"
                for why in _wrong_rows(content, bundle)
            ]
    return found


def _wrong_rows(content: dict[str, Any], bundle: Bundle) -> list[str]:
    wrong = [] if content["cells"] else ["no cells"]
    for cell in content["cells"]:
        errors = {
            "score": cell["score_error"],
            "batch": cell["batch_error"] or 0.0,
        }
        if cell.get("map_error") is not None:
            errors["map"] = cell["map_error"]
        elif bundle.manifest.has_map:
            wrong += ["no map error"]
        limits = {
            name: limit * content.get("widened", 1.0)
            for name, limit in _LIMITS.items()
        }
        wrong += [
            f"{name} error"
            for name, error in errors.items()
            if not 0 <= error <= limits[name]
        ]
        wrong += ["a flip"] if cell["flips"] else []
        wrong += ["a margin"] if cell["smallest_margin"] < 0 else []
    kinds = {check["kind"] for check in content["checks"]}
    wrong += [
        f"no check of kind {kind}"
        for kind in ("bundle", "pixels", "stage", "contract")
        if kind not in kinds
    ]
    names = {check["name"] for check in content["checks"]}
    needed = ("rounded", "interfaces", "weights", "golden statements")
    wrong += [f"no check {name}" for name in needed if name not in names]
    if bundle.manifest.has_map and "map near the pixel threshold" not in names:
        wrong += ["no check of the map near the pixel threshold"]
    wrong += [] if content["about"]["graphs"] else ["no graphs"]
    wrong += [] if content["pictures"]["total"] > 0 else ["no pictures"]
    wrong += (
        ["a check that failed"]
        if any(not check["passed"] for check in content["checks"])
        else []
    )
    wrong += (
        ["another bundle"]
        if content["bundle"] != bundle.manifest.digest
        else []
    )
    return wrong
