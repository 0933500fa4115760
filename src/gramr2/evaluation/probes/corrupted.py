"""One step of the reasoning made wrong: does the verdict notice?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gramr2.comparison import LabeledComparison
from gramr2.evaluation.probes.base import Intervention, text_of
from gramr2.judging.reading import without_conclusion
from gramr2.mentions import swap_mentions
from gramr2.randomness import derive_seed


class Corrupted(Intervention):
    """One digit of the reasoning changed; if there is none, one line names the other response. The conclusion stays."""

    def change(self, examples: Sequence[LabeledComparison], index: int) -> str | None:
        whole = text_of(examples[index])
        body = without_conclusion(whole)
        rest = whole[len(body) :]
        draw = derive_seed(0, "corrupt", examples[index].comparison.id)
        digits = [match.start() for match in re.finditer(r"\d", body)]
        if digits:
            place = digits[draw % len(digits)]
            digit = (int(body[place]) + 1 + draw // len(digits) % 9) % 10
            return f"{body[:place]}{digit}{body[place + 1 :]}{rest}"
        lines = body.split("\n")
        speaking = [i for i, line in enumerate(lines) if swap_mentions(line) != line]
        if not speaking:
            return None
        chosen = speaking[draw % len(speaking)]
        lines[chosen] = swap_mentions(lines[chosen])
        return "\n".join(lines) + rest


CORRUPTED = Corrupted("corrupted", "one step corrupted", 5)
