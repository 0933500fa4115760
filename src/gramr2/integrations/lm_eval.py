"""A judge as a metric of lm-evaluation-harness: the win rate of the model's outputs against references.

A task's YAML names functions in a Python file beside it (``!function FILE.NAME``), so that file is three lines::

    from gramr2.integrations.lm_eval import WinRate

    judge = WinRate("runs/my-run", prompt="question", references="answer")
    process_results, win_rate = judge.process_results, judge.win_rate

and the task has::

    output_type: generate_until
    process_results: !function judged.process_results
    metric_list:
      - {metric: win_rate, aggregation: !function judged.win_rate, higher_is_better: true}

The harness aggregates once, so all outputs of a task are judged together.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from gramr2.comparison import SingleResponse
from gramr2.errors import DataError
from gramr2.integrations.judges import shared, texts
from gramr2.rewards.pointwise import against_references

_LOGGER = logging.getLogger(__name__)


class WinRate:
    """The chance that an output beats its references, a tie counting half; over the documents that the judge decides.

    Args:
        judge: any name that ``gramr2.load_judge`` takes; it is loaded when the first task is aggregated.
        prompt: the document's key with what the judge is shown: a text, or chat messages.
        references: the key with a text to beat, or several.
        seed: for the votes.
        options: see ``gramr2.loading.JudgeOptions``.
    """

    def __init__(self, judge: str, *, prompt: str, references: str, seed: int = 0, **options: Any) -> None:
        self._judge, self._prompt, self._references = judge, prompt, references
        self._seed, self._options = seed, options

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is kept of a document until the task is aggregated; of several outputs the first counts.

        Raises:
            DataError: the document has no prompt or no reference.
        """
        prompt, bank = doc.get(self._prompt), texts(doc.get(self._references))
        if not prompt or not bank:
            missing = self._references if prompt else self._prompt
            raise DataError(f"a document has no {missing!r}: its keys are {', '.join(map(str, doc))}")
        return {"win_rate": {"prompt": prompt, "response": results[0], "references": bank}}

    def win_rate(self, kept: Sequence[Mapping[str, Any]]) -> float:
        """The mean over the documents that the judge decides, NaN if there are none; how many it does not is logged."""
        items = [SingleResponse.of(each["prompt"], each["response"], each["references"]) for each in kept]
        scored = against_references(shared(self._judge, self._options), items, seed=self._seed)
        values = [each.score for each in scored if each.score is not None and math.isfinite(each.score)]
        if len(values) < len(scored):
            _LOGGER.warning("the judge decided %d of %d outputs", len(values), len(scored))
        return fmean(values) if values else math.nan
