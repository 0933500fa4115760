"""Measuring a round's judge, and deciding whether it is accepted."""
