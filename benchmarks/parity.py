"""Prove detectors under both runtimes, at four batch sizes, three frame sizes and three precisions.

    python benchmarks/parity.py -o benchmarks/results/parity.md
    python benchmarks/parity.py --detectors dfm stfpm --frames 256x256 --precisions fp32

Each detector is fitted once to the demo's textures; each frame size has its own pictures, four that were fitted on,
extreme frames, and blends whose scores are close to the threshold. A row shows the largest errors of its batch sizes.
Exits with 3 if any proof fails; the reason stands in its row.
"""

import argparse
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import torch
from _shared.machine import conditions
from _shared.script import working_folder, write_page
from safetensors.torch import save_file

from anomedge.bundle import Bundle
from anomedge.components.patch_description import PatchDescriptionNetwork
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.errors import ProofFailed
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.options import Int8Options
from anomedge.parity import Certificate
from anomedge.parity.records import Cell
from anomedge.parity.stored import stored_certificates
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import save
from anomedge.resample import Geometry

FRAMES = ("256x256", "480x640", "1080x1920")
PRECISIONS = ("fp32", "fp16", "int8")
BATCHES = (1, 2, 3, 8)
LITE = {
    "backbone": "tf_efficientnet_lite0",
    "weights": "efficientnet-lite0",
}
SHORT = {"epochs": 2, "train_batch": 4, "device": "cpu"}
DETECTORS: dict[str, dict[str, Any]] = {
    "padim": LITE,
    "patchcore": LITE,
    "dfm": LITE,
    "dfkde": LITE | {"components": 8},
    "stfpm": LITE | SHORT,
    "fastflow": LITE | SHORT,
    "reverse_distillation": LITE | SHORT,
    "anomaly_dino": {"backbone": "test_vit3", "weights": "random"},
    "efficient_ad": SHORT | {"train_batch": 1},
}
"""Fit options of each detector; EfficientAD gets a teacher of random weights, because trained ones need a download."""

HEAD = (
    "| detector | frame | precision | runtime | batches | pictures (blended, fitted, extreme) | score | map | batches apart "
    "| flips | margin | pixels | pixels uint8 |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


class Case(NamedTuple):
    """One export: a detector, a frame size (Hf, Wf), and precisions of one bundle."""

    detector: str
    frame: tuple[int, int]
    precisions: tuple[str, ...]

    @property
    def shown(self) -> str:
        """Detector and frame, as in the table."""
        return f"{self.detector} | {'x'.join(map(str, self.frame))}"


def cases_of(options: argparse.Namespace) -> Iterator[Case]:
    """Yield the exports; INT8 has a bundle of its own."""
    floats = tuple(name for name in options.precisions if name != "int8")
    shared = [floats] if floats else []
    if "int8" in options.precisions:
        shared.append(("int8",))
    for detector in options.detectors:
        for frame in options.frames:
            height, width = map(int, frame.split("x"))
            for precisions in shared:
                yield Case(detector, (height, width), precisions)


def target_of(case: Case, work: Path) -> Path:
    """Return the bundle of a case."""
    frame = "x".join(map(str, case.frame))
    return work / f"{case.detector}-{frame}-{case.precisions[-1]}.anomedge"


def prove(case: Case, work: Path, size: int) -> Certificate:
    """Return the certificate of the detector's export; what an earlier run in this folder fitted and proved is reused."""
    frame = "x".join(map(str, case.frame))
    target = target_of(case, work)
    if target.exists():
        certificate = stored_certificates(Bundle.open(target))[0].certificate
        if certificate is not None:
            return certificate
    train = work / "fit" / "train"
    model = work / f"{case.detector}.safetensors"
    if not model.exists():
        save(
            fit(case.detector, train, _fit_options(case.detector, work, size)),
            model,
        )
    folder = work / frame
    if not folder.exists():
        pictures = PictureSet(
            frame=case.frame, train=0, held_back=0, good=6, bad=3
        )
        write_pictures(folder, pictures)
    is_int8 = case.precisions == ("int8",)
    options = ExportOptions(
        frame=case.frame,
        golden=[folder / "test", work / "known"],
        precisions=list(case.precisions),
        int8=Int8Options(calibrate=[train]) if is_int8 else None,
        runtimes=["onnxruntime", "openvino"],
        batches=BATCHES,
        force=True,
    )
    if is_int8:
        # Its own file: the quantisation depends on the pictures of the proof.
        model = Path(
            shutil.copy(model, work / f"{case.detector}-{frame}.safetensors")
        )
    return export(model, target, options)


def prepare(work: Path) -> None:
    """Write the pictures to fit to, and four of them apart."""
    write_pictures(work / "fit", PictureSet(good=1, bad=1))
    (work / "known").mkdir()
    paths = sorted((work / "fit" / "train" / "good").iterdir())
    for path in paths[:4]:
        shutil.copy(path, work / "known")


def quantised_layers(bundle: Path) -> str:
    """Return how many of the layers are in INT8; an empty text for float networks."""
    stated = Bundle.open(bundle).manifest.quantisation
    if stated is None:
        return ""
    kept = sum(map(len, stated.kept.values()))
    return f", {stated.quantised} of {stated.quantised + kept} layers"


def rows_of(case: Case, certificate: Certificate, layers: str) -> Iterator[str]:
    """Yield a row for each precision and runtime."""
    count = certificate.pictures
    shown = f"{count.total} ({count.blended}, {count.fitted}, {count.extreme})"
    pixels = {
        (check.runtime, check.name): check.error
        for check in certificate.checks
        if check.kind == "pixels"
    }
    keys = dict.fromkeys((c.precision, c.runtime) for c in certificate.cells)
    for precision, runtime in keys:
        cells = [
            cell
            for cell in certificate.cells
            if (cell.precision, cell.runtime) == (precision, runtime)
        ]
        exact, rounded = (
            pixels[runtime, name] for name in ("preprocessed", "rounded")
        )
        yield (
            f"| {case.shown} | {precision}{layers} | {runtime} | {', '.join(str(c.batch) for c in cells)} | {shown} "
            f"| {_largest(cells, 'score_error')} | {_largest(cells, 'map_error')} | {_largest(cells, 'batch_error')} "
            f"| {sum(len(cell.flips) for cell in cells)} | {min(cell.smallest_margin for cell in cells):.1e} "
            f"| {exact:.1e} | {rounded:.1e} |"
        )


def _reason(error: ProofFailed) -> str:
    """Return the first failure of a proof; the line before it says only that the proof failed."""
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[min(1, len(lines) - 1)].replace("|", "/")


def _largest(cells: Sequence[Cell], name: str) -> str:
    values = [getattr(cell, name) for cell in cells]
    known = [value for value in values if value is not None]
    return f"{max(known):.1e}" if known else "-"


def _teacher(path: Path) -> Path:
    """Write the weights of a random teacher of EfficientAD, unless the file exists."""
    if not path.exists():
        torch.manual_seed(0)
        network = PatchDescriptionNetwork(384, "small")
        save_file(network.state_dict(), path)
    return path


def _fit_options(detector: str, work: Path, size: int) -> FitOptions:
    given = DETECTORS[detector]
    if detector == "efficient_ad":
        given = given | {"teacher": _teacher(work / "teacher.safetensors")}
    return FitOptions(
        Geometry((size, size)),
        detector=given,
        held_back=work / "fit" / "held_back",
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--detectors", nargs="+", choices=DETECTORS, default=list(DETECTORS)
    )
    parser.add_argument(
        "--frames", nargs="+", default=list(FRAMES), metavar="HxW"
    )
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS)
    )
    parser.add_argument(
        "--size", type=int, default=128, help="side of the detectors' images"
    )
    parser.add_argument(
        "--work",
        type=Path,
        help="folder that is kept; proofs in it are not run again",
    )
    return parser.parse_args()


def main() -> int:
    """Run, print, and write the table if requested."""
    options = _options()
    warnings.simplefilter("ignore", UserWarning)
    started = conditions()
    rows, cells, failed, tools = [], 0, 0, {}
    with working_folder(options.work) as work:
        if not (work / "known").exists():
            prepare(work)
        for case in cases_of(options):
            try:
                certificate = prove(case, work, options.size)
            except ProofFailed as error:
                failed += 1
                rows.append(
                    f"| {case.shown} | {', '.join(case.precisions)} | refused: {_reason(error)} |"
                    + " |" * 9
                )
            else:
                layers = quantised_layers(target_of(case, work))
                rows += rows_of(case, certificate, layers)
                cells += len(certificate.cells)
                tools = certificate.tools
            print(rows[-1], file=sys.stderr, flush=True)
    versions = ", ".join(f"{name} {value}" for name, value in tools.items())
    title = (
        f"`python benchmarks/parity.py --size {options.size}`, {started}; {versions}. {cells} cells proven, {failed} exports refused; "
        "errors as shares of the fixed scale (pixels: of the [0, 1] range)."
    )
    page = "\n".join(
        ["# Parity of every copy with eager Torch", "", title, "", HEAD, *rows]
    )
    write_page(options.output, page)
    return ProofFailed.exit_code if failed else 0


if __name__ == "__main__":
    sys.exit(main())
