"""Options of a command line from fields: names, types, defaults, help."""

import inspect
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from anomedge.commands._fields import parameter_of


class Fields(BaseModel):
    top_k: Annotated[int, Field(ge=1)] | None = Field(None, description="K.")
    fast: bool = False
    names: tuple[str, ...] = ("a",)
    kind: Literal["one", "two"] = Field("one", description="Kind.")
    needed: float


def made(name):
    parameter = parameter_of(name, Fields.model_fields[name])
    kind, option = parameter.annotation.__args__[0], parameter.annotation
    return parameter, kind, option.__metadata__[0]


@pytest.mark.parametrize(
    ("name", "flag", "kind", "default"),
    [
        ("top_k", "--top-k", int | None, None),
        ("fast", "--fast/--no-fast", bool | None, False),
        ("names", "--names", str | None, ("a",)),
        ("needed", "--needed", float, inspect.Parameter.empty),
    ],
)
def test_an_option_has_the_name_type_and_default(name, flag, kind, default):
    parameter, annotated, option = made(name)
    # Typer takes the first name as a default until it builds the command.
    assert [option.default, *option.param_decls] == [flag]
    assert annotated == kind
    assert parameter.default == default


def test_the_help_names_the_choices():
    assert made("kind")[2].help == "Kind. One of one, two."
    assert made("top_k")[2].help == "K."
