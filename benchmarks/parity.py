"""Prove both detectors under both runtimes, at four batch sizes and three frame sizes: 48 cells.

    python benchmarks/parity.py -o benchmarks/results/parity.md

Each detector is fitted once; each frame size has its own pictures, four that were fitted on, extreme frames, and 20
blends within 1 % of the threshold. Exits with 3 if any cell fails.
"""

import argparse
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.errors import ProofFailed
from anomedge.export.bundling import ExportOptions, export
from anomedge.parity import Certificate
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import save
from anomedge.resample import Geometry

FRAMES = ((256, 256), (480, 640), (1080, 1920))
DETECTORS = ("padim", "patchcore")


def prove_all(
    work: Path, detectors: Sequence[str]
) -> dict[tuple[str, tuple[int, int]], Certificate]:
    """Return a certificate for each detector and frame size."""
    write_pictures(work / "fit", PictureSet(good=1, bad=1))
    known = work / "known"
    known.mkdir()
    for path in sorted((work / "fit" / "train" / "good").iterdir())[:4]:
        shutil.copy(path, known)
    certificates = {}
    for detector in detectors:
        model = work / f"{detector}.safetensors"
        options = FitOptions(
            Geometry((256, 256)),
            detector={
                "backbone": "tf_efficientnet_lite0",
                "weights": "efficientnet-lite0",
            },
            held_back=work / "fit" / "held_back",
        )
        save(fit(detector, work / "fit" / "train", options), model)
        for frame in FRAMES:
            folder = work / "x".join(map(str, frame))
            if not folder.exists():
                write_pictures(
                    folder,
                    PictureSet(
                        frame=frame, train=0, held_back=0, good=6, bad=3
                    ),
                )
            target = work / f"{detector}-{folder.name}.anomedge"
            certificates[detector, frame] = export(
                model,
                target,
                ExportOptions(frame=frame, golden=[folder / "test", known]),
            )
            print(detector, frame, "proven", file=sys.stderr, flush=True)
    return certificates


def table(certificates: dict[tuple[str, tuple[int, int]], Certificate]) -> str:
    """Return the table: one row per cell."""
    lines = [
        "| detector | frame | runtime | batch | pictures (blended, fitted, extreme) | score | map | batches | flips "
        "| margin | pixels | pixels uint8 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (detector, frame), certificate in certificates.items():
        pixels = {
            (c.runtime, c.name): c.error
            for c in certificate.checks
            if c.kind == "pixels"
        }
        count = certificate.pictures
        shown = (
            f"{count.total} ({count.blended}, {count.fitted}, {count.extreme})"
        )
        for cell in certificate.cells:
            apart = (
                "-" if cell.batch_error is None else f"{cell.batch_error:.1e}"
            )
            exact, rounded = (
                pixels[cell.runtime, name]
                for name in ("preprocessed", "rounded")
            )
            lines.append(
                f"| {detector} | {frame[0]}x{frame[1]} | {cell.runtime} | {cell.batch} | {shown} | {cell.score_error:.1e} "
                f"| {cell.map_error:.1e} | {apart} | {len(cell.flips)} | {cell.smallest_margin:.1e} "
                f"| {exact:.1e} | {rounded:.1e} |"
            )
    return "\n".join(lines)


def main() -> int:
    """Run, print, and write the table if requested."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--detector",
        choices=DETECTORS,
        help="one of the two, for half the cells",
    )
    arguments = parser.parse_args()
    output: Path | None = arguments.output
    detectors = (arguments.detector,) if arguments.detector else DETECTORS
    try:
        with tempfile.TemporaryDirectory() as work:
            certificates = prove_all(Path(work), detectors)
    except ProofFailed as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if few := [
        key
        for key, certificate in certificates.items()
        if certificate.pictures.blended < 20
    ]:
        print(
            f"fewer than 20 pictures blended to the threshold for {few}",
            file=sys.stderr,
        )
        return ProofFailed.exit_code
    first = next(iter(certificates.values()))
    tools = ", ".join(
        f"{name} {version}" for name, version in first.tools.items()
    )
    cells = sum(len(certificate.cells) for certificate in certificates.values())
    text = (
        "# Parity of every copy with eager Torch\n\n"
        f"`python benchmarks/parity.py`, {platform.machine()}, CPU, fp32; {tools}. {cells} cells, errors as shares of the "
        "fixed scale (pixels: of the [0, 1] range).\n\n"
        + table(certificates)
        + "\n"
    )
    print(text)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
