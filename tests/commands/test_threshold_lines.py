"""Thresholds in words: of the manifest, of the device, and how sensitive they are."""

from pathlib import Path
from types import SimpleNamespace

from anomedge.bundle import LocalSettings
from anomedge.commands._threshold_lines import (
    local_note,
    planned_lines,
    sensitivity_lines,
    threshold_lines,
)
from anomedge.threshold import Sensitivity, SensitivityRow
from tests.parity.examples import DECISION, ORIGIN

MEASURED = Sensitivity(
    defects=40,
    auroc=0.9876,
    false_alarms=0.05,
    caught=0.75,
    kinds={"scratch": 0.5, "blur\x1b": 1.0},
    rows=(SensitivityRow(threshold=12.5, false_alarms=0.01, caught=0.5),),
)


PART = Path("part.anomedge")


def bundle(decision=DECISION, local=None, place=PART, **origin):
    origin = decision.origin.model_copy(update=origin)
    made = decision.model_copy(update={"origin": origin})
    in_force = local.applied_to(made) if local else made
    return SimpleNamespace(
        path=PART,
        local_path=place / "local.json",
        manifest=SimpleNamespace(decision=made),
        decision=in_force,
        local=local,
    )


def test_a_place_outside_the_bundle_is_named():
    local, place = LocalSettings(threshold=41.0), Path("state")
    path = str(place / "local.json")
    elsewhere = bundle(local=local, place=place)
    assert f"in force   {path}, which" in threshold_lines(elsewhere, local)[-1]
    assert local_note(elsewhere, local).startswith(f"{path} is in force")
    last = threshold_lines(bundle(place=place), None)[-1]
    assert last == f"in force   the manifest's: there is no {path}"


def test_without_synthetic_defects_there_is_no_table():
    assert sensitivity_lines(ORIGIN) == []


def test_the_table_ends_with_the_threshold_in_force():
    origin = ORIGIN.model_copy(update={"sensitivity": MEASURED})
    first, _, row, last = sensitivity_lines(origin)
    assert first.startswith("40 synthetic defects on the normal pictures")
    assert first.endswith("AUROC 0.988")
    assert row.split() == ["12.5", "1.0%", "50%"]
    assert last.strip() == (
        "in force: 5.0% false alarms, 75% caught (scratch 50%, blur\\x1b 100%)"
    )


def test_the_manifests_threshold_has_its_rule_and_margin():
    lines = threshold_lines(bundle(extrapolated=True, margin=0.5), None)
    assert lines == [
        "manifest   threshold 40, pixels 30: false-alarm rate 0.01 on 2 normal pictures (x); "
        "margin 5.00% of the scale, extrapolated",
        "in force   the manifest's: there is no local.json",
    ]


def test_an_imported_threshold_has_no_margin():
    given = bundle(rule="imported", normal=0, imported_from="a.ckpt")
    assert threshold_lines(given, None)[0].endswith(
        ": imported from a.ckpt; no pictures (x)"
    )


def test_a_device_moves_the_threshold_by_a_share_of_the_scale():
    local = LocalSettings(
        threshold=42.5, by="ada", when="today", pictures="line\x1b 3",
        alarms=2, count=6, rate=0.4, interval=(0.04, 0.78),
    )  # fmt: skip
    *_, own, counted, force = threshold_lines(bundle(local=local), local)
    assert own == "local      threshold 42.5: line\\x1b 3; ada, today"
    assert counted.strip() == (
        "2 of 6 above it, aimed at 0.4; with 95 % confidence the false-alarm rate is between 0.04 and 0.78"
    )
    assert force == (
        "in force   local.json, which moves the threshold by +25.0% of the scale"
    )


def test_a_dry_run_puts_nothing_in_force():
    new = LocalSettings(
        threshold=42.5, by="ada", when="now", pictures="by hand"
    )
    *_, planned, effect, force = planned_lines(bundle(), new)
    assert planned == "dry run    threshold 42.5: by hand; ada, now"
    assert effect.strip() == (
        "nothing was written; without --dry-run, local.json would move the threshold by +25.0% of the scale"
    )
    assert force == ("in force   still threshold 40, pixels 30, the manifest's")


def test_a_dry_run_of_a_reset_keeps_the_local_thresholds():
    local = LocalSettings(threshold=42.5)
    *_, planned, effect, force = planned_lines(bundle(local=local), None)
    assert planned == "dry run    the manifest's"
    assert effect.endswith("local.json would be removed")
    assert force == (
        "in force   still threshold 42.5, pixels 30, of local.json"
    )


def test_huge_thresholds_and_margins_are_not_infinite():
    for threshold in (1e308, -1e308):
        local = LocalSettings(threshold=threshold)
        lines = threshold_lines(bundle(local=local, margin=1e308), local)
        assert not any("inf%" in line for line in lines)
    assert lines[-1].endswith("moves the threshold by -1e+307 times the scale")
    assert lines[0].endswith("margin 1e+307 times the scale, extrapolated")


def test_settings_without_a_threshold_move_nothing():
    lines = threshold_lines(bundle(), LocalSettings(by="ada", when="now"))
    assert lines[-1] == "local      nothing: ; ada, now"


def test_synthetic_defects_are_one_line():
    lines = threshold_lines(bundle(sensitivity=MEASURED), None)
    assert lines[1].strip() == (
        "75% of 40 synthetic defects are above it, and 5.0% of the normal pictures; AUROC 0.988"
    )


def test_the_note_names_both_thresholds_and_the_author():
    local = LocalSettings(threshold=41.0, by="ada", when="today")
    assert local_note(bundle(local=local), local) == (
        "local.json is in force: threshold 41 (the manifest's: 40), pixels 30 (30); ada; today"
    )
    unsigned = LocalSettings(threshold=41.0)
    alone = DECISION.model_copy(update={"pixel_threshold": None})
    assert local_note(bundle(alone, unsigned), unsigned) == (
        "local.json is in force: threshold 41 (the manifest's: 40); it does not say who set it"
    )
