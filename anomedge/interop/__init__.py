"""Models of other people: anomalib's files, and any torch module."""
