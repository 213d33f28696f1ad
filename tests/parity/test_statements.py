"""What a manifest states of golden frames and value ranges; how each of its fields is proven."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from anomedge.bundle import Bundle, Golden, Manifest
from anomedge.bundle.ranges import Range
from anomedge.parity.golden import read_golden
from anomedge.parity.manifest import check_manifest
from anomedge.parity.reference import GoldenOutputs, Original
from anomedge.parity.statements import (
    STATEMENTS,
    faults_of_statements,
    needs_ranges,
)
from anomedge.verification import plan_of
from tests.conftest import RUNTIMES
from tests.parity.forging import sign, statement

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"


def test_every_field_of_the_manifest_is_listed():
    fields = [name for name in Manifest.model_fields if name != "golden"]
    fields += [f"golden.{name}" for name in Golden.model_fields]
    assert sorted(STATEMENTS) == sorted(fields)


def test_the_documentation_has_the_table():
    lines = SECURITY.read_text().splitlines()
    rows = [f"| `{name}` | {how} |" for name, how in STATEMENTS.items()]
    assert [row for row in rows if row not in lines] == []


def against(bundle, labels=(), ranges=None):
    """Faults with a model file that gives the stored outputs, and with pictures that have labels by their names."""
    stored = read_golden(bundle)
    named = dict(labels)
    pictures = [
        replace(picture, name=f"given/{i}", anomalous=named.get(picture.name))
        for i, picture in enumerate(stored.pictures)
    ]
    manifest = bundle.manifest
    original = Original(
        manifest.model,
        manifest.decision,
        manifest.geometry,
        manifest.licence,
        GoldenOutputs(stored, stored),
        ranges=ranges,
    )
    reference = replace(
        stored, source="eager torch", pictures=pictures, original=original
    )
    return faults_of_statements(bundle, reference)


def changed(copy, place, **fields):
    golden = statement(copy, "golden")
    golden[place] |= fields
    return sign(copy, golden=golden)


def test_an_exported_bundle_has_no_fault(bundle):
    given = {e.name: e.anomalous for e in bundle.manifest.golden}
    assert against(bundle, given) == {"golden statements": ""}
    stored = read_golden(bundle)
    assert faults_of_statements(bundle, stored) == {"golden statements": ""}
    other = replace(stored, source="onnxruntime")
    assert faults_of_statements(bundle, other) == {}


def test_a_label_is_that_of_the_same_picture(copy):
    first = statement(copy, "golden")[0]
    wrong = not first["anomalous"]
    bundle = changed(copy, 0, anomalous=wrong)
    faults = against(bundle, {first["name"]: first["anomalous"]})
    assert (
        faults["golden statements"]
        == f"{first['name']!r} is labelled {wrong}; {not wrong} in the pictures given"
    )
    assert against(bundle) == {"golden statements": ""}


def test_an_extreme_frame_is_the_generated_one(copy):
    names = [entry["name"] for entry in statement(copy, "golden")]
    black, white = (names.index(f"extreme/{n}") for n in ("black", "white"))
    bundle = changed(copy, black, name="extreme/white")
    assert against(bundle)["golden statements"].startswith("'extreme/white'")
    bundle = changed(copy, black, name="extreme/dark")
    assert against(bundle)["golden statements"].startswith("'extreme/dark'")
    # The mark tells, not the name.
    assert against(changed(copy, white, name="good/1.png"))[
        "golden statements"
    ].startswith("'extreme/dark'")


def test_a_folder_of_the_user_may_be_named_as_generated_pictures(copy):
    assert "generated" not in statement(copy, "golden")[0]
    bundle = changed(copy, 0, name="extreme/1.png")
    assert against(bundle) == {"golden statements": ""}


def test_bundles_without_marks_tell_by_names(copy):
    known = [
        picture.generated for picture in read_golden(Bundle.open(copy)).pictures
    ]
    golden = statement(copy, "golden")
    for entry in golden:
        entry.pop("generated", None)
    bundle = sign(copy, golden=golden)
    made = [picture.generated for picture in read_golden(bundle).pictures]
    assert made == known
    assert {"blended", "extreme"} <= {*known}


@pytest.mark.parametrize("mark", [None, "synthetic"])
def test_the_source_fits_the_marks(copy, mark):
    golden = statement(copy, "golden")
    source = "synthetic" if mark is None else "pictures"
    if mark is not None:
        golden[0]["generated"] = mark
    bundle = sign(copy, golden=golden, golden_source=source)
    assert against(bundle)["golden statements"].startswith(
        f"golden_source is {source!r}"
    )


LAYER = Range(part="backbone", name="conv", halved=True, seen=10.0)
WEIGHT = Range(part="backbone", name="w", halved=True, seen=2.0, bound=2.0)
HEAD = Range(part="head", name="square", seen=10.0, bound=99.0, least=0.1)
ALL = (LAYER, WEIGHT, HEAD)


def of_ranges(bundle, computed, stated):
    changed = bundle.manifest.model_copy(update={"ranges": stated})
    made = SimpleNamespace(manifest=changed)
    original = SimpleNamespace(golden=None, ranges=computed)
    reference = SimpleNamespace(source="eager torch", original=original)
    return faults_of_statements(made, reference)["ranges"]


def moved(quantity, **values):
    return tuple(
        each.model_copy(update=values) if each is quantity else each
        for each in ALL
    )


@pytest.mark.parametrize(
    ("stated", "fault"),
    [
        (ALL, ""),
        (moved(LAYER, seen=100.0), ""),
        (moved(LAYER, seen=161.0), "conv is seen 161.0"),
        (moved(LAYER, seen=0.6), "conv is seen 0.6"),
        (moved(LAYER, halved=False), "conv is seen 10.0"),
        (moved(WEIGHT, seen=2.001, bound=2.001), ""),
        (moved(WEIGHT, bound=2.1), "w is seen 2.0, bound 2.1"),
        (moved(HEAD, bound=700.0), ""),
        (moved(HEAD, bound=None), "square is seen 10.0, bound None"),
        (moved(HEAD, least=0.2), "square is seen 10.0, bound 99.0, least 0.2"),
        (ALL[:2], "square is not stated"),
        ((*ALL, moved(HEAD, name="x")[2]), "x is not one of the model's"),
    ],
)  # fmt: skip
def test_ranges_are_the_models(bundle_paths, stated, fault):
    bundle = Bundle.open(bundle_paths["padim"])
    found = of_ranges(bundle, ALL, stated)
    assert found.startswith(fault)
    assert bool(found) is bool(fault)


def test_half_networks_need_ranges(copy):
    assert not needs_ranges(Bundle.open(copy).manifest)
    fp32 = statement(copy, "variants")["fp32"]
    half = sign(copy, variants={"fp32": fp32, "fp16": fp32})
    assert needs_ranges(half.manifest)
    bundle = sign(copy, ranges=[LAYER.model_dump()], variants={"fp32": fp32})
    assert needs_ranges(bundle.manifest)


@pytest.mark.slow
def test_ranges_of_an_exported_fp16_bundle_hold_and_forged_ones_fail(
    models, model_paths, pictures, tmp_path
):
    from anomedge.export.bundling import ExportOptions, export
    from anomedge.export.proof import reference_from_model
    from anomedge.images import read_folders
    from tests.conftest import FRAME

    root = tmp_path / "part.anomedge"
    export(
        model_paths["padim"],
        root,
        ExportOptions(
            frame=FRAME,
            golden=[pictures / "test"],
            precisions=["fp16"],
            runtimes=[RUNTIMES[0]],
            batches=[1],
        ),
    )
    given = read_folders([pictures / "test"])[:3]
    bundle = Bundle.open(root)
    reference = reference_from_model(
        models["padim"], model_paths["padim"], given, FRAME, 0, bundle
    )
    plan = plan_of(bundle, [RUNTIMES[0]], [1], "fp16")
    found = {c.name: c for c in check_manifest(bundle, reference, plan)}
    assert found["ranges"].passed
    shutil.rmtree(root / "certificates")
    ranges = [
        each | {"seen": 1.0, "bound": 1.0} for each in statement(root, "ranges")
    ]
    forged = sign(root, ranges=ranges)
    found = {c.name: c for c in check_manifest(forged, reference, plan)}
    assert not found["ranges"].passed
    forged = sign(root, ranges=[])
    found = {c.name: c for c in check_manifest(forged, reference, plan)}
    assert "is not stated" in found["ranges"].detail
