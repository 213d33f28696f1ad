"""Precisions of exported graphs."""
