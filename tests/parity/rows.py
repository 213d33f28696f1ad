"""Rows of certificates that pass."""

from anomedge.parity.certificate import TOLERANCES, Certificate
from anomedge.parity.records import (
    Cell,
    CheckResult,
    Diagnosis,
    PictureCount,
    StageDeviation,
    Subject,
)
from anomedge.parity.verdict import CLAUSES


def cell(**changed):
    given = {
        "runtime": "ort",
        "version": "1",
        "running_on": "CPU",
        "precision": "fp32",
        "batch": 1,
        "pictures": 8,
        "score_error": 1e-6,
        "map_error": 2e-6,
        "batch_error": None,
        "worst": "a.png",
        "flips": (),
        "smallest_margin": 0.1,
        "mask_iou": 1.0,
        "image_auroc": None,
        "image_auroc_change": None,
        "pixel_auroc": None,
        "pixel_auroc_change": None,
        "failures": (),
    }
    return Cell(**(given | changed))


def check(**changed):
    given = {
        "runtime": "ort",
        "kind": "contract",
        "name": "output score",
        "passed": True,
    }
    return CheckResult(**(given | changed))


def contract(runtime="ort", precision="fp32"):
    """A check of every clause."""
    return tuple(
        check(runtime=runtime, precision=precision, name=clause)
        for clause in CLAUSES
    )


def stage(name="distances", **changed):
    given = {
        "runtime": "ort",
        "precision": "fp32",
        "name": name,
        "error": 1e-6,
        "allowed": 1e-4,
        "picture": "a.png",
        "where": "",
        "passed": True,
    }
    return StageDeviation(**(given | changed))


def finding(**changed):
    given = {
        "runtime": "ort",
        "precision": "fp32",
        "stage": None,
        "passed": True,
        "text": "every stage is within its share",
    }
    return Diagnosis(**(given | changed))


def counts(**changed):
    given = {
        "total": 10,
        "labelled": 8,
        "blended": 0,
        "fitted": 0,
        "extreme": 2,
        "resized": 0,
        "synthetic": 0,
        "distinct": 8,
        "levels": 0,
        "scaled": 0,
        "sizes": (),
        "nearest": 0.1,
        "above": 4,
        "below": 4,
    }
    return PictureCount(**(given | changed))


def certificate(**changed):
    """A certificate of one runtime at batch 1 that passes without a caution."""
    given = {
        "bundle": "0" * 64,
        "about": Subject(graphs={}, golden="", decision="", pictures=""),
        "reference": "eager torch",
        "machine": {},
        "tools": {},
        "scale": 10.0,
        "threshold": 40.0,
        "tolerances": dict(TOLERANCES),
        "pictures": counts(),
        "cells": (cell(),),
        "checks": contract(),
    }
    return Certificate(**(given | changed))
