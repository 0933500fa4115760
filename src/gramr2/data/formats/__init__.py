"""The ways in which files spell comparisons: one file each, in which a constant is the format."""
