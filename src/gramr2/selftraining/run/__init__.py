"""A run: its folder, data, models and observer."""
