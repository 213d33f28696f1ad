"""Run one fuzz trial: mutate a bundle, open, run and prove it. Outcomes: "works", a refusal with a message, a violation."""

import os
import re
import shutil
import stat
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from _copies import Copy
from _mutate_files import BROKEN
from _mutate_graphs import GRAPHS
from _mutate_open import OPENED, unshared
from _mutate_signed import SIGNED
from _mutate_stowaways import STOWAWAYS
from _verdicts import Oracle, false_certificates
from _watch import FileWatch, audited, begin_peak, peak_growth, snapshot

from anomedge.bundle import Bundle
from anomedge.errors import AnomedgeError
from anomedge.inspector import Inspector
from anomedge.parity.golden import read_golden

__all__ = [
    "KINDS",
    "RUNTIMES",
    "Outcome",
    "Sandbox",
    "State",
    "kind_of",
    "mutate",
    "remove",
]

RUNTIMES = ("onnxruntime", "openvino")
KINDS: dict[str, Callable[[Copy, Random], None]] = {
    **BROKEN,
    **SIGNED,
    **GRAPHS,
    **STOWAWAYS,
    **dict.fromkeys(OPENED, unshared),
}
MEMORY_LIMIT = 1536 << 20
_LINES, _CHARACTERS = 3, 4000
_NOBODY = 65534
_PROVED_SHARE = 0.2
_TEMPORARY = (
    re.escape(os.path.join(tempfile.gettempdir(), tempfile.gettempprefix()))  # noqa: PTH118
    + "[a-z0-9_]{8}"
)
_OWN_EMPTY_FOLDER = re.compile(
    rf"open {_TEMPORARY}|[a-z.]+ \('{_TEMPORARY}'.*\)"
)
"""ONNX Runtime gets an empty private folder, in which references to other files cannot resolve."""
_ALWAYS_PROVED = frozenset(
    {"signed: forgeries", "signed: contract", *STOWAWAYS}
)


class Outcome(NamedTuple):
    """Outcome of a trial.

    Attributes:
        result: "works", or the class of the error, with its step.
        violations: one line per violation.
    """

    index: int
    kind: str
    result: str
    violations: tuple[str, ...]
    seconds: float


class State:
    """Step and start time of a worker, readable by the supervising process after a crash."""

    def __init__(self, context: Any) -> None:
        self.step, self.since = (
            context.RawArray("c", 64),
            context.RawValue("d", 0.0),
        )

    def where(self) -> str:
        """Return the step."""
        return str(self.step.value.decode())


def kind_of(index: int) -> str:
    """Return the kind of mutation of a trial; kinds take turns, so each has an equal share."""
    return list(KINDS)[index % len(KINDS)]


def mutate(copy: Copy, seed: int, index: int) -> None:
    """Mutate a copy; the same seed and number give the same mutation."""
    KINDS[kind_of(index)](copy, Random(f"{seed}-{index}"))  # noqa: S311 - nothing secret about it


class Sandbox:
    """A folder with planted secrets, in which one mutated copy at a time is opened under watch."""

    def __init__(self, root: Path, original: Path, state: State) -> None:
        self.root, self.original, self._state = root, original, state
        self._case = root / "case"
        for folder in (self._case, root / "secret", root / "cwd"):
            folder.mkdir(parents=True, exist_ok=True)
        secrets = [
            root / "secret.bin",
            root / "secret.json",
            root / "secret.npy",
            root / "secret" / "score.npy",
            self._case / "secret.bin",
        ]
        for path in secrets:
            path.write_bytes(np.arange(4096, dtype="<f4").tobytes())
        self._watch = FileWatch([*secrets, root / "secret"])
        os.chdir(root / "cwd")
        self._say("start")
        self._oracle = Oracle(self._opened(original), RUNTIMES)
        # Run once beforehand, because vendors create files when they start.
        self._run(self._opened(original), "", Random(0))  # noqa: S311

    def trial(self, seed: int, index: int, limit: float) -> Outcome:
        """Make the mutated copy of that number, open it, and remove it."""
        self._say("mutation")
        copy = Copy(self.original, self._case / "part.anomedge", self.root)
        mutate(copy, seed, index)
        kind = kind_of(index)
        before = snapshot(self.root), snapshot(self.original)
        self._watch.opened()
        memory, start = begin_peak(), time.monotonic()
        self._state.since.value = start
        with (
            audited(copy.root) as touched,
            _without_rights(kind == "rights taken away"),
        ):
            result, violations = self._judged(
                copy.root,
                kind,
                Random(f"{seed}+{index}"),  # noqa: S311
            )
        seconds = time.monotonic() - start
        # Before the snapshots, which read every folder.
        read = self._watch.opened()
        changed = _changed(
            before, (snapshot(self.root), snapshot(self.original))
        )
        if kind in OPENED:  # the trial itself changes the copy
            touched, changed = (
                [],
                [
                    path
                    for path in changed
                    if not path.startswith(str(self._case))
                ],
            )
        violations += [
            f"touched: {action}"
            for action in dict.fromkeys(touched)
            if not _OWN_EMPTY_FOLDER.fullmatch(action)
        ]
        violations += [f"read: {path}" for path in read]
        violations += [f"changed: {path}" for path in changed]
        if seconds > limit:
            violations.append(f"slow: {seconds:.1f} s, {result}")
        if (growth := peak_growth(memory)) > MEMORY_LIMIT:
            violations.append(f"memory: {growth >> 20} MiB, {result}")
        self._state.since.value = 0.0
        remove(copy.root)
        return Outcome(index, kind, result, tuple(violations), seconds)

    def _say(self, step: str) -> None:
        self._state.step.value = step.encode()

    def _judged(
        self, root: Path, kind: str, rng: Random
    ) -> tuple[str, list[str]]:
        try:
            opened = self._opened(root)
        except AnomedgeError as error:
            return (
                f"{type(error).__name__} on {self._where()}",
                _message_faults(str(error)),
            )
        except Exception as error:  # noqa: BLE001 - any other exception is a violation
            return "violation", [f"{self._where()}: {_traced(error)}"]
        if kind in BROKEN:
            return "works", []
        if kind in OPENED:
            return self._changed_while_open(opened, kind, rng)
        return self._run(opened, kind, rng)

    def _changed_while_open(
        self, bundle: Bundle, kind: str, rng: Random
    ) -> tuple[str, list[str]]:
        """Change files of a bundle under open sessions; each session must give the same scores or refuse with a message."""
        frames = np.stack(
            [picture.frame() for picture in read_golden(bundle).pictures[:2]]
        )
        violations = []
        for runtime in RUNTIMES:
            self._say(f"{runtime}, open")
            try:
                with Inspector.open(
                    bundle, runtime=runtime, threads=1
                ) as inspector:
                    before = inspector.predict_batch(list(frames))
                    OPENED[kind](bundle.path, rng)
                    after = inspector.predict_batch(list(frames))
                if [result.score for result in before] != [
                    result.score for result in after
                ]:
                    violations.append(
                        f"{runtime}: a file that changed after opening changed a score"
                    )
            except AnomedgeError as error:
                violations += _message_faults(str(error))
            except Exception as error:  # noqa: BLE001 - any other exception is a violation
                violations.append(f"{runtime}: {_traced(error)}")
        return "works", violations

    def _where(self) -> str:
        return self._state.where()

    def _opened(self, root: Path) -> Bundle:
        self._say("opening")
        bundle = Bundle.open(root)
        self._say("decision")
        _ = bundle.decision
        self._say("golden")
        for picture in read_golden(bundle).pictures:
            picture.frame()
        return bundle

    def _run(
        self, bundle: Bundle, kind: str, rng: Random
    ) -> tuple[str, list[str]]:
        """Run a frame under both runtimes, judge certificates and, for a share of trials, proofs; refusals are allowed."""
        results, violations = [], []
        steps: dict[str, Callable[[], object]] = {
            name: lambda name=name: _inspect(bundle, name) for name in RUNTIMES
        }
        steps["certificates"] = lambda: violations.extend(
            false_certificates(bundle)
        )
        if kind in _ALWAYS_PROVED or rng.random() < _PROVED_SHARE:
            steps["proof"] = lambda: violations.extend(
                self._oracle.false_passes(bundle)
            )
        for name, step in steps.items():
            self._say(name)
            try:
                step()
                results.append("works")
            except AnomedgeError as error:
                results.append(f"{type(error).__name__} on {name}")
                violations += _message_faults(str(error))
            except Exception as error:  # noqa: BLE001 - any other exception is a violation
                results.append("violation")
                violations.append(f"{name}: {_traced(error)}")
        return max(
            results, key=lambda r: (r == "violation", r != "works")
        ), violations


def _inspect(bundle: Bundle, runtime: str) -> None:
    height, width = bundle.manifest.input.frame
    with Inspector.open(bundle, runtime=runtime, threads=1) as inspector:
        inspector.predict(
            np.zeros((min(height, 2048), min(width, 2048), 3), dtype=np.uint8)
        )


class _without_rights:  # noqa: N801 - a context manager
    """Drop superuser rights, which ignore file modes."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted and os.geteuid() == 0

    def __enter__(self) -> None:
        if self.wanted:
            os.seteuid(_NOBODY)

    def __exit__(self, *_: object) -> None:
        if self.wanted:
            os.seteuid(0)


def remove(root: Path) -> None:
    """Remove a mutated copy, whatever its rights are; a link in it is removed, never followed."""
    if os.path.lexists(root):
        _unlock(root)
        shutil.rmtree(root)


def _unlock(root: Path) -> None:
    """Restore the right to enter folders, through handles that cannot be links, because `chmod` follows links."""
    if root.stat(follow_symlinks=False).st_mode & 0o700 != 0o700:
        root.chmod(0o700)
    for _, folders, _, handle in os.fwalk(root):
        for name in folders:
            found = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) and found.st_mode & 0o700 != 0o700:
                os.chmod(name, 0o700, dir_fd=handle)


def _message_faults(text: str) -> list[str]:
    faults = []
    if text.count("\n") >= _LINES or len(text) > _CHARACTERS:
        faults.append(
            f"message of {text.count(chr(10)) + 1} lines, {len(text)} characters: {text[:200]!r}"
        )
    if any(not c.isprintable() and c != "\n" for c in text):
        faults.append(f"message with control characters: {text[:300]!r}")
    if not text.strip():
        faults.append("empty message")
    return faults


def _traced(error: BaseException) -> str:
    codes = [
        frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    own = [code for code in codes if "/anomedge/" in code.co_filename]
    where = (
        f"{Path(own[-1].co_filename).name}:{own[-1].co_name}" if own else "?"
    )
    return f"{type(error).__name__} in {where}: {' '.join(str(error).split())[:160]}"


def _changed(
    before: tuple[dict[str, Any], ...], after: tuple[dict[str, Any], ...]
) -> list[str]:
    return [
        p
        for old, new in zip(before, after, strict=True)
        for p in sorted(old.keys() | new.keys())
        if old.get(p) != new.get(p)
    ]
