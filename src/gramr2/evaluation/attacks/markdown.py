"""The same words in a heading, bullets and bold: does the look win?"""

from __future__ import annotations

from gramr2.evaluation.attacks.base import AFTER, Edit, Spot


class Markdown(Edit):
    """A heading, and every line as a bullet whose first word is bold."""

    def edit(self, text: str, spot: Spot) -> str | None:
        if not text.strip():
            return None
        return "## Answer\n\n" + "\n".join(map(_bullet, text.split("\n")))


def _bullet(line: str) -> str:
    first, blank, rest = line.strip().partition(" ")
    return f"- **{first}**{blank}{rest}" if first else line


MARKDOWN = Markdown("markdown", "a heading, and every line a bullet with its first word in bold", AFTER, 60)
