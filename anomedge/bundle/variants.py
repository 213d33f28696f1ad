"""The graphs of one precision, by role and file format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ConfigDict, RootModel, model_validator

from anomedge.errors import BundleError

__all__ = ["FORMATS", "MODEL", "SEGMENTS", "STAGES", "Variant"]

FORMATS = ("onnx", "openvino")
"""File formats of graphs: ONNX, and OpenVINO IR."""

MODEL, STAGES, SEGMENTS = "model", "stages", "segments"
"""Roles of graphs: the shipped graph, that with every stage as an output, and that cut at every stage."""

_STAGE_ROLES = (STAGES, SEGMENTS)

_MOST_GRAPHS = 64


class Variant(RootModel[dict[str, str]]):
    """The graphs of one precision.

    A graph has a role and a format. Roles are `model`, `stages`, `segments` and the name of each output layout that the
    bundle was exported with. In the manifest, a graph's key is `<role>_<format>`; the keys of the model's graphs leave
    out the role, and `stages` and `segments` leave out the format, which is ONNX.

    Bundles of early releases have no `segments`.

    Example:
        >>> variant = Variant(onnx="model.onnx", stages="stages.onnx", anomalib_onnx="anomalib.onnx")
        >>> variant.graph(), variant.graph("anomalib", "onnx"), variant.find("model", "openvino")
        ('model.onnx', 'anomalib.onnx', None)
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    @classmethod
    def of(cls, graphs: Mapping[tuple[str, str], str]) -> Variant:
        """Make a variant from file names by role and format."""
        return cls({_key(*place): file for place, file in graphs.items()})

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, graphs: Any) -> Any:
        """Drop the keys without a file that earlier releases wrote."""
        if not isinstance(graphs, Mapping):
            return graphs
        return {key: file for key, file in graphs.items() if file is not None}

    @model_validator(mode="after")
    def _is_whole(self) -> Variant:
        """Refuse unknown keys, too many, and variants without a model or its stages."""
        if len(self.root) > _MOST_GRAPHS:
            raise ValueError(f"expected at most {_MOST_GRAPHS} graphs")
        for key in self.root:
            _place(key)
        if missing := {"onnx", "stages"} - self.root.keys():
            raise ValueError(f"expected graphs {sorted(missing)}")
        return self

    def graph(self, role: str = MODEL, format: str = "onnx") -> str:  # noqa: A002 - the term of the field
        """Return the file of a graph.

        Raises:
            BundleError: the variant has no such graph.
        """
        file = self.find(role, format)
        if file is None:
            raise BundleError(
                f"got graph {role!r} as {format}; expected one of: {', '.join(self.root)}: export the bundle again"
            )
        return file

    def find(self, role: str = MODEL, format: str = "onnx") -> str | None:  # noqa: A002 - as in `graph`
        """Return the file of a graph; None if the variant has no such graph."""
        return self.root.get(_key(role, format))

    def files(self) -> tuple[str, ...]:
        """Return the files of all graphs: ONNX first; of a format, the model, the stage graphs, then layouts by name."""
        places = sorted(self._places(), key=_order)
        return tuple(self.root[_key(*place)] for place in places)

    def layouts(self) -> tuple[str, ...]:
        """Return the names of the output layouts that have graphs of their own."""
        roles = [role for role, _ in self._places()]
        own = {MODEL, *_STAGE_ROLES}
        return tuple(dict.fromkeys(role for role in roles if role not in own))

    def with_model(self, role: str) -> Variant:
        """Return a variant whose model graphs are those of another role, for runtimes to open.

        Raises:
            BundleError: the variant has no ONNX graph of that role.
        """
        graphs = {(MODEL, "onnx"): self.graph(role)}
        for kind in FORMATS:
            file = self.find(role, kind)
            if file is not None:
                graphs[MODEL, kind] = file
        graphs[STAGES, "onnx"] = self.graph(STAGES)
        return Variant.of(graphs)

    def _places(self) -> Iterator[tuple[str, str]]:
        for key in self.root:
            yield _place(key)


def _order(place: tuple[str, str]) -> tuple[int, int, str]:
    role, kind = place
    roles = (MODEL, *_STAGE_ROLES)
    rank = roles.index(role) if role in roles else len(roles)
    return FORMATS.index(kind), rank, role


def _key(role: str, kind: str) -> str:
    """Return the manifest's key of a graph.

    >>> _key("model", "openvino"), _key("stages", "onnx"), _key("anomalib", "onnx")
    ('openvino', 'stages', 'anomalib_onnx')
    """
    if role == MODEL:
        return kind
    if role in _STAGE_ROLES and kind == "onnx":
        return role
    return f"{role}_{kind}"


def _place(key: str) -> tuple[str, str]:
    """Return the role and format of a manifest's key.

    Raises:
        ValueError: the key has no known format, or a role that has a key of its own.
    """
    if key in FORMATS:
        return MODEL, key
    if key in _STAGE_ROLES:
        return key, "onnx"
    role, _, kind = key.rpartition("_")
    # Another spelling of a key, or stages as IR, would be a graph that nothing proves.
    if role in ("", MODEL, *_STAGE_ROLES) or kind not in FORMATS:
        raise ValueError(
            f"expected a graph's key <role>_<format>, the format one of {', '.join(FORMATS)}"
        )
    return role, kind
