"""Check a machine with a GPU: parity, latency and roofline of every available runtime.

    python benchmarks/gpu_check.py -o benchmarks/results/gpu-NAME.md
    python benchmarks/gpu_check.py part.anomedge --model part.safetensors -o benchmarks/results/gpu-NAME.md

ONNX Runtime's CUDA and TensorRT providers, TensorRT and TensorRT-RTX are proven against eager Torch (against the golden
frames without --model), in fp32, tf32 and fp16 if the bundle has them, timed in turns at each batch size, and compared
with the measured peak rates of the machine. A runtime that is not available is a row with the reason. Without a bundle,
PaDiM and PatchCore are fitted to the demonstration's textures first; nothing is downloaded.

Exits with 0 if everything that ran passed, 3 if a proof failed, 2 if nothing could run. `--device cpu` takes the same
steps with the CPU's runtimes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from _gpu.roofline import Part, limit, parts_of
from _gpu.table import exit_code, markdown
from _gpu.targets import PRECISIONS, TARGETS, missing, probe_graph

from anomedge.bundle import Bundle
from anomedge.errors import AnomedgeError

HERE = Path(__file__).resolve().parent
PACKAGES = (
    *(
        "anomedge",
        "numpy",
        "onnxruntime",
        "onnxruntime-gpu",
        "openvino",
        "tensorrt",
        "tensorrt-cu12",
        "tensorrt-cu13",
    ),
    *("tensorrt_rtx", "cuda-python", "cuda-bindings", "torch"),
)
MADE = {
    "padim": ("resnet18", "random"),
    "patchcore": ("tf_efficientnet_lite0", "efficientnet-lite0"),
}
"""Detectors that are fitted where no bundle is given: backbone and weights."""


@dataclass(frozen=True)
class Subject:
    """A bundle, and optionally the model and pictures of its proof."""

    bundle: Path
    model: Path | None = None
    images: tuple[Path, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the report if requested."""
    asked = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = _report(asked, Path(folder))
        except AnomedgeError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
    page = markdown(report)
    print(page)
    if asked.output is not None:
        asked.output.parent.mkdir(parents=True, exist_ok=True)
        asked.output.write_text(page, encoding="utf-8")
        asked.output.with_suffix(".json").write_text(
            json.dumps(report, indent=1) + "\n", encoding="utf-8"
        )
    return exit_code(report)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        help="a bundle; two are made when there is none",
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="the model it was exported from: eager Torch, and the roofline",
    )
    parser.add_argument(
        "--images",
        type=Path,
        nargs="+",
        default=[],
        help="folders of pictures for the proof, with --model",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="write the report here, and as JSON beside it",
    )
    parser.add_argument("--device", choices=sorted(TARGETS), default="cuda")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument(
        "--rounds", type=int, default=50, help="turns of three counted calls"
    )
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS)
    )
    parser.add_argument("--threads", type=int, help="of the CPU")
    return parser


def _report(asked: argparse.Namespace, work: Path) -> dict[str, Any]:
    nothing = missing(asked.device)
    checks: list[dict[str, Any]] = []
    ceilings: dict[str, Any] = {
        "through": "",
        "reason": nothing,
        "flops": {},
        "bytes": None,
        "to_device": None,
    }
    if nothing:
        names = [asked.bundle.name] if asked.bundle else list(MADE)
        checks = [
            _not_run(asked, name, precision, nothing)
            for name in names
            for precision in asked.precision
        ]
    else:
        subjects = (
            [Subject(asked.bundle, asked.model, tuple(asked.images))]
            if asked.bundle
            else _made(work)
        )
        ceilings = _alone("ceilings", asked.device, work) or ceilings | {
            "reason": "its process ended"
        }
        for subject in subjects:
            checks += _checks(asked, subject, work)
        # Measured before and after, because a busy machine may miss its peak once.
        ceilings = _higher(
            ceilings, _alone("ceilings", asked.device, work) or ceilings
        )
        for check in checks:
            check["limits"] = {
                batch: limit(
                    [Part(**part) for part in parts],
                    int(batch) * check["frame_bytes"],
                    check["precision"],
                    ceilings,
                )
                for batch, parts in check["parts"].items()
            }
    return {
        "command": " ".join(
            ["benchmarks/gpu_check.py", *map(str, sys.argv[1:])]
        ),
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": _machine(asked.device),
        "versions": _versions(),
        "ceilings": ceilings,
        "checks": checks,
    }


def _higher(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the higher ceilings of two measurements."""
    if first["through"] != second["through"] or not first["through"]:
        return first if first["through"] else second
    flops = {
        precision: max(rate, second["flops"][precision])
        for precision, rate in first["flops"].items()
    }
    rates = {
        name: first[name] and max(first[name], second[name])
        for name in ("bytes", "to_device")
    }
    return first | {"flops": flops} | rates


def _not_run(
    asked: argparse.Namespace, name: str, precision: str, reason: str
) -> dict[str, Any]:
    rows = [
        {"target": target.label, "not_run": reason}
        for target in TARGETS[asked.device]
    ]
    described = f"not run: {reason}"
    return {
        "bundle": name,
        "described": described,
        "roofline": "",
        "precision": precision,
        "rows": rows,
        "limits": {},
    }


def _made(work: Path) -> list[Subject]:
    """Fit PaDiM and PatchCore to the demonstration's textures, with packaged or random weights."""
    from anomedge.demo.textures import PictureSet, write_pictures
    from anomedge.export.bundling import ExportOptions, export
    from anomedge.pipelines.fitting import FitOptions, fit
    from anomedge.pipelines.model import save
    from anomedge.precisions import written
    from anomedge.resample import Geometry

    write_pictures(work / "pictures", PictureSet(good=6, bad=3))
    known = written()
    precisions = [precision for precision in PRECISIONS if precision in known]
    subjects = []
    for detector, (backbone, weights) in MADE.items():
        print(f"fitting and exporting {detector}", file=sys.stderr, flush=True)
        held_back = work / "pictures" / "held_back"
        options = FitOptions(
            Geometry((256, 256)),
            detector={"backbone": backbone, "weights": weights},
            held_back=held_back,
        )
        model, bundle = (
            work / f"{detector}.safetensors",
            work / f"{detector}.anomedge",
        )
        save(fit(detector, work / "pictures" / "train", options), model)
        images = (work / "pictures" / "test",)
        # Proven on the CPU as far as it must be: a machine with a GPU is paid for by the hour.
        wanted = ExportOptions(
            frame=(480, 640),
            golden=images,
            runtimes=["onnxruntime"],
            batches=[1, 2],
        )
        try:
            export(model, bundle, replace(wanted, precisions=precisions))
        except AnomedgeError as error:
            if len(precisions) == 1:
                raise
            print(
                f"{detector} in float32 alone, {precisions[1:]} were refused: {error}",
                file=sys.stderr,
                flush=True,
            )
            export(model, bundle, wanted)
        subjects.append(Subject(bundle, model, images))
    return subjects


def _checks(
    asked: argparse.Namespace, subject: Subject, work: Path
) -> list[dict[str, Any]]:
    bundle = Bundle.open(subject.bundle)
    height, width = frame = bundle.manifest.input.frame
    fixed = bundle.manifest.input.batch
    batches = asked.batch if fixed == "dynamic" else [fixed]
    parts: dict[int, list[Part]] = {}
    roofline = "No limit: the costs of a graph are its model's, give --model."
    if subject.model is not None:
        parts = parts_of(subject.model, frame, batches)
        roofline = "The limit is the model's operations and bytes over the ceilings, stage by stage."
    probe, checks = probe_graph(work / "probe"), []
    for precision in asked.precision:
        print(
            f"checking {subject.bundle.name} in {precision}",
            file=sys.stderr,
            flush=True,
        )
        given = {
            "bundle": str(subject.bundle),
            "model": str(subject.model) if subject.model else None,
            "images": [str(path) for path in subject.images],
            "targets": [asdict(target) for target in TARGETS[asked.device]],
            "precision": precision,
            "batches": batches,
            "rounds": asked.rounds,
            "threads": asked.threads,
            "probe": str(probe) if probe else None,
        }
        checks.append(
            {
                "bundle": subject.bundle.name,
                "described": _described(bundle, parts),
                "roofline": roofline,
                "precision": precision,
                "rows": _alone("alone", json.dumps(given), work)
                or _ended(asked),
                "frame_bytes": height * width * 3,
                "parts": {
                    str(batch): [asdict(part) for part in found]
                    for batch, found in parts.items()
                },
            }
        )
    return checks


def _described(bundle: Bundle, parts: dict[int, list[Part]]) -> str:
    height, width = bundle.manifest.input.frame
    costs = "; ".join(
        f"batch {batch}: {sum(p.flops for p in found) / 1e9:.3g} GFLOP, {sum(p.bytes for p in found) / 1e6:.3g} MB"
        for batch, found in parts.items()
    )
    text = f"{bundle.manifest.detector}, frames {height}x{width}, bundle {bundle.manifest.digest[:12]}"
    return f"{text}; in float32 {costs}." if costs else f"{text}."


def _alone(module: str, given: str, work: Path) -> Any:
    """Run a module of `_gpu` in a separate process; return its result, None if the process ended without one."""
    answer = work / f"{module}.json"
    answer.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"_gpu.{module}", given, str(answer)]
    path = os.pathsep.join(
        filter(None, (str(HERE), os.environ.get("PYTHONPATH")))
    )
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, check=False
    )
    if answer.is_file() and done.returncode == 0:
        return json.loads(answer.read_text(encoding="utf-8"))
    print(
        f"{module}: its process ended with {done.returncode}",
        file=sys.stderr,
        flush=True,
    )
    return None


def _ended(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Return rows for a process that crashed or could not make the proof; standard error has the cause."""
    failures = [
        "the process that checked this precision ended without an answer; see its messages"
    ]
    return [
        {"target": target.label, "passed": False, "failures": failures}
        for target in TARGETS[asked.device]
    ]


def _machine(device: str) -> dict[str, str]:
    found = {
        "system": f"{platform.system()} {platform.release()} on {platform.machine()}, Python {platform.python_version()}"
    }
    if device != "cuda":
        return found | {"device": "CPU"}
    if tool := shutil.which("nvidia-smi"):
        query = [
            tool,
            "--query-gpu=name,driver_version,memory.total,compute_cap",
            "--format=csv,noheader",
        ]
        done = subprocess.run(
            query, capture_output=True, text=True, check=False
        )
        found["GPU, driver, memory, compute capability"] = (
            done.stdout if done.returncode == 0 else "nvidia-smi failed"
        ).strip()
    board = Path("/proc/device-tree/model")
    if board.is_file():
        found["board"] = board.read_text(errors="replace").strip("\0\n ")
    if not {"board", "GPU, driver, memory, compute capability"} & found.keys():
        found["GPU"] = missing(device) or "its name could not be read"
    return found


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
