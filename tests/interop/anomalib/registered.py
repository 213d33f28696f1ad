"""anomedge's own entry point for the detector "anomalib", for environments in which it was installed before that existed."""

from anomedge import pipelines

__all__ = ["register"]

POINT = "anomalib = anomedge.interop.anomalib.detector:AnomalibDetector"


def register(monkeypatch, folder):
    """Put metadata with the entry point on the path, unless the installed ones have it."""
    if "anomalib" in pipelines.available():
        return
    info = folder / "anomedge-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: anomedge\nVersion: 0\n"
    )
    (info / "entry_points.txt").write_text(f"[anomedge.pipelines]\n{POINT}\n")
    monkeypatch.syspath_prepend(folder)
