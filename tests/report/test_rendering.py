"""Templates: values are escaped, missing ones are errors, pictures are inside the page."""

import base64
import importlib.util
import io

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup
from PIL import Image

from anomedge.errors import RuntimeMissing
from anomedge.report.pictures import Panel
from anomedge.report.rendering import check_installed, environment, svg_uri


def rendered(template, **values):
    return environment().from_string(template).render(values)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;"),
        ("a\x1b[2J\u202eb", r"a\x1b[2J\u202eb"),
        ("one\ntwo", "one\ntwo"),
        ("\udce9", r"\udce9"),
        (12, "12"),
        (Markup("<b>"), "<b>"),
    ],
)
def test_values_are_escaped_and_markup_stays(value, shown):
    assert rendered("{{ value }}", value=value) == shown


def test_values_without_a_definition_are_errors():
    with pytest.raises(UndefinedError, match="value"):
        rendered("{{ value }}")
    with pytest.raises(UndefinedError):
        rendered("{% if value %}{% endif %}")


@pytest.mark.parametrize(
    ("template", "value", "shown"),
    [
        ("{{ value | short }}", None, "\N{EN DASH}"),
        ("{{ value | short }}", 0.0, "0"),
        ("{{ value | short }}", 0.00123, "1.2e-03"),
        ("{{ value | power }}", 1e-4, "1e-4"),
        ("{{ value | power }}", 9.7e-5, "1e-4"),
        ("{{ value | power }}", 20.0, "2e1"),
        ("{{ value | mebibytes }}", None, "\N{EN DASH}"),
        ("{{ value | mebibytes }}", 0, "0 MiB"),
        ("{{ value | mebibytes }}", 3 << 20, "3 MiB"),
    ],
)
def test_numbers_are_short(template, value, shown):
    assert rendered(template, value=value) == shown


def test_a_picture_is_a_jpeg_of_its_pixels():
    pixels = np.full((6, 10, 3), [200, 20, 20], np.uint8)
    uri = rendered(
        "{{ value | picture }}", value=Panel(pixels, "title", "words")
    )
    head, data = uri.split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.format == "JPEG"
        assert image.size == (10, 6)
        shown = np.asarray(image.convert("RGB"), int)
    assert np.abs(shown - pixels).max() < 10


def test_an_svg_is_whole_in_its_address():
    head, data = svg_uri("<svg>é</svg>").split(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == "<svg>é</svg>"


@pytest.mark.parametrize("name", ["matplotlib", "jinja2"])
def test_what_is_not_installed_is_named(monkeypatch, name):
    check_installed()
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda asked: None if asked == name else found(asked),
    )
    with pytest.raises(
        RuntimeMissing, match=rf"^{name} not installed.*'\.\[report\]'"
    ):
        check_installed()
