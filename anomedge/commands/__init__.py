"""The command line: one verb a file, found by looking. Each defines a function of its own name.

A verb whose name is a keyword of Python states it as `NAME`.
"""
