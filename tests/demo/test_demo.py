"""The whole job as the README has it, and that both detectors find what was planted."""

import pytest


@pytest.mark.slow
def test_demo_proves_both_detectors(demo):
    folder, outcomes = demo
    assert [o["detector"] for o in outcomes] == ["padim", "patchcore"]
    for outcome, image, pixel in zip(
        outcomes, (0.85, 0.93), (0.8, 0.93), strict=True
    ):
        certificate = outcome["certificate"]
        assert certificate["failures"] == []
        assert certificate["pictures"]["blended"] >= 20
        assert all(cell["flips"] == [] for cell in certificate["cells"])
        assert all(
            cell["image_auroc"] > image and cell["pixel_auroc"] > pixel
            for cell in certificate["cells"]
        )
        assert set(outcome["milliseconds"]) == {"onnxruntime", "openvino"}
    for detector in ("padim", "patchcore"):
        assert (
            folder / "demo-out" / f"{detector}-overlays.png"
        ).stat().st_size > 10_000
