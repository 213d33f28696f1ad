"""Let every client without anomedge's inspector decide the same pictures, and compare with the eager detector.

    python benchmarks/clients.py --bottle DIR -o benchmarks/results/clients.md
    python benchmarks/clients.py --backbone test_efficientnet --weights random --size 64x64 --most 8    # a quick run

PaDiM and PatchCore are fitted to the demo's pictures and, with `--bottle`, to MVTec AD's bottle, and exported with two
layouts of float planes. Every client is a process of its own; the first four do not import anomedge and know the contract in
the graph only. The DeepStream-like one feeds ONNX Runtime as nvinfer feeds TensorRT, by the configuration of `anomedge
deploy`. Errors are shares of the scale of normal scores; the page does not give its map as numbers. The exit code is 3 if a
label differs or a client fails.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _clients.answers import (
    Answers,
    Difference,
    difference,
    eager_answers,
)
from _clients.cases import DETECTORS, Network, Prepared, bottle, demo
from _clients.native import HEADERS
from _clients.programs import CLIENTS, LeftOut, Tools
from _shared.machine import conditions
from _shared.script import working_folder, write_page

from anomedge.bundle import Bundle
from anomedge.commands._arguments import parse_size
from anomedge.demo.textures import PictureSet

HEAD = (
    "| data set | detector | client | pictures | anomalous in eager | labels equal | largest score error | maps | largest map error |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
NOT_RUN = "not run: "
PACKAGES = ("torch", "onnxruntime", "openvino")


def row(
    case: Prepared, client: str, expected: Answers, result: Difference | str
) -> str:
    """Return a row of the table; a text in place of the figures is the reason why there are none."""
    cells = [
        case.pictures,
        case.detector,
        client,
        str(len(case.frames)),
        str(expected.anomalous),
    ]
    if isinstance(result, str):
        cells += [result, "", "", ""]
    else:
        maps = "" if result.map is None else f"{result.map:.1e}"
        cells += [str(result.equal), f"{result.score:.1e}"]
        cells += [str(result.maps), maps]
    return f"| {' | '.join(cells)} |"


def results(
    case: Prepared, tools: Tools, names: list[str]
) -> Iterator[tuple[str, Answers, Difference | str]]:
    """Yield name, eager answers and difference of each client."""
    decision = Bundle.open(case.bundle).manifest.decision
    expected = eager_answers(case.model, case.frames, decision.threshold)
    for name in names:
        try:
            found = CLIENTS[name](case, tools)
        except LeftOut as reason:
            yield name, expected, f"{NOT_RUN}{reason}"
            continue
        except RuntimeError as error:
            yield name, expected, f"failed: {error}"
            continue
        yield name, expected, difference(found, expected, decision.scale)


def cases(given: argparse.Namespace, work: Path) -> Iterator[Prepared]:
    """Yield the cases, each fitted and exported when it is needed."""
    network = Network(given.backbone, given.weights, parse_size(given.size))
    pictures = PictureSet()
    if given.weights == "random":
        pictures = PictureSet(network.size, train=8, held_back=6, good=4, bad=1)
    for detector in DETECTORS:
        yield demo(network, detector, work, pictures, given.most)
    if given.bottle is not None:
        for detector in DETECTORS:
            yield bottle(network, detector, given.bottle, work, given.most)


def versions(tools: Tools) -> str:
    """Return the versions of the programs that computed."""
    found = [f"{name} {version(name)}" for name in PACKAGES]
    for name in ("node", "chromium", "g++"):
        path = shutil.which(name)
        if path is not None:
            done = subprocess.run(
                [path, "--version"], capture_output=True, text=True
            )
            text = done.stdout.splitlines()[0] if done.stdout else ""
            found.append(text if name in text.lower() else f"{name} {text}")
    package = tools.work / "page/node_modules/onnxruntime-web/package.json"
    if package.exists():
        number = json.loads(package.read_text())["version"]
        found.append(f"onnxruntime-web {number}")
    return ", ".join(found)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--bottle", type=Path, help="folder of MVTec AD's bottle"
    )
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--weights", default="efficientnet-lite0")
    parser.add_argument("--size", default="256x256")
    parser.add_argument(
        "--most", type=int, default=44, help="pictures of a case"
    )
    parser.add_argument(
        "--clients", nargs="*", choices=CLIENTS, default=[*CLIENTS]
    )
    parser.add_argument("--onnxruntime-include", type=Path, default=HEADERS)
    parser.add_argument("--work", type=Path, help="folder to keep")
    parser.add_argument("--screenshots", type=Path, help="of the browser page")
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def main() -> int:
    """Run every client; print and write the table."""
    given = arguments()
    started, rows, agreed = conditions(), [], True
    with working_folder(given.work) as work:
        shots = given.screenshots or work / "screenshots"
        tools = Tools(work, given.onnxruntime_include, shots)
        for case in cases(given, work):
            for name, expected, result in results(case, tools, given.clients):
                rows.append(row(case, name, expected, result))
                print(rows[-1], file=sys.stderr, flush=True)
                agreed &= is_agreement(result, case)
        used = versions(tools)
    title = (
        f"`python benchmarks/clients.py`, {started}; {used}. {given.backbone} with the weights {given.weights}, images of "
        f"{given.size}. Errors are shares of the scale of normal scores. The first four clients do not import anomedge and have the "
        f"graph alone; the DeepStream-like one feeds ONNX Runtime, in place of TensorRT, by the configuration that `anomedge deploy` wrote."
    )
    text = "\n".join(
        ["# Clients beside the eager detector", "", title, "", HEAD, *rows]
    )
    write_page(given.output, text)
    return 0 if agreed else 3


def is_agreement(result: Difference | str, case: Prepared) -> bool:
    """Whether all labels are equal and the scores are numbers, or the client cannot run here."""
    if isinstance(result, str):
        return result.startswith(NOT_RUN)
    return result.equal == len(case.frames) and math.isfinite(result.score)


if __name__ == "__main__":
    warnings.simplefilter("default")
    sys.exit(main())
