"""Tests of anomedge.conformance."""
