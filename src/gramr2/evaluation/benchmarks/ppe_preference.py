"""PPE's human preferences: votes of Chatbot Arena on answers of strong models.

Source: Frick et al. 2024, arXiv 2410.14872; the data card of lmarena-ai/PPE-Human-Preference-V1.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Comparison, Label
from gramr2.evaluation.benchmarks.base import Benchmark, Hub, Values, credits_of
from gramr2.evaluation.benchmarks.columns import Place, Row, prompt, text, winner, word
from gramr2.evaluation.benchmarks.failures import OnFailure, mean
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair

SLICES = ("hard_prompt", "easy_prompt", "if_prompt", "is_code", "math_prompt")


class PPEPreference(Benchmark):
    """Accuracy over votes that prefer a response, also for the slices that the data set marks."""

    name = "ppe-preference"
    measures = "agreement with votes of Chatbot Arena"
    asks = "16038 pairs"
    metric = "accuracy over votes without ties (`overall`) and in each slice; three-way accuracy over all (`with ties`)"
    layout = (
        "`question_id`, `prompt`, `response_1`, `response_2`, `winner`, and true or false in `hard_prompt`, `is_code` …"
    )
    verified = (
        "a fixture by hand; columns against the data card. That ties are left out is not verified, and the paper's metrics "
        "over models (correlations, separability) are not in"
    )
    licence = "prompts CC-BY-4.0, outputs under their providers' terms"
    home = "https://huggingface.co/datasets/lmarena-ai/PPE-Human-Preference-V1"
    hub = (Hub("lmarena-ai/PPE-Human-Preference-V1", "test"),)

    def read(self, row: Row, place: Place) -> list[Item]:
        answers = (text(row, "response_1"), text(row, "response_2"))
        name = word(row, "question_id", "id") or place.default_id
        pair = Comparison(name, prompt(row), answers, category=word(row, "language"))
        return [Pair(pair, winner(row), {each: row.get(each) is True for each in SLICES})]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        credits = credits_of(items, answers, policy)
        decided = [
            (item, each)
            for item, each in zip(items, credits, strict=True)
            if isinstance(item, Pair) and item.label is not Label.TIE
        ]
        slices = {name: mean(each for item, each in decided if item.facts.get(name)) for name in SLICES}
        return {**slices, "with ties": mean(credits), "overall": mean(each for _, each in decided)}


PPE_PREFERENCE = PPEPreference()
