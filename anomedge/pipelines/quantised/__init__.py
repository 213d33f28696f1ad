"""INT8: networks of a detector quantised, and its statistics estimated again on the quantised features."""
