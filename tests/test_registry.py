import abc
import importlib
import sys

import pytest

from anomedge.errors import InputError
from anomedge.registry import Registry


class Sensor(abc.ABC):
    name: str

    @abc.abstractmethod
    def read(self) -> int:
        """Return a reading."""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install dummy distributions: a module, and metadata that names its entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(distribution, code, points):
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = [
            f"{name} = {module}:{target}" for name, target in points.items()
        ]
        (info / "entry_points.txt").write_text(
            "[test.sensors]\n" + "\n".join(lines) + "\n"
        )
        importlib.invalidate_caches()
        monkeypatch.setattr(
            sys, "path", [*sys.path, f"/nowhere/{distribution}"]
        )

    yield make
    for module in [
        name
        for name in sys.modules
        if name.startswith(("plugin_", "own_sensors"))
    ]:
        del sys.modules[module]


@pytest.fixture
def sensors(tmp_path, install):
    package = tmp_path / "own_sensors"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "light.py").write_text(SENSOR.format(name="light"))
    return Registry(
        "own_sensors",
        "test.sensors",
        "sensor",
        Sensor,
        lambda member: (member.name[0],),
    )


SENSOR = """
from tests.test_registry import Sensor

class Found(Sensor):
    name = {name!r}
    def read(self): return 1

class _Base(Sensor):
    name = "abstract"
"""


def test_members_are_the_package_s_modules_and_plugins(sensors, install):
    install("plugin-heat", SENSOR.format(name="heat"), {"heat": "Found"})
    assert sensors.names() == ["heat", "light"]
    assert list(sensors.members()) == ["heat", "light"]
    assert sensors.get("heat")().read() == 1
    assert sensors.get("h") is sensors.get("heat")
    assert sensors.faults() == {}
    assert sensors.distribution("heat") == "plugin-heat"
    assert sensors.distribution("light") is None


def test_a_plugin_is_loaded_only_when_needed(sensors, install):
    install("plugin-heat", "raise RuntimeError('loaded')", {"heat": "Found"})
    assert sensors.names() == ["heat", "light"]
    assert sensors.get("light").name == "light"


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        (
            "raise RuntimeError('no driver')",
            "Found",
            r"of plugin-heat cannot be loaded \(RuntimeError: no driver\)",
        ),
        ("", "Found", "of plugin-heat cannot be loaded"),
        (
            "Found = 3",
            "Found",
            "is 3; expected a subclass of tests.test_registry.Sensor",
        ),
        ("class Found: name = 'heat'", "Found", "expected a subclass of"),
        (SENSOR.format(name="cold"), "Found", "states the name 'cold'"),
    ],
)
def test_a_broken_plugin_is_named_and_affects_no_other(
    sensors, install, code, target, message
):
    install("plugin-heat", code, {"heat": target})
    assert list(sensors.members()) == ["light"]
    assert list(sensors.faults()) == ["heat"]
    with pytest.raises(InputError, match=message):
        sensors.get("heat")


def test_equal_names_are_refused(sensors, install):
    install(
        "plugin-a",
        SENSOR.format(name="heat"),
        {"heat": "Found", "light": "Found"},
    )
    install("plugin-b", SENSOR.format(name="heat"), {"heat": "Found"})
    assert list(sensors.members()) == ["light"]
    assert sensors.get("light").__module__ == "own_sensors.light"
    assert "rename it" in sensors.faults()["light"]
    with pytest.raises(
        InputError,
        match="plugin-a and plugin-b; expected it from one distribution",
    ):
        sensors.get("heat")


def test_an_unknown_name_lists_the_members(sensors, install):
    install("plugin-heat", SENSOR.format(name="heat"), {"heat": "Found"})
    with pytest.raises(
        InputError,
        match=r"got sensor 'x'; expected one of: heat \(h\), light \(l\)",
    ):
        sensors.get("x")


def test_an_incomplete_plugin_is_refused_when_loaded(sensors, install):
    code = SENSOR.format(name="heat").replace("def read", "def write")
    install("plugin-heat", code, {"heat": "Found"})
    assert list(sensors.members()) == ["light"]
    with pytest.raises(InputError, match="does not define read; expected"):
        sensors.get("heat")


def test_a_plugin_cannot_take_an_own_member_s_alias(sensors, install):
    install("plugin-lux", SENSOR.format(name="lux"), {"lux": "Found"})
    assert sensors.get("l").__module__ == "own_sensors.light"
    assert list(sensors.members()) == ["light"]
    with pytest.raises(
        InputError, match="has the short name 'l' of anomedge's own light"
    ):
        sensors.get("lux")


def test_a_failing_import_is_not_repeated(sensors, install, tmp_path):
    log = tmp_path / "imports"
    code = f"with open({str(log)!r}, 'a') as f: f.write('x')\nraise RuntimeError('slow')"
    install("plugin-heat", code, {"heat": "Found"})
    assert [list(sensors.members()) for _ in range(3)] == [["light"]] * 3
    assert log.read_text() == "x"
