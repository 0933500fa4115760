"""A judge as a metric of lighteval: the win rate of the model's outputs against references.

LightevalTaskConfig(name=…, metrics=[win_rate("runs/my-run")], …)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import SampleLevelMetric
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.requests import Doc, SamplingMethod

from gramr2.comparison import SingleResponse
from gramr2.errors import DataError
from gramr2.integrations.judges import shared, texts
from gramr2.rewards.pointwise import against_references


class WinRate(SampleLevelComputation):  # type: ignore[misc]  # lighteval is not typed
    """See ``win_rate``."""

    def __init__(self, judge: str, references: str | None, seed: int, options: dict[str, Any]) -> None:
        self._judge, self._references, self._seed, self._options = judge, references, seed, options

    def compute(self, responses: list[ModelResponse], docs: list[Doc], **_: Any) -> list[float]:
        """One chance for each document, NaN where the judge does not decide. Raises as ``win_rate`` says."""
        items = [
            SingleResponse.of(doc.query, response.final_text[0], self._bank(doc))
            for response, doc in zip(responses, docs, strict=True)
        ]
        scored = against_references(shared(self._judge, self._options), items, seed=self._seed)
        return [math.nan if each.score is None else each.score for each in scored]

    def _bank(self, doc: Doc) -> list[str]:
        bank = texts((doc.specific or {}).get(self._references) if self._references else doc.get_golds())
        if not bank:
            where = f"nothing under {self._references!r} in specific" if self._references else "no gold answer"
            raise DataError(f"document {doc.id} has {where}: give it a reference")
        return bank


def win_rate(judge: str, references: str | None = None, seed: int = 0, **options: Any) -> SampleLevelMetric:
    """The chance that an output beats its references, a tie counting half; the mean is over those that the judge decides.

    Args:
        judge: any name that ``gramr2.load_judge`` takes; it is loaded when the first outputs are judged.
        references: key of ``doc.specific`` with a text to beat, or several; default: the gold answers.
        seed: for the votes.
        options: see ``gramr2.loading.JudgeOptions``.

    Raises:
        DataError: in the run, if a document has no reference.
    """
    return SampleLevelMetric(
        metric_name="win_rate",
        sample_level_fn=WinRate(judge, references, seed, options),
        category=SamplingMethod.GENERATIVE,
        corpus_level_fn=np.nanmean,
        higher_is_better=True,
        batched_compute=True,
    )
