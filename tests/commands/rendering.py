"""Tables and lines as text."""

from anomedge.commands._console import SafeConsole


def text_of(*parts, width=200):
    """Return the printed parts, with single spaces."""
    console = SafeConsole(width=width, soft_wrap=False)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return " ".join(capture.get().split())


def rows_of(table):
    """Return the cells of each row of a table."""
    columns = [list(column.cells) for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]
