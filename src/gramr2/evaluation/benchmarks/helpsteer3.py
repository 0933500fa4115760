"""HelpSteer3-Preference: human preferences from −3 to 3 over general, STEM, code and multilingual prompts.

Source: Wang et al. 2025, arXiv 2505.11475; the data card of nvidia/HelpSteer3.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Comparison, Label
from gramr2.evaluation.benchmarks.base import Benchmark, Hub, Values, credits_of
from gramr2.evaluation.benchmarks.columns import Place, Row, column, prompt, text, word
from gramr2.evaluation.benchmarks.failures import OnFailure, mean, means
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair
from gramr2.messages import BadRowError, shown


class HelpSteer3(Benchmark):
    """Negative prefers the first response, 0 is a tie. Accuracy is over items with a preference; ``with ties`` takes the tie as a
    third label, which a judge can give."""

    name = "helpsteer3"
    measures = "agreement with human preferences: general, STEM, code, multilingual"
    asks = "about 2000 pairs of the validation split"
    metric = "accuracy over pairs with a preference, by domain (`overall`); three-way accuracy over all (`with ties`)"
    layout = "split `validation`: `context`, `response1`, `response2`, `overall_preference`, `domain`"
    verified = "a fixture by hand. It is a data set without a leaderboard: the metric is ours"
    licence = "CC-BY-4.0"
    home = "https://huggingface.co/datasets/nvidia/HelpSteer3"
    hub = (Hub("nvidia/HelpSteer3", "validation", "preference"),)
    sections = ("general", "stem", "code", "multilingual")
    skips = ("feedback/", "edit/", "edit_quality/", "principle/")

    def read(self, row: Row, place: Place) -> list[Item]:
        value = column(row, "overall_preference")
        if isinstance(value, bool) or value not in range(-3, 4):
            raise BadRowError(f"overall_preference must be a whole number from -3 to 3, not {shown(value)}")
        label = Label.TIE if value == 0 else Label.A if value < 0 else Label.B
        answers = (text(row, "response1"), text(row, "response2"))
        domain = word(row, "domain")
        pair = Comparison(word(row, "id") or place.default_id, prompt(row, "context"), answers, category=domain)
        return [Pair(pair, label, {"strength": abs(value)})]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        credits = credits_of(items, answers, policy)
        decided = [
            (each, self.section(item))
            for item, each in zip(items, credits, strict=True)
            if isinstance(item, Pair) and item.label is not Label.TIE
        ]
        values = means([each for each, _ in decided], [section for _, section in decided])
        return {**values, "with ties": mean(credits), "overall": mean(each for each, _ in decided)}


HELPSTEER3 = HelpSteer3()
