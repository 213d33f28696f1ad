"""Host side: from a model to a proven bundle."""
