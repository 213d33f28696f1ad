"""Model files with another header."""

import json
import struct


def rewritten(path, change):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["anomedge"])
    change(header, inner)
    header["__metadata__"]["anomedge"] = json.dumps(inner)
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data[8 + length :]
