"""The same reasoning with the opposite conclusion: does the verdict follow the last line?"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Label, LabeledComparison
from gramr2.evaluation.probes.base import Intervention, text_of
from gramr2.judging.reading import without_conclusion
from gramr2.judging.template import CONCLUSIONS


class Contradicted(Intervention):
    """The conclusion inverted; a tie becomes A."""

    def change(self, examples: Sequence[LabeledComparison], index: int) -> str:
        body = without_conclusion(text_of(examples[index]))
        return f"{body}\n{CONCLUSIONS[self.concludes(examples, index)]}"

    def concludes(self, examples: Sequence[LabeledComparison], index: int) -> Label:
        label = examples[index].label
        return Label.A if label is Label.TIE else label.swap()


CONTRADICTED = Contradicted("contradicted", "conclusion inverted", 6)
