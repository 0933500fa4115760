"""LLMBar: which output follows the instruction, where the other one often looks better.

Source: Zeng et al. 2024, arXiv 2310.07641; ``LLMEvaluator/evaluate.py`` of github.com/princeton-nlp/LLMBar.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Comparison, Label
from gramr2.evaluation.benchmarks.base import Benchmark, Hub, Values, credits_of
from gramr2.evaluation.benchmarks.columns import Place, Row, column, prompt, text
from gramr2.evaluation.benchmarks.failures import OnFailure, mean, means
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair, Verdict
from gramr2.messages import BadRowError, shown

ADVERSARIAL = ("neighbor", "gptinst", "gptout", "manual")
_SPLITS = ("Natural", "Adversarial_Neighbor", "Adversarial_GPTInst", "Adversarial_GPTOut", "Adversarial_Manual")


class LLMBar(Benchmark):
    """The accuracy in each order, averaged; ``agreement`` is how often the two orders name the same output."""

    name = "llmbar"
    measures = "following instructions, against outputs that only look good"
    asks = "419 pairs: 100 natural, 319 in four adversarial subsets"
    metric = "accuracy averaged over both orders, by subset; positional agreement; `adversarial` is the mean of its four subsets"
    layout = (
        "`input`, `output_1`, `output_2`, `label` (1 or 2); the subset is the split, or the folder of the repository"
    )
    verified = (
        "325 published accuracies in the repository (65 evaluators, 5 subsets; `statistics.json`: correct_average), and files. "
        "`overall`, the mean of the five subsets, is ours"
    )
    licence = "MIT"
    home = "https://huggingface.co/datasets/princeton-nlp/LLMBar"
    hub = tuple(Hub("princeton-nlp/LLMBar", split, "LLMBar") for split in _SPLITS)
    sections = ("natural", *ADVERSARIAL)
    skips = ("evaluators/", "CaseStudy/", "Processed/", "LLMEvaluator/")

    def read(self, row: Row, place: Place) -> list[Item]:
        said = column(row, "label")
        if said not in (1, 2):
            raise BadRowError(f"label must be 1 or 2, not {shown(said)}")
        # Natural/dataset, Dataset/LLMBar/Adversarial/Manual/dataset, Adversarial_Manual
        words = place.part.lower().replace("_", "/").split("/")
        subset = next((name for name in self.sections if name in words), place.part)
        outputs = (text(row, "output_1"), text(row, "output_2"))
        pair = Comparison(f"{subset}:{place.default_id}", prompt(row, "input"), outputs, category=subset)
        return [Pair(pair, Label.A if said == 1 else Label.B)]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        values = means(credits_of(items, answers, policy), [self.section(item) for item in items])
        orders = [answer.orders for answer in answers if isinstance(answer, Verdict) and len(answer.orders) > 1]
        same = [float(first is second) for first, second in orders if first is not None and second is not None]
        hard = mean([values[name] for name in ADVERSARIAL if name in values])
        return {**values, "adversarial": hard, "agreement": mean(same), "overall": mean(values.values())}


LLMBAR = LLMBar()
