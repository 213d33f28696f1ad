"""The commands that `kill-test` kills, each with a check of the state afterwards."""

import csv
import json
import os
import shutil
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from _kill import in_a_fork
from _tiny import FRAME, tiny_model, tiny_pictures
from PIL import Image

from anomedge.__main__ import application
from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.export.bundling import ExportOptions, export
from anomedge.files import atomic_directory, atomic_file
from anomedge.parity.stored import stored_certificates
from anomedge.pipelines.model import load

__all__ = ["JOBS", "Job", "Materials", "Wrong", "make_materials"]

OLD_FRAME = (80, 112)
OLD, NEW = 111.0, 222.0
PART, LINE = "part.anomedge", "line7"
_QUICK: dict[str, Any] = {"runtimes": ["onnxruntime"], "batches": (1,)}
_RUN = ("--runtime", "onnxruntime", "--threads", "1")


class Wrong(Exception):
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
    _forked(
        lambda: _export(
            made.model,
            made.old_bundle,
            ExportOptions(frame=OLD_FRAME, **made.quick()),
        )
    )
    _forked(
        lambda: _export(
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
            Wrong, AnomedgeError: the state is none of these.
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
        _forked(lambda: self.run(folder, True))
        if (found := self.found(folder, True)) != "new":
            raise Wrong(f"the next run left {found}")


class Export(Job):
    """The bundle is absent, old or new, and complete."""

    name = "export"
    digest = ""

    def prepare(self, folder: Path, over: bool) -> None:
        """Copy a bundle of another frame size as the older target."""
        if over:
            shutil.copytree(self.made.old_bundle, folder / PART)

    def run(self, folder: Path, over: bool) -> None:
        """Export."""
        _export(
            self.made.model,
            folder / PART,
            ExportOptions(frame=FRAME, force=over, **self.made.quick()),
        )

    def learn(self, folder: Path) -> None:
        """Record the digest, which is the same for all exports of a model."""
        self.digest = Bundle.open(folder / PART).manifest.digest

    def found(self, folder: Path, over: bool) -> str:
        """Identify the bundle by its digest."""
        old = Bundle.open(self.made.old_bundle).manifest.digest
        return _one_of(
            folder / PART,
            over,
            lambda path: Bundle.open(path).manifest.digest,
            old,
            self.digest,
        )

    def again(self, folder: Path) -> None:
        """Replace the folder, which is cheaper than another export."""
        with atomic_directory(folder / PART, force=True) as temporary:
            (temporary / "file").write_text("again")


class Fit(Job):
    """The model file is absent, old or new, and complete."""

    name = "fit"
    target = "part.safetensors"
    content: Any = None

    def prepare(self, folder: Path, over: bool) -> None:
        """Copy a model of another seed as the older target."""
        if over:
            shutil.copy2(self.made.old_model, folder / self.target)

    def run(self, folder: Path, over: bool) -> None:
        """Fit and save."""
        tiny_model(folder / self.target, self.made.pictures, force=over)

    def learn(self, folder: Path) -> None:
        """Record the content, which is the same for all fits with a seed."""
        self.content = self._content(folder / self.target)

    def found(self, folder: Path, over: bool) -> str:
        """Load the model and identify it by its bytes."""
        return _one_of(
            folder / self.target,
            over,
            self._content,
            self._content(self.made.old_model),
            self.content,
        )

    def again(self, folder: Path) -> None:
        """Replace the file, which is cheaper than another fit."""
        with atomic_file(folder / self.target, force=True) as temporary:
            temporary.write_text("again")

    @staticmethod
    def _content(path: Path) -> Any:
        return load(path).card.seed, path.read_bytes()


class Threshold(Job):
    """The bundle opens, with the old or the new threshold in force."""

    name = "threshold"
    options: tuple[str, ...] = ("--set", str(NEW))

    def prepare(self, folder: Path, over: bool) -> None:
        """Copy a bundle, with a `local.json` if `over`."""
        _copy_bundle(self.made, folder)
        if over:
            write_local(
                Bundle.open(folder / PART), LocalSettings(threshold=OLD)
            )

    def run(self, folder: Path, over: bool) -> None:  # noqa: ARG002 - it replaces without being asked
        """Set the threshold."""
        _command("threshold", folder / PART, *self.options)

    def found(self, folder: Path, over: bool) -> str:
        """Open the bundle as any other process would."""
        bundle = Bundle.open(folder / PART)
        return self._named(
            bundle.decision.threshold, bundle.manifest.decision.threshold, over
        )

    def _named(self, threshold: float, manifest: float, over: bool) -> str:
        known = (
            {NEW: "new", OLD: "old"} if over else {NEW: "new", manifest: "none"}
        )
        if threshold not in known:
            raise Wrong(
                f"got the threshold {threshold}; expected one of {sorted(known)}"
            )
        return known[threshold]


class Reset(Threshold):
    """The bundle opens, with the old or the manifest's threshold in force."""

    name = "threshold --reset"
    options = ("--reset",)

    def _named(self, threshold: float, manifest: float, over: bool) -> str:
        known = {manifest: "new"} | ({OLD: "old"} if over else {})
        if threshold not in known:
            raise Wrong(
                f"got the threshold {threshold}; expected one of {sorted(known)}"
            )
        return known[threshold]


class Verify(Job):
    """The certificate and the JUnit file are each absent, old or new; every certificate is readable."""

    name = "verify"
    old = b""

    def __init__(self, made: Materials) -> None:
        super().__init__(made)
        self._old_folder = made.bundle.parent / "verified"
        self._old_folder.mkdir()
        _copy_bundle(made, self._old_folder)
        _forked(lambda: self._verify(self._old_folder, "2"))

    def prepare(self, folder: Path, over: bool) -> None:
        """Copy a bundle, with an older certificate of the same name if `over`."""
        _copy_bundle(self.made, folder)
        if over:
            shutil.copy2(_certificate(self._old_folder), _certificate(folder))
            shutil.copy2(self._old_folder / "junit.xml", folder)

    def run(self, folder: Path, over: bool) -> None:  # noqa: ARG002 - it replaces without being asked
        """Verify at a batch size that differs from the older certificate's."""
        self._verify(folder, "1")

    def found(self, folder: Path, over: bool) -> str:
        """Read every certificate as `inspect` and `report` do."""
        if (folder / "junit.xml").exists():
            ElementTree.fromstring((folder / "junit.xml").read_bytes())  # noqa: S314 - our own file
        elif over:
            raise Wrong("the old junit.xml is gone")
        stored = stored_certificates(Bundle.open(folder / PART))
        if objections := [
            f"{one.name}: {one.objection}" for one in stored if one.objection
        ]:
            raise Wrong("; ".join(objections))
        return _one_of(_certificate(folder), over, self._batches, {2}, {1})

    @staticmethod
    def _verify(folder: Path, batch: str) -> None:
        more = (
            "--name",
            LINE,
            "--batch",
            batch,
            "--junit",
            folder / "junit.xml",
        )
        _command("verify", folder / PART, *more, *_RUN)

    @staticmethod
    def _batches(path: Path) -> set[int]:
        return {
            cell["batch"] for cell in json.loads(path.read_bytes())["cells"]
        }


class Predict(Job):
    """The results hold complete lines, every overlay is complete, and every overlay has a result."""

    name = "predict"
    parts = True
    form = "csv"

    def prepare(self, folder: Path, over: bool) -> None:
        """Make an output folder with older results if `over`."""
        if over:
            (folder / "out").mkdir()
            (folder / "out" / f"results.{self.form}").write_bytes(self._old())

    def run(self, folder: Path, over: bool) -> None:  # noqa: ARG002 - it replaces without being asked
        """Inspect the test pictures."""
        _command(
            "predict",
            self.made.bundle,
            self.made.pictures / "test",
            "-o",
            folder / "out",
            "--format",
            self.form,
            *_RUN,
        )

    def found(self, folder: Path, over: bool) -> str:
        """Parse the results and decode every overlay."""
        target = folder / "out" / f"results.{self.form}"
        drawn = _whole_pictures(folder / "out")
        if not target.exists():
            if over or drawn:
                raise Wrong(
                    "no results"
                    + (f", but {len(drawn)} overlays" if drawn else "")
                )
            return "none"
        if over and target.read_bytes() == self._old():
            return "old"
        names = self._names(target.read_bytes())
        expected = self._expected()
        if names != expected[: len(names)]:
            raise Wrong(
                f"got results of {names}; expected the first of {expected}"
            )
        if extra := sorted(
            set(drawn) - {f"{name.removesuffix('.png')}.png" for name in names}
        ):
            raise Wrong(f"got overlays without results: {extra}")
        return "new" if len(names) == len(expected) else "part"

    def _expected(self) -> list[str]:
        root = self.made.pictures / "test"
        return sorted(
            path.relative_to(root).as_posix()
            for path in root.rglob("*.png")
            if "ground_truth" not in path.parts
        )

    def _old(self) -> bytes:
        return b"picture,label,score,anomalous_pixels,milliseconds\nold.png,normal,1.0,0.0,1.0\n"

    def _names(self, data: bytes) -> list[str]:
        text = data.decode()
        if not text.endswith("\n"):
            raise Wrong(f"the last line is not whole: {text[-80:]!r}")
        head, *rows = csv.reader(text.splitlines())
        if any(len(row) != len(head) for row in rows):
            raise Wrong(f"a row is not whole: {rows[-1]}")
        return [row[0] for row in rows]


class PredictJson(Predict):
    """The results file is a complete JSON array at any moment."""

    name = "predict --format json"
    form = "json"

    def _old(self) -> bytes:
        return b'[\n  {\n    "picture": "old.png"\n  }\n]\n'

    def _names(self, data: bytes) -> list[str]:
        try:
            rows = json.loads(data)
        except ValueError as error:
            raise Wrong(f"results.json is not whole: {error}") from error
        return [row["picture"] for row in rows]


class Report(Job):
    """The page is absent, old or complete."""

    name = "report"
    target = "report.html"
    old = "<html>old</html>\n"

    def prepare(self, folder: Path, over: bool) -> None:
        """Write an older page if `over`."""
        if over:
            (folder / self.target).write_text(self.old)

    def run(self, folder: Path, over: bool) -> None:
        """Write the page without measuring latency."""
        more = (
            "--batch",
            "1",
            "--no-bench",
            "--pictures",
            "1",
            *(["--force"] if over else []),
            *_RUN,
        )
        _command("report", self.made.bundle, "-o", folder / self.target, *more)

    def found(self, folder: Path, over: bool) -> str:
        """Identify the page by its text; a complete page ends with its closing tag."""
        return _one_of(folder / self.target, over, self._kind, "old", "new")

    def _kind(self, path: Path) -> str:
        text = path.read_text()
        if text == self.old:
            return "old"
        return (
            "new"
            if len(text) > 1000 and text.rstrip().endswith("</html>")
            else "half"
        )


class Watch(Job):
    """The output holds complete JSON lines; overlays are complete pictures, at most `keep` of them."""

    name = "watch"
    parts = True
    keep = 3

    def prepare(self, folder: Path, over: bool) -> None:
        """Copy a bundle, set a threshold that makes every picture anomalous, add old overlays if `over`."""
        _copy_bundle(self.made, folder)
        write_local(Bundle.open(folder / PART), LocalSettings(threshold=-1e9))
        shutil.copytree(self.made.pictures / "train" / "good", folder / "in")
        (folder / "out").mkdir()
        if over:
            for number in range(self.keep):
                name = f"20200101T000000.{number:06d}Z-{number:08d}-old.png.overlay.png"
                Image.new("RGB", (8, 8)).save(folder / "out" / name)

    def run(self, folder: Path, over: bool) -> None:  # noqa: ARG002 - it replaces without being asked
        """Inspect the pictures in the folder, then stop."""
        lines = os.open(folder / "lines", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(lines, 1)
        more = (
            "--once",
            "--save",
            folder / "out",
            "--keep",
            str(self.keep),
            *_RUN,
        )
        _command("watch", folder / PART, folder / "in", *more)

    def found(self, folder: Path, over: bool) -> str:  # noqa: ARG002 - earlier overlays may be deleted
        """Parse every line and decode every overlay."""
        if len(kept := _whole_pictures(folder / "out")) > self.keep:
            raise Wrong(
                f"got {len(kept)} overlays; expected at most {self.keep}"
            )
        text = (
            (folder / "lines").read_text()
            if (folder / "lines").exists()
            else ""
        )
        if text and not text.endswith("\n"):
            raise Wrong(f"the last line is not whole: {text[-80:]!r}")
        events = [json.loads(line)["event"] for line in text.splitlines()]
        if not events:
            return "none"
        return "new" if events[-1] == "stopped" else "part"


JOBS: tuple[type[Job], ...] = (
    Export,
    Fit,
    Threshold,
    Reset,
    Verify,
    Predict,
    PredictJson,
    Report,
    Watch,
)


def _one_of(
    path: Path, over: bool, identity: Callable[[Path], Any], old: Any, new: Any
) -> str:
    """Classify a target that is replaced atomically: "none", "old" or "new"."""
    if not os.path.lexists(path):
        if over:
            raise Wrong("the old one is gone")
        return "none"
    found = identity(path)
    if found == new:
        return "new"
    if over and found == old:
        return "old"
    raise Wrong("neither the old nor the new one")


def _whole_pictures(folder: Path) -> list[str]:
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
            raise Wrong(f"{path.name} is not whole: {error}") from error
    return [path.relative_to(root).as_posix() for path in found]


def _certificate(folder: Path) -> Path:
    return folder / PART / "certificates" / f"{LINE}.json"


def _copy_bundle(made: Materials, folder: Path) -> None:
    """Copy the bundle by hard links, which is safe because anomedge replaces files and never overwrites them."""
    shutil.copytree(made.bundle, folder / PART, copy_function=os.link)


def _export(model: Path, target: Path, options: ExportOptions) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export(model, target, options)


def _command(*arguments: object) -> None:
    """Run a command of anomedge in this process."""
    words: Sequence[str] = [str(argument) for argument in arguments]
    if code := run_to_exit_code(
        lambda given: application(words[0])(given, prog_name=words[0]),
        words[1:],
    ):
        raise SystemExit(code)


def _forked(run: Callable[[], object]) -> None:
    if status := in_a_fork(run):
        sys.exit(f"error: an undisturbed run ended with status {status}")
