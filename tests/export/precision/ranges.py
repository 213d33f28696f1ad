"""Ranges by name."""


def by_name(found):
    return {each.name: each for each in found}
