"""Install the browser page with its packages, and serve it on a port of this machine."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["install_page", "missing_for_page", "served"]

SOURCE = Path(__file__).parents[2] / "runtimes" / "browser"
_DRIVER = "puppeteer-core@24.43.1"


def missing_for_page() -> str | None:
    """Return a program that the page's packages need and this machine lacks."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return missing[0] if missing else None


def install_page(target: Path) -> Path:
    """Copy the page to a new folder and install its packages and the driver of the browser there."""
    ignored = shutil.ignore_patterns("node_modules")
    shutil.copytree(SOURCE, target, ignore=ignored)
    npm = shutil.which("npm") or "npm"
    for extra in ([], [_DRIVER, "--no-save"]):
        command = [npm, "install", "--no-audit", "--no-fund", *extra]
        subprocess.run(command, cwd=target, check=True, capture_output=True)
    return target


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback interface; yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Print nothing."""
