"""The commands that `kill-test` kills, each with a check of the state afterwards."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from _kill_job import (
    PART,
    RUNTIME_OPTIONS,
    InvalidState,
    Job,
    Materials,
    classify,
    copy_bundle,
    export_quietly,
    make_materials,
    run_command,
    run_forked,
)
from _kill_jobs_output import Predict, PredictJson, Report, Watch
from _tiny import FRAME, tiny_model

from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.export.bundling import ExportOptions
from anomedge.files import atomic_directory, atomic_file
from anomedge.parity.stored import stored_certificates
from anomedge.pipelines.model import load

__all__ = ["JOBS", "InvalidState", "Job", "Materials", "make_materials"]

OLD, NEW = 111.0, 222.0
LINE = "line7"


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
        export_quietly(
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
        return classify(
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
        return classify(
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
        copy_bundle(self.made, folder)
        if over:
            write_local(
                Bundle.open(folder / PART), LocalSettings(threshold=OLD)
            )

    def run(self, folder: Path, over: bool) -> None:  # noqa: ARG002 - it replaces without being asked
        """Set the threshold."""
        run_command("threshold", folder / PART, *self.options)

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
            raise InvalidState(
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
            raise InvalidState(
                f"got the threshold {threshold}; expected one of {sorted(known)}"
            )
        return known[threshold]


class Verify(Job):
    """The certificate is absent, old or new, and every certificate is readable.

    The JUnit file is whole or absent: `verify` removes an older one first, so that a run that is ended leaves no old result.
    """

    name = "verify"
    old = b""

    def __init__(self, made: Materials) -> None:
        super().__init__(made)
        self._old_folder = made.bundle.parent / "verified"
        self._old_folder.mkdir()
        copy_bundle(made, self._old_folder)
        run_forked(lambda: self._verify(self._old_folder, "2"))

    def prepare(self, folder: Path, over: bool) -> None:
        """Copy a bundle, with an older certificate of the same name if `over`."""
        copy_bundle(self.made, folder)
        if over:
            shutil.copy2(_certificate(self._old_folder), _certificate(folder))
            shutil.copy2(self._old_folder / "junit.xml", folder)

    def run(self, folder: Path, over: bool) -> None:  # noqa: ARG002 - it replaces without being asked
        """Verify at a batch size that differs from the older certificate's."""
        self._verify(folder, "1")

    def found(self, folder: Path, over: bool) -> str:
        """Read every certificate as `inspect` and `report` do."""
        report = folder / "junit.xml"
        if report.exists():
            ElementTree.fromstring(report.read_bytes())  # noqa: S314 - our own file
        stored = stored_certificates(Bundle.open(folder / PART))
        if objections := [
            f"{one.name}: {one.objection}" for one in stored if one.objection
        ]:
            raise InvalidState("; ".join(objections))
        found = classify(_certificate(folder), over, self._batches, {2}, {1})
        if found == "new" and report.exists() and self._is_old(report):
            raise InvalidState("the old junit.xml stands beside a new proof")
        return found

    def _is_old(self, report: Path) -> bool:
        return (
            report.read_bytes() == (self._old_folder / report.name).read_bytes()
        )

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
        run_command("verify", folder / PART, *more, *RUNTIME_OPTIONS)

    @staticmethod
    def _batches(path: Path) -> set[int]:
        return {
            cell["batch"] for cell in json.loads(path.read_bytes())["cells"]
        }


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


def _certificate(folder: Path) -> Path:
    return folder / PART / "certificates" / f"{LINE}.json"
