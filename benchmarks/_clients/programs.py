"""Run each client on the test pictures of a case, as processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _clients.answers import Answers, Map, parsed
from _clients.cases import Prepared
from _clients.native import compile_runners, missing_for_build
from _clients.page import install_page, missing_for_page, served

__all__ = ["CLIENTS", "LeftOut", "Tools"]

_HERE = Path(__file__).parent
_SECONDS = 1800
_BATCH = 11
"""Frames of a call of the native runner, which takes them as one batch."""


class LeftOut(Exception):
    """A client cannot run here; the text is the reason."""


@dataclass(frozen=True)
class Tools:
    """Programs that are built once for all cases.

    Attributes:
        work: folder for built programs and for maps.
        headers: folder with ONNX Runtime's C headers.
        screenshots: folder for pictures of the browser page.
    """

    work: Path
    headers: Path
    screenshots: Path

    def runner(self, runtime: str) -> Path:
        """Return the native runner over a runtime.

        Raises:
            LeftOut: a program or a header is missing.
        """
        missing = missing_for_build()
        if missing is not None:
            raise LeftOut(f"{missing} is not installed")
        folder = self.work / "native"
        if not folder.exists():
            folder.mkdir()
            compile_runners(folder, self.headers)
        program = folder / f"runner-{runtime}"
        if not program.exists():
            raise LeftOut(f"no headers of {runtime} in {self.headers}")
        return program

    def page(self) -> Path:
        """Return the folder of the browser page with its packages.

        Raises:
            LeftOut: node or npm is missing.
        """
        missing = missing_for_page()
        if missing is not None:
            raise LeftOut(f"{missing} is not installed")
        folder = self.work / "page"
        return folder if folder.exists() else install_page(folder)


def _deepstream_like(layout: str) -> Callable[[Prepared, Tools], Answers]:
    def run(case: Prepared, tools: Tools) -> Answers:
        folder = tools.work / f"{case.pictures}-{case.detector}-{layout}"
        shutil.rmtree(folder, ignore_errors=True)
        words = ["deploy", case.bundle, "--for", "deepstream", "-o", folder]
        _run([sys.executable, "-m", "anomedge", *words, "--layout", layout])
        script = "deepstream_like.py"
        return _alone(script, folder / "nvinfer.txt", case, tools)

    return run


def _plain_onnx(case: Prepared, tools: Tools) -> Answers:
    return _alone("plain_onnx.py", case.bundle / "model.onnx", case, tools)


def _plain_openvino(case: Prepared, tools: Tools) -> Answers:
    graph = case.bundle / "openvino" / "model.xml"
    return _alone("plain_openvino.py", graph, case, tools)


def _alone(script: str, graph: Path, case: Prepared, tools: Tools) -> Answers:
    """Run a client without anomedge on all pictures."""
    maps = _fresh(tools.work / "maps")
    command = [sys.executable, _HERE / script, graph, maps, *case.frames]
    return parsed(_run(command), _read_maps(maps, case))


def _native(runtime: str) -> Callable[[Prepared, Tools], Answers]:
    def run(case: Prepared, tools: Tools) -> Answers:
        client = [tools.runner(runtime), case.bundle]
        return _bundle_client(client, case.frames, tools, _BATCH)

    return run


def _node(case: Prepared, tools: Tools) -> Answers:
    client = ["node", tools.page() / "node-client.js", case.bundle]
    return _bundle_client(client, case.raw_frames, tools, len(case.frames))


def _bundle_client(
    client: Sequence[object], frames: Sequence[Path], tools: Tools, part: int
) -> Answers:
    """Let a program that opens bundles decide all frames, in parts; call it again for the maps of a few."""
    lines = [
        _run([*client, *frames[start : start + part]])
        for start in range(0, len(frames), part)
    ]
    target = tools.work / "map.f32"
    maps = {}
    for place in sorted({0, len(frames) // 2, len(frames) - 1}):
        _run([*client, frames[place], "--map", target])
        maps[place] = np.fromfile(target, np.float32)
    return parsed("".join(lines), maps)


def _browser(case: Prepared, tools: Tools) -> Answers:
    folder = tools.page()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise LeftOut("chromium is not installed")
    shots = tools.screenshots / f"{case.pictures}-{case.detector}"
    shots.mkdir(parents=True, exist_ok=True)
    driver = folder / "drive_pictures.js"
    shutil.copyfile(_HERE / driver.name, driver)
    with served(folder) as url:
        program = ["node", driver, chromium, url, case.bundle, shots]
        return parsed(_run([*program, *case.frames]), {})


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _read_maps(folder: Path, case: Prepared) -> dict[int, Map]:
    """Return the raw float32 maps that a client wrote, flat."""
    return {
        place: np.fromfile(folder / f"{frame.stem}.f32", np.float32)
        for place, frame in enumerate(case.frames)
    }


def _run(command: Sequence[object]) -> str:
    """Return the standard output of a program, with the last line of its errors in the exception where it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"},
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"exit code {done.returncode}: {said[-1]}")
    return done.stdout


CLIENTS: dict[str, Callable[[Prepared, Tools], Answers]] = {
    "DeepStream-like, nchw-rgb-255": _deepstream_like("nchw-rgb-255"),
    "DeepStream-like, nchw-bgr-255": _deepstream_like("nchw-bgr-255"),
    "plain ONNX Runtime": _plain_onnx,
    "plain OpenVINO": _plain_openvino,
    "C++ over OpenVINO": _native("openvino"),
    "C++ over ONNX Runtime": _native("onnxruntime"),
    "Node": _node,
    "browser": _browser,
}
"""Clients by the name in the table."""
