"""Where rationales come from, and how good they are."""
