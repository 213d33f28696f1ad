"""Small decisions, outputs and comparisons for tests."""

import numpy as np

from anomedge.bundle import InputContract
from anomedge.images import Picture
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.comparison import Comparison
from anomedge.parity.outputs import Outputs
from anomedge.parity.reference import Reference
from anomedge.resample import Geometry
from anomedge.threshold import Decision, Origin

ORIGIN = Origin(
    rule="false-alarm-rate",
    rate=0.01,
    source="x",
    normal=2,
    anomalous=0,
    margin=1.0,
    extrapolated=True,
    pictures="y",
)
DECISION = Decision(
    threshold=40.0,
    pixel_threshold=30.0,
    minimum=30.0,
    maximum=50.0,
    scale=10.0,
    origin=ORIGIN,
)


def outputs(scores, value=1.0):
    """Outputs with these scores and maps of one constant."""
    return Outputs(
        np.array(scores, np.float32),
        np.full((len(scores), 1, 2, 2), value, np.float32),
    )


def generated(name, **fields):
    """A picture with the mark of a generated one, which its name begins with."""
    mark = name.partition("/")[0]
    made = (
        mark if mark in ("blended", "extreme", "level", "synthetic") else None
    )
    return Picture(name, generated=made, **fields)


def comparison(expected, names, decision=DECISION, **fields):
    """A comparison with the fp32 tolerance and frames of 4x4 pixels."""
    pictures = [
        each if isinstance(each, Picture) else generated(each) for each in names
    ]
    stages = fields.pop("stages", {})
    values = {
        "reference": Reference("x", pictures, expected, stages),
        "decision": decision,
        "exported_decision": decision,
        "tolerance": TOLERANCES["fp32"],
        "input": InputContract(height=4, width=4, batch="dynamic"),
        "geometry": Geometry((4, 4)),
    }
    return Comparison(**(values | fields))
