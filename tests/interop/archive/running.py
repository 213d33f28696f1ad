"""One opcode at a time, on a machine without a file."""

from anomedge.interop.archive.limits import Budget
from anomedge.interop.archive.machine import Machine
from anomedge.interop.archive.opcodes import _HANDLERS


def after(opcodes, *stack):
    """Return the machine after opcodes, each a name or (name, argument), on these values; "MARK" among them is a mark."""
    machine = Machine(Budget(1 << 20), lambda identity: ("loaded", identity))
    for value in stack:
        if isinstance(value, str) and value == "MARK":
            machine.mark()
        else:
            machine.push(value, 0)
    for opcode in opcodes.split() if isinstance(opcodes, str) else opcodes:
        name, argument = opcode if isinstance(opcode, tuple) else (opcode, None)
        _HANDLERS[name](machine, argument)
    return machine


def value(opcodes, *stack):
    """Return the only value that opcodes leave."""
    return after(opcodes, *stack).result()
