"""Figures of the package's style: sizes, docstrings, plain words."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import anomedge

PACKAGE = Path(anomedge.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
COLUMNS = 80
LONGEST_FILE = 400
LONGEST_BODY = 40
# Exceptions that remain from before these rules: only lower the numbers.
MOST_LONG_FILES = 0
MOST_LONG_BODIES = 8
LONGEST_EXCEPTION = {"file": 400, "body": 50}

HEADLESS = {"what", "whose", "whoever", "somebody", "nobody"}
# Per 1000 words of docstrings and comments: only lower it.
MOST_HEADLESS = 1.5

Documented = (
    ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef,
)  # fmt: skip
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


def relative(file):
    return str(file.relative_to(PACKAGE))


def docstring_node(node):
    """The statement of a docstring, or None."""
    if not isinstance(node, Documented) or not node.body:
        return None
    first = node.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(
        first.value, ast.Constant
    )
    if is_text and isinstance(first.value.value, str):
        return first
    return None


def comments(source):
    """The comments of a file that are sentences, not directives."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    texts = [t.string for t in tokens if t.type == tokenize.COMMENT]
    directives = re.compile(r"#\s*(noqa|type:|fmt:|pragma)")
    return [text for text in texts if not directives.match(text)]


def prose_of(source):
    """The docstrings and comments of a file."""
    nodes = [docstring_node(node) for node in ast.walk(ast.parse(source))]
    docstrings = [node.value.value for node in nodes if node]
    return docstrings + comments(source)


def code_lines(source):
    """The lines of a file without blank lines, comments and docstrings."""
    nodes = [docstring_node(node) for node in ast.walk(ast.parse(source))]
    documented = {
        number
        for node in nodes
        if node
        for number in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    return [
        line
        for number, line in lines
        if number not in documented
        and line.strip()
        and not line.strip().startswith("#")
    ]


def bodies(source):
    """The name of each function and the lines of its body."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            docstring = docstring_node(node)
            start = docstring.end_lineno if docstring else node.body[0].lineno
            yield node.name, node.end_lineno - start + (docstring is None)


def public_nodes(node):
    """A module, and the public classes and functions defined in it."""
    yield node
    for child in node.body:
        if isinstance(child, (ast.ClassDef, *Function)):
            if child.name.startswith("_"):
                continue
            if isinstance(child, ast.ClassDef):
                yield from public_nodes(child)
            elif not is_stub(child):
                yield child


def is_stub(function):
    """Whether the body is `...`, as of overloads and protocols."""
    last = getattr(function.body[-1], "value", None)
    return isinstance(last, ast.Constant) and last.value is ...


def test_files_are_short():
    sizes = {relative(file): file.read_text().count("\n") for file in FILES}
    long = {file: size for file, size in sizes.items() if size > LONGEST_FILE}
    assert len(long) <= MOST_LONG_FILES, long
    assert max(long.values(), default=0) <= LONGEST_EXCEPTION["file"], long


def test_function_bodies_are_short():
    long = {
        f"{relative(file)}:{name}": lines
        for file in FILES
        for name, lines in bodies(file.read_text())
        if lines > LONGEST_BODY
    }
    assert len(long) <= MOST_LONG_BODIES, long
    assert max(long.values(), default=0) <= LONGEST_EXCEPTION["body"], long


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_public_names_have_docstrings(file):
    nodes = public_nodes(ast.parse(file.read_text()))
    missing = [
        getattr(node, "name", "the module")
        for node in nodes
        if not docstring_node(node)
    ]
    assert not missing


def test_few_lines_of_code_are_long():
    lines = [line for file in FILES for line in code_lines(file.read_text())]
    long = [line for line in lines if len(line) > COLUMNS]
    assert len(long) / len(lines) < 0.05


def test_prose_has_few_headless_words():
    """Count clauses such as `what it does` that hide their noun."""
    counts, total = {}, 0
    for file in FILES:
        words = re.findall(r"[A-Za-z]+", " ".join(prose_of(file.read_text())))
        total += len(words)
        counts[relative(file)] = sum(w.lower() in HEADLESS for w in words)
    worst = sorted(counts.items(), key=lambda item: -item[1])[:10]
    assert 1000 * sum(counts.values()) / total < MOST_HEADLESS, worst


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('"""What it does."""\n', ["What it does."]),
        ("x = 1  # whose\n", ["# whose"]),
        ('x = "what"\n', []),
        ("import a  # noqa: F401\n", []),
    ],
)
def test_prose_is_docstrings_and_comments(source, words):
    assert prose_of(source) == words


def test_body_length_excludes_the_docstring():
    source = 'def f():\n    """Text.\n\n    More.\n    """\n    a\n    b\n'
    assert list(bodies(source)) == [("f", 2)]
    assert list(bodies("def f():\n    a\n    b\n")) == [("f", 2)]
