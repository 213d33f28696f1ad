"""Scores and labels, with both classes."""

import numpy as np
from hypothesis import strategies as st

PAIRS = st.lists(
    st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60
).filter(lambda pairs: 0 < sum(label for _, label in pairs) < len(pairs))


def arrays(pairs):
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores, float), np.array(labels)
