"""Interpret the opcodes of a pickle into plain values, tensors and inert records; nothing is imported or called.

The opcodes come from `pickletools.genops`, which decodes and does not execute. Every opcode of the protocols 0 to 5 has
a handler or is refused by its name: EXT1, EXT2, EXT4, PERSID, NEXT_BUFFER and READONLY_BUFFER are refused.
"""

import codecs
import pickletools
import struct
import warnings
from collections.abc import Callable
from typing import Any, cast

from anomedge.interop.archive import containers, objects, scalars
from anomedge.interop.archive.limits import MOST_OPCODES, Budget, Refused
from anomedge.interop.archive.machine import Machine
from anomedge.interop.archive.member_content import MemberStream

__all__ = ["interpret"]

# The decoder of UNICODE would import this codec, which is Python's own, at its first use.
codecs.lookup("raw_unicode_escape")

_HANDLERS = scalars.HANDLERS | containers.HANDLERS | objects.HANDLERS


def interpret(
    stream: MemberStream, budget: Budget, load_storage: Callable[[Any], Any]
) -> Any:
    """Return the value of a pickle.

    Args:
        stream: the pickle.
        budget: the memory that the value may take.
        load_storage: gives the value of a persistent id.

    Raises:
        Refused: the pickle is damaged, too large, or contains an opcode that torch does not write.
    """
    machine = Machine(budget, load_storage)
    try:
        # The decoder of STRING warns of unknown escapes.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _run(machine, stream)
    except Refused:
        raise
    except (ValueError, OverflowError, struct.error) as error:
        raise Refused(f"its pickle is damaged: {error}") from error
    if stream.left:
        raise Refused(f"its pickle is followed by {stream.left} more bytes")
    return machine.result()


def _run(machine: Machine, stream: MemberStream) -> None:
    left = MOST_OPCODES
    for opcode, argument, _ in pickletools.genops(cast(Any, stream)):
        left -= 1
        if left < 0:
            raise Refused(f"its pickle has over {MOST_OPCODES} opcodes")
        handler = _HANDLERS.get(opcode.name)
        if handler is None:
            raise Refused(
                f"its pickle contains the opcode {opcode.name}, which torch.save does not write"
            )
        handler(machine, argument)
