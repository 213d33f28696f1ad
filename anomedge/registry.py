"""Find the members of an extension point: the modules of its package, and the plugins of installed distributions.

A plugin is an entry point whose name is the member's name and whose value is its class::

    [project.entry-points."anomedge.runtimes"]
    tvm = "my_package.tvm:TvmSession"

Only a plugin's metadata is read until its class is needed. A plugin that cannot be loaded never affects other members.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from anomedge.errors import InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Registry"]


_OWN = "anomedge"


class Named(Protocol):
    """A class that states the name of its member."""

    name: ClassVar[str]


Member = TypeVar("Member", bound=Named)


def _no_aliases(member: type[Any]) -> tuple[str, ...]:
    del member
    return ()


@dataclass(frozen=True)
class Registry(Generic[Member]):
    """The members of one extension point, by name.

    Args:
        package: dotted name of the package whose modules define members.
        group: entry-point group of plugins.
        kind: the noun of a member, for messages.
        base: base class of members; each concrete subclass states its `name`.
        aliases: other names under which a member is found, given its class.
    """

    package: str
    group: str
    kind: str
    base: type[Member]
    aliases: Callable[[type[Any]], tuple[str, ...]] = _no_aliases

    def names(self) -> list[str]:
        """Return the names of all members, sorted; plugins are not loaded."""
        return sorted({*self._own(), *_plugins(self.group)})

    def members(self) -> dict[str, type[Member]]:
        """Return every member that can be loaded, sorted by name."""
        members = dict(self._own())
        for name in _plugins(self.group):
            if name not in members and not self._fault(name):
                members[name] = self._load(name)
        return dict(sorted(members.items()))

    def faults(self) -> dict[str, str]:
        """Return one line for each plugin that cannot be used, by its name."""
        found = {name: self._fault(name) for name in _plugins(self.group)}
        return {name: fault for name, fault in sorted(found.items()) if fault}

    def get(self, name: str) -> type[Member]:
        """Return the member of a name or an alias.

        Raises:
            InputError: no member has that name, or its plugin cannot be loaded.
        """
        own = self._own()
        if name in own:
            return own[name]
        for member in own.values():
            if name in self.aliases(member):
                return member
        if name in _plugins(self.group):
            return self._load(name)
        for member in self.members().values():
            if name in self.aliases(member):
                return member
        raise InputError(
            f"got {self.kind} {name!r}; expected one of: "
            f"{', '.join(self._described()) or 'none is installed'}"
        )

    def distribution(self, name: str) -> str | None:
        """Return the distribution of a plugin; None for a member of anomedge, listed by its own entry points too."""
        if name in self._own() or name not in _plugins(self.group):
            return None
        origins = _origins(_plugins(self.group)[name])
        return None if origins == _OWN else origins

    def _described(self) -> Iterator[str]:
        for name, member in self.members().items():
            aliases = self.aliases(member)
            yield f"{name} ({', '.join(aliases)})" if aliases else name

    def _own(self) -> dict[str, type[Member]]:
        return _members_of_package(self.package, self.base)

    def _fault(self, name: str) -> str:
        if name in self._own():
            origins = _origins(_plugins(self.group)[name])
            return f"{self.kind} {name!r} of {origins} has the name of one of anomedge's own: rename it"
        try:
            self._load(name)
        except InputError as error:
            return str(error)
        return ""

    def _load(self, name: str) -> type[Member]:
        candidates = _plugins(self.group)[name]
        origins = _origins(candidates)
        if len(candidates) > 1:
            raise InputError(
                f"got {self.kind} {name!r} from {origins}; expected it from one distribution: uninstall the others"
            )
        member = _load_once(candidates[0], tuple(sys.path))
        if isinstance(member, Exception):
            raise InputError(
                f"{self.kind} {name!r} of {origins} cannot be loaded ({type(member).__name__}: {member}); "
                f"repair or uninstall that distribution"
            ) from member
        if not (inspect.isclass(member) and issubclass(member, self.base)):
            raise InputError(
                f"{self.kind} {name!r} of {origins} is {member!r}; "
                f"expected a subclass of {self.base.__module__}.{self.base.__qualname__}"
            )
        if inspect.isabstract(member):
            missing = ", ".join(sorted(member.__abstractmethods__))
            raise InputError(
                f"{self.kind} {name!r} of {origins} does not define {missing}; "
                f"expected every abstract method: define them in {member.__qualname__}"
            )
        stated = getattr(member, "name", None)
        if stated != name:
            raise InputError(
                f"{self.kind} {name!r} of {origins} states the name {stated!r}; "
                f"expected the entry point's name"
            )
        self._check_aliases(name, member, origins)
        return member

    def _check_aliases(
        self, name: str, member: type[Member], origins: str
    ) -> None:
        """Refuse a plugin with an alias that one of anomedge's own members has."""
        for own_name, own in self._own().items():
            taken = {own_name, *self.aliases(own)} & set(self.aliases(member))
            if taken:
                raise InputError(
                    f"{self.kind} {name!r} of {origins} has the short name {taken.pop()!r} of anomedge's own "
                    f"{own_name}; expected another one: rename it"
                )


def _members_of_package(
    package: str, base: type[Member]
) -> dict[str, type[Member]]:
    """Import the modules of a package; collect the concrete subclasses of `base` that they define."""
    members: dict[str, type[Member]] = {}
    for module in _modules_of(package):
        for member in _classes_of(module):
            is_member = issubclass(member, base) and "name" in vars(member)
            if is_member and not inspect.isabstract(member):
                members[member.name] = member
    return dict(sorted(members.items()))


def _classes_of(module: ModuleType) -> Iterator[Any]:
    """Yield the classes that a module defines; imported ones are left out."""
    for _, value in inspect.getmembers(module, inspect.isclass):
        if value.__module__ == module.__name__:
            yield value


def _modules_of(package: str) -> Iterator[ModuleType]:
    path = importlib.import_module(package).__path__
    for found in pkgutil.iter_modules(path):
        if not found.ispkg:
            yield importlib.import_module(f"{package}.{found.name}")


def _plugins(group: str) -> dict[str, list[EntryPoint]]:
    return _plugins_on(group, tuple(sys.path))


# Caches are keyed by the import path, which decides which distributions are installed.


@lru_cache
def _plugins_on(
    group: str, path: tuple[str, ...]
) -> dict[str, list[EntryPoint]]:
    """Return the entry points of a group by name; a distribution that lies on the path twice counts once."""
    from importlib.metadata import entry_points

    del path
    found: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for point in entry_points(group=group):
        origin = (_distribution(point), point.value)
        found.setdefault(point.name, {})[origin] = point
    return {
        name: list(points.values()) for name, points in sorted(found.items())
    }


@lru_cache
def _load_once(point: EntryPoint, path: tuple[str, ...]) -> Any:
    """Return the value of an entry point, or the exception of its import, which is not repeated."""
    del path
    try:
        return point.load()
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return error


def _distribution(point: EntryPoint) -> str:
    return (
        point.dist.name if point.dist is not None else "an unnamed distribution"
    )


def _origins(points: list[EntryPoint]) -> str:
    return " and ".join(sorted(_distribution(point) for point in points))
