"""Figures in one style, and their SVG."""

import sys
from xml.etree import ElementTree

import matplotlib
import pytest

from anomedge.errors import RuntimeMissing
from anomedge.report.drawing import as_svg, figure_of


def drawn(width=2.0, height=1.5):
    with figure_of(width, height) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [-1, 1])
        axes.set_title("a < b & c")
        return as_svg(figure)


def test_the_svg_is_one_element_of_the_stated_size():
    root = ElementTree.fromstring(drawn(2.0, 1.5))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("height")) == ("144pt", "108pt")


def test_no_date_and_no_program_are_stated():
    text = drawn()
    assert text.startswith("<svg")
    assert "dc:date" not in text
    assert "Matplotlib" not in text


def test_equal_figures_are_equal_bytes_whatever_the_settings_of_the_user():
    plain = drawn()
    users = {
        "font.size": 30,
        "axes.facecolor": "black",
        "svg.hashsalt": None,
    }
    with matplotlib.rc_context(users):
        assert drawn() == plain
        assert matplotlib.rcParams["font.size"] == 30


def settings():
    """Some that the style sets; a copy of all would choose a window system."""
    names = ("font.size", "svg.hashsalt", "axes.spines.top")
    return [matplotlib.rcParams[name] for name in names]


def test_the_settings_come_back_after_an_error():
    before = settings()
    with pytest.raises(ValueError), figure_of(1, 1):
        assert settings() != before
        raise ValueError
    assert settings() == before


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with (
        pytest.raises(RuntimeMissing, match=r"'\.\[report\]'"),
        figure_of(1, 1),
    ):
        pass


def test_an_import_error_of_the_drawing_itself_is_not_renamed():
    with pytest.raises(ImportError, match="mine"), figure_of(1, 1):
        raise ImportError("mine")
