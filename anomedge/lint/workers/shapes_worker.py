"""Run onnx's shape inference with data propagation in a process of its own, with bounded memory.

    shapes_worker.py < MODEL > MODEL

It fails if the inference needs more memory, or if the system cannot bound memory.
"""

import resource
import sys

import onnx.shape_inference

LIMIT = 2 << 30


def main() -> None:
    """Read a model from standard input; write it with the shapes of its values to standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(
        onnx.shape_inference.infer_shapes(
            model, data_prop=True
        ).SerializeToString()
    )


if __name__ == "__main__":
    main()
