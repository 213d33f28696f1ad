"""Read torch's zip files without executing a pickle."""

from anomedge.interop.archive.reading import Archive, open_archive
from anomedge.interop.archive.records import Record
from anomedge.interop.archive.tensors import StoredTensor

__all__ = ["Archive", "Record", "StoredTensor", "open_archive"]
