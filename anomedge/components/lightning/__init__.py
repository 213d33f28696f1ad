"""Base class and evaluation of detectors for Lightning; extra `train`."""
