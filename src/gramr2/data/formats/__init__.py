"""The formats in which files write comparisons: one module each, which defines the format as a constant."""
