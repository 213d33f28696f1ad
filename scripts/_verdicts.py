"""Judge the verdicts of proofs by other means: a mutated bundle that departs from its original must not pass.

The untouched original stands in for the model file: its decision, its geometry and what eager Torch said of its golden
frames. What is compared here is little, and none of it with the product's own comparison: scores and labels of the
golden frames, and the statements of the manifest.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from anomedge.bundle import Bundle
from anomedge.images import Picture
from anomedge.parity import Plan, prove
from anomedge.parity.compare import collect
from anomedge.parity.golden import read_golden
from anomedge.parity.plan import Original, Reference
from anomedge.parity.stored import stored_certificates

__all__ = ["Oracle", "false_certificates"]

_LIMITS = {"score": 1e-4, "map": 1e-4, "batch": 1e-5, "pixels": 1e-5, "stage": 1e-4}
_SLACK = 2.0
"""Of the tolerance: a copy's score may differ from the original's by one, and the two are compared here, not with eager."""


class Oracle:
    """What the original says, and whether a proof of a mutated copy may pass."""

    def __init__(self, original: Bundle, runtimes: tuple[str, ...]) -> None:
        self._bundle, self._runtimes = original, runtimes
        golden = read_golden(original)
        # In memory: a trial must not read the original.
        pictures = [Picture(picture.name, pixels=picture.frame()) for picture in golden.pictures]
        golden = replace(golden, pictures=pictures)
        decision, geometry = original.manifest.decision, original.manifest.geometry
        model = Original(original.manifest.model, decision, geometry, golden)
        self._reference = Reference("eager torch", golden.pictures, golden.outputs, golden.stages, original=model)

    def false_passes(self, copy: Bundle) -> list[str]:
        """Prove a copy as with its model file and as a device does; each pass that must not be, in words."""
        found = []
        plan = Plan(self._runtimes, (1,), threads=1)
        if prove(copy, self._reference, plan).passed:
            found += [f"false pass with the model: {why}" for why in (*self._departs(copy), *self._differs(copy))]
        if prove(copy, read_golden(copy), plan).passed:
            found += [f"false pass on golden frames: {why}" for why in _wider(copy)]
        return found

    def _departs(self, copy: Bundle) -> list[str]:
        """The manifest states something else."""
        got, wanted = copy.manifest, self._bundle.manifest
        fields = ("threshold", "pixel_threshold", "minimum", "maximum", "scale")
        wrong = [name for name in fields if getattr(got.decision, name) != getattr(wanted.decision, name)]
        return [*wrong, *(["geometry"] if got.image != wanted.image else []), *_wider(copy)]

    def _differs(self, copy: Bundle) -> list[str]:
        """A runtime scores a golden frame otherwise, or labels it otherwise."""
        frame, pictures = self._bundle.manifest.input.frame, self._reference.pictures
        decision, wanted = self._bundle.manifest.decision, np.asarray(self._reference.outputs.score, dtype=np.float64)
        scale = np.maximum(decision.scale, 0.05 * np.abs(wanted))
        wrong = []
        for name in self._runtimes:
            with Plan(self._runtimes, (1,), threads=1).open(copy, name) as session:
                score = np.asarray(collect(session, pictures, frame, 1).score, dtype=np.float64)
            if not (np.abs(score - wanted) / scale <= _SLACK * _LIMITS["score"]).all():
                wrong.append(f"{name} score off by {float((np.abs(score - wanted) / scale).max()):.1e} of the scale")
            if ((score > decision.threshold) != (wanted > decision.threshold)).any():
                wrong.append(f"{name} flips a label")
        return wrong


def _wider(copy: Bundle) -> list[str]:
    stated = copy.manifest.tolerances.get("fp32", {})
    return [f"tolerance of {name}" for name, limit in _LIMITS.items() if stated.get(name, 0.0) > limit * 1.001]


def false_certificates(bundle: Bundle) -> list[str]:
    """Certificates shown as passed although their own rows fail, or although they are about something else."""
    found = []
    for stored in stored_certificates(bundle):
        if stored.passed:
            content = json.loads((bundle.path / "certificates" / stored.name).read_bytes())
            found += [f"false certificate: {why}" for why in _wrong_rows(content, bundle)]
    return found


def _wrong_rows(content: dict[str, Any], bundle: Bundle) -> list[str]:
    wrong = [] if content["cells"] else ["no cells"]
    for cell in content["cells"]:
        errors = {"score": cell["score_error"], "map": cell["map_error"], "batch": cell["batch_error"] or 0.0}
        limits = {name: limit * content["widened"] for name, limit in _LIMITS.items()}
        wrong += [f"{name} error" for name, error in errors.items() if not 0 <= error <= limits[name]]
        wrong += ["a flip"] if cell["flips"] else []
    wrong += ["a check that failed"] if any(not check["passed"] for check in content["checks"]) else []
    wrong += ["another bundle"] if content["bundle"] != bundle.manifest.digest else []
    return wrong
