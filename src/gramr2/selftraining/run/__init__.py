"""A run: its folder, data, models and whom it tells."""
