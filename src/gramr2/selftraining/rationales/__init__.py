"""Sources of rationales, and measures of their quality."""
