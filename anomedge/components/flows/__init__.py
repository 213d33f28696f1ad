"""Invertible modules of normalising flows."""
