"""The pages of the project: links, paths and commands exist."""

import re
import shlex

import pytest
import typer

from anomedge.__main__ import application
from tests.documentation import PAGES, ROOT, blocks, commands

LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)")
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = (
    "anomedge/",
    "benchmarks/",
    "docs/",
    "export/",
    "runtimes/",
    "scripts/",
    "tests/",
)
# These pages quote paths of other projects.
FOREIGN = {
    "lightning-names.md",
    "upstream-tests-estimators.md",
    "upstream-tests-flows.md",
}
COMMANDS = [
    (page.relative_to(ROOT).as_posix(), command)
    for page in PAGES
    for command in commands(page, ("", "sh"))
]


def slug(heading: str) -> str:
    """Return the anchor that a Markdown renderer derives from a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def headings(text: str) -> set[str]:
    return {slug(line) for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_links_and_paths_exist(page):
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    missing = []
    for target, anchor in LINK.findall(re.sub(CODE, "", prose)):
        if "://" in target:
            continue
        path = page.parent / target if target else page
        if not path.exists():
            missing.append(target)
        elif anchor and anchor not in headings(path.read_text("utf-8")):
            missing.append(f"{target}#{anchor}")
    if page.name not in FOREIGN:
        missing += [path for path in named_paths(prose) if not exists(path)]
    assert missing == []


def test_no_text_installs_anomedge_from_an_index():
    """It is on none; messages use `anomedge.extras`, and pages a clone or a folder of wheels."""
    wrong = re.compile(r"pip install (-\S+ )*['\"]?anomedge\b")
    sources = (ROOT / "anomedge").rglob("*.py")
    texts = {path: path.read_text("utf-8") for path in [*PAGES, *sources]}
    assert [path for path, text in texts.items() if wrong.search(text)] == []


def named_paths(text: str) -> list[str]:
    """Return the paths of this repository that a text names in code style."""
    words = (code.split()[0].split("::")[0] for code in CODE.findall(text))
    return [word for word in words if word.startswith(FOLDERS)]


def exists(path: str) -> bool:
    """Whether a path exists; placeholders stand for one name."""
    pattern = re.sub(r"<\w+>|NAME", "*", path).rstrip("/")
    return any(ROOT.glob(pattern))


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_parse(page, command):
    """Every command exists, with every option that the page gives it."""
    words = shlex.split(command, comments=True)
    if words[0] == "python":
        words = ["anomedge", words[2].removeprefix("anomedge."), *words[3:]]
    parse(words[1:])


@pytest.mark.parametrize(
    "words",
    [
        ["export", "part.safetensors", "--no-such-option"],
        ["no-such-command"],
        ["verify", "part.anomedge", "--model"],
    ],
)
def test_wrong_commands_do_not_parse(words):
    with pytest.raises(Exception, match=r"(?i)no such|requires an argument"):
        parse(words)


def parse(words: list[str]) -> None:
    """Parse a command line as far as the names of commands and options."""
    command = typer.main.get_command(application())
    context = command.context_class(command, info_name="anomedge")
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        context = command.context_class(command, context, info_name=name)
    command.make_parser(context).parse_args(list(words))


def test_pages_have_commands_and_python():
    assert len(COMMANDS) > 30
    assert any(block.language == "python" for block in blocks(PAGES[0]))


@pytest.mark.parametrize(
    "page",
    sorted((ROOT / "docs" / "decisions").glob("0*.md")),
    ids=lambda page: page.stem[:4],
)
def test_decisions_have_context_decision_and_consequences(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.name[:4]}: ")
    parts = ("Context", "Decision", "Consequences")
    assert [part for part in parts if part not in text] == []
