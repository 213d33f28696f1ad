"""A command that `kill-test` kills: inputs, base class and checks that all commands share."""

import os
import shutil
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _kill import in_a_fork
from _tiny import FRAME, tiny_model, tiny_pictures
from PIL import Image

from anomedge.__main__ import application
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.export.bundling import ExportOptions, export

__all__ = [
    "PART",
    "RUNTIME_OPTIONS",
    "InvalidState",
    "Job",
    "Materials",
    "classify",
    "complete_pictures",
    "copy_bundle",
    "export_quietly",
    "make_materials",
    "run_command",
    "run_forked",
]

OLD_FRAME = (80, 112)
PART = "part.anomedge"
_QUICK: dict[str, Any] = {"runtimes": ["onnxruntime"], "batches": (1,)}
RUNTIME_OPTIONS = ("--runtime", "onnxruntime", "--threads", "1")


class InvalidState(Exception):
    """The state found is neither the old state, nor the new one, nor a valid part of the new one."""


class Materials:
    """Inputs of the jobs: pictures, models and bundles; jobs write to copies only."""

    def __init__(self, work: Path) -> None:
        self.pictures = work / "pictures"
        self.old_model, self.model = (
            work / "old.safetensors",
            work / "model.safetensors",
        )
        self.old_bundle, self.bundle = (
            work / "old.anomedge",
            work / "new.anomedge",
        )

    def quick(self) -> dict[str, Any]:
        """Return options of an export that takes about a second."""
        return {"golden": [self.pictures / "test"], **_QUICK}


def make_materials(work: Path) -> Materials:
    """Make pictures, two models and two bundles; export in forks, so that this process keeps a single thread."""
    made = Materials(work)
    tiny_pictures(made.pictures)
    tiny_model(made.old_model, made.pictures, seed=1)
    tiny_model(made.model, made.pictures)
    run_forked(
        lambda: export_quietly(
            made.model,
            made.old_bundle,
            ExportOptions(frame=OLD_FRAME, **made.quick()),
        )
    )
    run_forked(
        lambda: export_quietly(
            made.model, made.bundle, ExportOptions(frame=FRAME, **made.quick())
        )
    )
    return made


class Job(ABC):
    """A command that is run, killed and checked in a folder.

    Attributes:
        name: name of the command.
        parts: whether a part of the new state is valid: complete lines, complete pictures.
    """

    name = ""
    parts = False

    def __init__(self, made: Materials) -> None:
        self.made = made

    def prepare(self, folder: Path, over: bool) -> None:  # noqa: B027 - optional
        """Set up the folder before the run, with an older target if `over`."""

    @abstractmethod
    def run(self, folder: Path, over: bool) -> None:
        """Run the command, called in a fork; replace an older target if `over`."""

    def learn(self, folder: Path) -> None:  # noqa: B027 - optional
        """Record the output of an undisturbed run, as the expected new state."""

    @abstractmethod
    def found(self, folder: Path, over: bool) -> str:
        """Return "none", "old", "part" or "new".

        Raises:
            InvalidState, AnomedgeError: the state is none of these.
        """

    def leftovers(self, folder: Path) -> list[Path]:
        """List the remaining temporary files and folders of anomedge."""
        return [
            path
            for path in folder.rglob(".*")
            if path.suffix in {".tmp", ".old"}
        ]

    def again(self, folder: Path) -> None:
        """Run the command again on the same target and check the result."""
        run_forked(lambda: self.run(folder, True))
        if (found := self.found(folder, True)) != "new":
            raise InvalidState(f"the next run left {found}")


def classify(
    path: Path, over: bool, identity: Callable[[Path], Any], old: Any, new: Any
) -> str:
    """Classify a target that is replaced atomically: "none", "old" or "new"."""
    if not os.path.lexists(path):
        if over:
            raise InvalidState("the old one is gone")
        return "none"
    found = identity(path)
    if found == new:
        return "new"
    if over and found == old:
        return "old"
    raise InvalidState("neither the old nor the new one")


def complete_pictures(folder: Path) -> list[str]:
    """Decode every picture with a final name below `overlays`, or below the folder; return their relative names."""
    root = folder / "overlays" if (folder / "overlays").is_dir() else folder
    found = [
        path
        for path in sorted(root.rglob("*.png"))
        if not path.name.startswith(".")
    ]
    for path in found:
        try:
            with Image.open(path) as picture:
                picture.load()
        except (OSError, SyntaxError) as error:
            raise InvalidState(f"{path.name} is not whole: {error}") from error
    return [path.relative_to(root).as_posix() for path in found]


def copy_bundle(made: Materials, folder: Path) -> None:
    """Copy the bundle by hard links, which is safe because anomedge replaces files and never overwrites them."""
    shutil.copytree(made.bundle, folder / PART, copy_function=os.link)


def export_quietly(model: Path, target: Path, options: ExportOptions) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export(model, target, options)


def run_command(*arguments: object) -> None:
    """Run a command of anomedge in this process."""
    words: Sequence[str] = [str(argument) for argument in arguments]
    if code := run_to_exit_code(
        lambda given: application(words[0])(given, prog_name=words[0]),
        words[1:],
    ):
        raise SystemExit(code)


def run_forked(run: Callable[[], object]) -> None:
    if status := in_a_fork(run):
        sys.exit(f"error: an undisturbed run ended with status {status}")
