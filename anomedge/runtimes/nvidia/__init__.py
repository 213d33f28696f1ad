"""NVIDIA GPUs: find them, use CUDA memory and streams, configure ONNX Runtime's CUDA and TensorRT providers."""
