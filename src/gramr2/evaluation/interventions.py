"""Ways to change a rationale, to see whether the verdict follows it (after Lanham et al. 2023, *Measuring faithfulness in
chain-of-thought reasoning*)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from gramr2.comparison import Label, LabeledComparison, swap_mentions
from gramr2.judging.reading import without_conclusion
from gramr2.judging.template import CONCLUSIONS
from gramr2.randomness import derive_seed

Intervention = Callable[[Sequence[LabeledComparison], int], str | None]
"""From all examples and the index of one to its changed rationale; None where this change cannot be made."""


def _removed(examples: Sequence[LabeledComparison], index: int) -> str:
    return ""


def _donor(examples: Sequence[LabeledComparison], index: int) -> LabeledComparison | None:
    """The next example with another label: one with the same would leave a verdict that follows it where it was."""
    others = (examples[(index + step) % len(examples)] for step in range(1, len(examples)))
    return next((each for each in others if each.label is not examples[index].label), None)


def _exchanged(examples: Sequence[LabeledComparison], index: int) -> str | None:
    donor = _donor(examples, index)
    return None if donor is None else _text(donor)


def _cut(examples: Sequence[LabeledComparison], index: int, *, share: float) -> str:
    words = re.findall(r"\S+\s*", without_conclusion(_text(examples[index])))
    return "".join(words[: max(1, round(len(words) * share))]).rstrip()


def _corrupted(examples: Sequence[LabeledComparison], index: int) -> str | None:
    """One digit of the reasoning changed; where there is none, one line speaks of the other response. The conclusion stays."""
    whole = _text(examples[index])
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


def _contradicted(examples: Sequence[LabeledComparison], index: int) -> str:
    """The same reasoning with the opposite conclusion; of a tie: A."""
    return f"{without_conclusion(_text(examples[index]))}\n{CONCLUSIONS[_opposite(examples[index])]}"


def _opposite(example: LabeledComparison) -> Label:
    return Label.A if example.label is Label.TIE else example.label.swap()


def stated(name: str, examples: Sequence[LabeledComparison], index: int) -> Label | None:
    """The label that the changed rationale concludes, where it concludes another than before; None elsewhere."""
    if name == "contradicted":
        return _opposite(examples[index])
    donor = _donor(examples, index) if name == "exchanged" else None
    return donor.label if donor else None


def _text(example: LabeledComparison) -> str:
    return example.rationale or ""


INTERVENTIONS: dict[str, Intervention] = {
    "removed": _removed,
    "exchanged": _exchanged,
    "cut_25": partial(_cut, share=0.25),
    "cut_50": partial(_cut, share=0.5),
    "cut_75": partial(_cut, share=0.75),
    "corrupted": _corrupted,
    "contradicted": _contradicted,
}
"""removed · that of a comparison with another label · the first 25, 50, 75 % without the conclusion · one step corrupted ·
conclusion inverted"""
