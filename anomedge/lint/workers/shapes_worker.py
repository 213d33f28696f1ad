"""onnx's shape inference that follows the values of vectors, as a program of its own: what it fills is this process's memory.

    shapes_worker.py < MODEL > MODEL

It ends without an answer where it would take more than it may have, and where the system cannot bound that.
"""

import resource
import sys

import onnx.shape_inference

LIMIT = 2 << 30


def main() -> None:
    """Read a model, write it with the shapes of its values."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(
        onnx.shape_inference.infer_shapes(
            model, data_prop=True
        ).SerializeToString()
    )


if __name__ == "__main__":
    main()
