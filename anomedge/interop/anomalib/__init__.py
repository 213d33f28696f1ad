"""anomalib's own files, read without executing a pickle, as detectors of anomedge.

`read_foreign(path)` gives the content of a file; `import_native` builds a
detector from it. One module per detector, such as `padim.py`.
"""

from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Preprocessing,
    StoredThresholds,
    Taken,
    TakenLine,
)
from anomedge.interop.anomalib.importing import (
    Imported,
    available,
    import_native,
    native_of,
    read_foreign,
    thresholds_of,
)

__all__ = [
    "ForeignModel",
    "Imported",
    "Preprocessing",
    "StoredThresholds",
    "Taken",
    "TakenLine",
    "available",
    "import_native",
    "native_of",
    "read_foreign",
    "thresholds_of",
]
