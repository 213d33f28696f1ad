"""TensorRT engines for both packages, `tensorrt` and `tensorrt_rtx`: build, cache and run them."""
