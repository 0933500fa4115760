"""PPE's correctness pairs: of 32 sampled answers to a question, a right one against a wrong one.

Source: Frick et al. 2024, arXiv 2410.14872; the layout of lmarena-ai/PPE-MMLU-Pro-Best-of-K as public code reads it.
"""

from __future__ import annotations

from gramr2.evaluation.benchmarks.base import Accuracies, Hub
from gramr2.evaluation.benchmarks.columns import Place, Row, column, numbers, prompt, text, whole, word
from gramr2.evaluation.benchmarks.items import Item, placed
from gramr2.messages import BadRowError

DOMAINS = {
    "mmlu-pro": "PPE-MMLU-Pro-Best-of-K",
    "math": "PPE-MATH-Best-of-K",
    "gpqa": "PPE-GPQA-Best-of-K",
    "mbpp-plus": "PPE-MBPP-Plus-Best-of-K",
    "ifeval": "PPE-IFEval-Best-of-K",
}
HUB = tuple(Hub(f"lmarena-ai/{name}", "train", part=domain) for domain, name in DOMAINS.items())


class PPECorrectness(Accuracies):
    """The pairs that the data set itself has sampled (``sampled_conflict_pairs``)."""

    name = "ppe-correctness"
    measures = "telling a right answer from a wrong one by the same model: MMLU-Pro, MATH, GPQA, MBPP+, IFEval"
    asks = "pairs of about 2500 sets of 32 responses, by 4 models"
    metric = "accuracy over pairs, by domain; `overall` is the mean of the five domains"
    layout = "`question_id`, `model_name`, `prompt`, `response_1` … `response_32`, `scores`, `sampled_conflict_pairs` (from 0)"
    verified = (
        "a fixture by hand; columns as public scripts read them. That pairs count alike in a domain is not verified"
    )
    licence = "see each data card"
    home = "https://huggingface.co/datasets/lmarena-ai/PPE-MMLU-Pro-Best-of-K"
    hub = HUB
    sections = tuple(DOMAINS)
    macro = True

    def read(self, row: Row, place: Place) -> list[Item]:
        answers, scores = responses(row), numbers(row, "scores")
        domain, name, turns = domain_of(place), set_name(row, place), prompt(row)
        pairs = column(row, "sampled_conflict_pairs")
        found: list[Item] = []
        for pair in pairs:
            i, j = (whole(each, "an index of sampled_conflict_pairs", len(answers)) for each in pair)
            if scores[i] == scores[j]:
                raise BadRowError(f"the responses {i} and {j} of a conflict pair have the same score")
            good, bad = (i, j) if scores[i] > scores[j] else (j, i)
            key = f"{name}:{min(i, j)}-{max(i, j)}"
            found.append(placed(place.seed, key, turns, answers[good], answers[bad], category=domain, group=name))
        return found


def responses(row: Row) -> list[str]:
    """The columns ``response_1``, ``response_2`` … as a list; there is a score for each."""
    count = len(numbers(row, "scores"))
    return [text(row, f"response_{i + 1}") for i in range(count)]


def domain_of(place: Place) -> str:
    """The domain in the name of the part: of the data set on the hub, or of a folder or file."""
    part = place.part.lower().replace("_", "-")
    return next((name for name in DOMAINS if name in part), place.part)


def set_name(row: Row, place: Place) -> str:
    """The id of a set: the same question was asked of several models."""
    words = [domain_of(place), word(row, "question_id") or place.default_id, word(row, "model_name")]
    return ":".join(each for each in words if each)


PPE_CORRECTNESS = PPECorrectness()
