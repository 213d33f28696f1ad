"""Rules that place a threshold, one file each: by false-alarm rate, balanced against synthetic defects, by labels."""
