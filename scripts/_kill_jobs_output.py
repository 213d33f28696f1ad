"""Commands that `kill-test` kills and that write results: predict, report, watch."""

import csv
import json
import os
import shutil
from pathlib import Path

from _kill_job import (
    PART,
    RUNTIME_OPTIONS,
    InvalidState,
    Job,
    classify,
    complete_pictures,
    copy_bundle,
    run_command,
)
from PIL import Image

from anomedge.bundle import Bundle, LocalSettings, write_local

__all__ = ["Predict", "PredictJson", "Report", "Watch"]


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
        run_command(
            "predict",
            self.made.bundle,
            self.made.pictures / "test",
            "-o",
            folder / "out",
            "--format",
            self.form,
            *RUNTIME_OPTIONS,
        )

    def found(self, folder: Path, over: bool) -> str:
        """Parse the results and decode every overlay."""
        target = folder / "out" / f"results.{self.form}"
        drawn = complete_pictures(folder / "out")
        if not target.exists():
            if over or drawn:
                raise InvalidState(
                    "no results"
                    + (f", but {len(drawn)} overlays" if drawn else "")
                )
            return "none"
        if over and target.read_bytes() == self._old():
            return "old"
        names = self._names(target.read_bytes())
        expected = self._expected()
        if names != expected[: len(names)]:
            raise InvalidState(
                f"got results of {names}; expected the first of {expected}"
            )
        if extra := sorted(
            set(drawn) - {f"{name.removesuffix('.png')}.png" for name in names}
        ):
            raise InvalidState(f"got overlays without results: {extra}")
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
            raise InvalidState(f"the last line is not whole: {text[-80:]!r}")
        head, *rows = csv.reader(text.splitlines())
        if any(len(row) != len(head) for row in rows):
            raise InvalidState(f"a row is not whole: {rows[-1]}")
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
            raise InvalidState(f"results.json is not whole: {error}") from error
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
            *RUNTIME_OPTIONS,
        )
        run_command(
            "report", self.made.bundle, "-o", folder / self.target, *more
        )

    def found(self, folder: Path, over: bool) -> str:
        """Identify the page by its text; a complete page ends with its closing tag."""
        return classify(folder / self.target, over, self._kind, "old", "new")

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
        copy_bundle(self.made, folder)
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
            *RUNTIME_OPTIONS,
        )
        run_command("watch", folder / PART, folder / "in", *more)

    def found(self, folder: Path, over: bool) -> str:  # noqa: ARG002 - earlier overlays may be deleted
        """Parse every line and decode every overlay."""
        if len(kept := complete_pictures(folder / "out")) > self.keep:
            raise InvalidState(
                f"got {len(kept)} overlays; expected at most {self.keep}"
            )
        text = (
            (folder / "lines").read_text()
            if (folder / "lines").exists()
            else ""
        )
        if text and not text.endswith("\n"):
            raise InvalidState(f"the last line is not whole: {text[-80:]!r}")
        events = [json.loads(line)["event"] for line in text.splitlines()]
        if not events:
            return "none"
        return "new" if events[-1] == "stopped" else "part"
