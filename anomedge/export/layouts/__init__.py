"""Input and output layouts of exported graphs."""
