"""Bundles that change: exchanged for another one while a function runs, as an export over it does, or in one byte."""

import shutil

from anomedge.bundle import Bundle, LocalSettings, write_local


def put_beside(copy, source):
    """Return a copy of `source`, with a threshold of its own, beside the bundle `copy`."""
    other = copy.parent / "other.anomedge"
    shutil.copytree(source, other)
    write_local(Bundle.open(other), LocalSettings(threshold=7.0))
    return other


def exchanging(copy, other):
    """Return a decorator: the function runs after `other` has taken the place of `copy`."""

    def decorate(function):
        def exchanged(*arguments):
            copy.rename(copy.parent / "aside")
            other.rename(copy)
            return function(*arguments)

        return exchanged

    return decorate


def files_of(root):
    """The content of every file below a folder."""
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def flip(path):
    """Change the byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
