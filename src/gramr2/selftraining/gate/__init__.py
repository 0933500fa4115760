"""How a round's judge does, and whether it may stay."""
