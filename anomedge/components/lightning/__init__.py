"""Base class of detectors that are trained with Lightning, and their evaluation; extra `train`."""
