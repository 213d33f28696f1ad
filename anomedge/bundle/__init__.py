"""Bundles: the manifest and its parts, local settings, integrity checks, and the graphs that a bundle may hold."""

from anomedge.bundle.contracts import InputContract, OutputContract
from anomedge.bundle.local_settings import LOCAL, LocalSettings
from anomedge.bundle.manifest import (
    MANIFEST_LIMIT,
    SCHEMA_VERSION,
    Golden,
    Manifest,
    digest_at,
    read_manifest,
    unsigned,
    write_manifest,
)
from anomedge.bundle.members import CERTIFICATES, MANIFEST, describe_files
from anomedge.bundle.opened import (
    Bundle,
    assert_in_place,
    remove_local,
    require_outside,
    write_local,
)
from anomedge.bundle.search import SEARCH_STAGES, Int8Search
from anomedge.bundle.variants import Variant

__all__ = [
    "CERTIFICATES",
    "LOCAL",
    "MANIFEST",
    "MANIFEST_LIMIT",
    "SCHEMA_VERSION",
    "SEARCH_STAGES",
    "Bundle",
    "Golden",
    "InputContract",
    "Int8Search",
    "LocalSettings",
    "Manifest",
    "OutputContract",
    "Variant",
    "assert_in_place",
    "describe_files",
    "digest_at",
    "read_manifest",
    "remove_local",
    "require_outside",
    "unsigned",
    "write_local",
    "write_manifest",
]
