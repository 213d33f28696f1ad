"""Errors planted into the stages of exported graphs."""

from anomedge.parity import Comparison, Plan
from anomedge.parity.golden import read_golden
from anomedge.parity.localise import localise
from tests.parity.planting import (
    altered,
    blurred_more,
    by_half_a_pixel,
    nearest_pixel,
    rebuilt,
    scaled_score,
)

FIRST_LEVEL = {"padim": "features/blocks.1", "patchcore": "features/blocks.2"}
STATISTICS = {"padim": "permute_6", "patchcore": "bank.centre"}


def larger(values):
    return values * 1.01


def shifted(values):
    return values + 0.01


def planted(plant, detector, share=1.0):
    """Return an edit of a graph, scaled by `share`, and the faulty stage."""
    return {
        "resize to the nearest pixel": (
            altered("frontend.columns", nearest_pixel, share),
            "preprocessed",
        ),
        "resize by half a pixel": (
            altered("frontend.rows", by_half_a_pixel, share),
            "preprocessed",
        ),
        "first layer scaled": (
            altered("conv_stem", larger, share),
            FIRST_LEVEL[detector],
        ),
        "middle layer scaled": (
            altered("blocks.2.0.conv_exp", larger, share),
            "features/blocks.2",
        ),
        "last level scaled": (
            altered("blocks.3.0.conv_pw.", larger, share),
            "features/blocks.3",
        ),
        "input's mean shifted": (
            altered("pipeline.mean", shifted, share),
            FIRST_LEVEL[detector],
        ),
        "statistics' mean shifted": (
            altered(STATISTICS[detector], shifted, share),
            "distances",
        ),
        "map scaled": (altered("to_map.rows", larger, share), "anomaly_map"),
        "map blurred more": (blurred_more(share), "anomaly_map"),
        "score scaled": (scaled_score(share), "score"),
    }[plant]


PLANTS = (
    "resize to the nearest pixel", "resize by half a pixel", "first layer scaled", "middle layer scaled", "last level scaled",
    "input's mean shifted", "statistics' mean shifted", "map scaled", "map blurred more", "score scaled",
)  # fmt: skip


def plan_of_one(runtime):
    return Plan([runtime], (1,), threads=1)


def localised(bundle, runtime):
    """Rows of the stages by name, and the diagnosis."""
    plan = plan_of_one(runtime)
    comparison = Comparison.of(bundle, read_golden(bundle), plan)
    rows, diagnosis = localise(bundle, comparison, plan, runtime)
    return {row.name: row for row in rows}, diagnosis


def share_of_limit(row):
    """Largest fraction of its two limits that a stage reaches."""
    return max(row.error / row.allowed, row.effect / row.effect_allowed)


def near_the_limit(whole, plant, runtime, folder):
    """Return edits of any multiple of the stage's limit, and the stage."""
    small = 1e-2
    edit, stage = planted(plant, whole.manifest.detector, small)
    rows, _ = localised(
        rebuilt(whole, folder / "small.anomedge", edit), runtime
    )
    unit = small / share_of_limit(rows[stage])
    return lambda multiple: planted(
        plant, whole.manifest.detector, multiple * unit
    )[0], stage
