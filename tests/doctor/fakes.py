"""Fake vendor packages in a folder, for the processes that the doctor starts."""

import json
import os

PRESENT = """
__version__ = "10.3.0"
class Logger:
    ERROR = 1
    def __init__(self, level): pass
class Runtime:
    def __init__(self, logger): pass
"""
BROKEN = "raise ImportError('libnvdla_compiler.so: cannot open shared object file: No such file or directory')"
CRASHING = PRESENT.replace(
    "def __init__(self, logger): pass",
    "def __init__(self, logger):\n        import os, signal\n        os.kill(os.getpid(), signal.SIGSEGV)",
)
HANGING = PRESENT + "\nimport time\ntime.sleep(60)\n"


def install(monkeypatch, folder, content, name="tensorrt"):
    """Write a package and let child processes find it first."""
    package = folder / name
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(content)
    monkeypatch.syspath_prepend(folder)


def hide(monkeypatch, folder, *names):
    """Make packages look absent to child processes."""
    site = folder / "hidden"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name in {json.dumps(names)}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), before]))


def look(probe):
    """The findings of a probe in this process, by title."""
    return {finding.title: finding for finding in probe.look()}
