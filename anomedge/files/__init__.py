"""Read untrusted files safely; write files and folders atomically."""

from anomedge.files.atomic import (
    NO_SPACE,
    atomic_directory,
    atomic_file,
    check_target,
    is_temporary_of,
    remove_file,
    sweep_folder,
)
from anomedge.files.digests import (
    canonical_json,
    sha256_of_bytes,
    sha256_of_file,
    sha256_of_open,
)
from anomedge.files.members import safe_member
from anomedge.files.plain import open_plain, size_of
from anomedge.files.state import state_folder
from anomedge.files.strict_json import (
    JsonError,
    NotPlainError,
    parse_json,
    parse_json_array,
    read_json,
    read_limited,
    validated,
)

__all__ = [
    "NO_SPACE",
    "JsonError",
    "NotPlainError",
    "atomic_directory",
    "atomic_file",
    "canonical_json",
    "check_target",
    "is_temporary_of",
    "open_plain",
    "parse_json",
    "parse_json_array",
    "read_json",
    "read_limited",
    "remove_file",
    "safe_member",
    "sha256_of_bytes",
    "sha256_of_file",
    "sha256_of_open",
    "size_of",
    "state_folder",
    "sweep_folder",
    "validated",
]
