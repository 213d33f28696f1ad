"""The command line: one verb a file, found by looking. Each defines a function of its own name.

A verb with the name of a Python keyword, such as `import`, states its name as `NAME`.
"""
