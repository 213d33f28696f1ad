"""Samples of few scores, with ties."""

from hypothesis import strategies as st

few = st.lists(st.integers(0, 40).map(float), min_size=3, max_size=40)
