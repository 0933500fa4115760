"""Ask a judge for its verdict after a given rationale, instead of letting it write one.

With the responses withheld, this reads the label back from the rationale alone; with them shown and the rationale changed,
it tells whether the judge uses its rationale at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from gramr2.backends.base import Backend, Completion, Decoding, GenerationRequest
from gramr2.comparison import Comparison
from gramr2.judging.parser import parse
from gramr2.judging.template import OPENING, JudgeTemplate
from gramr2.judgment import FinishReason, LabelProbabilities
from gramr2.written import own

WITHHELD = "(withheld)"
_CONCLUSION = re.compile(r"^Conclusion:.*\Z", re.MULTILINE | re.DOTALL)


def withhold(comparison: Comparison, *, prompt: bool = True) -> Comparison:
    """The comparison with its responses withheld, and its prompt too if ``prompt``, so that only the rationale is left."""
    hidden = tuple(replace(turn, content=WITHHELD) for turn in comparison.prompt) if prompt else comparison.prompt
    return replace(comparison, prompt=hidden, responses=(WITHHELD, WITHHELD))


def without_conclusion(rationale: str) -> str:
    """The rationale up to its “Conclusion:” line."""
    return _CONCLUSION.sub("", rationale).rstrip()


def request_for(template: JudgeTemplate, comparison: Comparison, rationale: str) -> GenerationRequest:
    """A request whose answer already contains the rationale and stops at the verdict: one prefill, no generated text."""
    reading = template.verdict_reading()
    body = rationale.strip().removeprefix(OPENING)
    return GenerationRequest(
        messages=template.render(comparison),
        seeds=(0,),
        decoding=Decoding(temperature=0.0, max_new_tokens=1),
        prefill=template.prefill,
        written=(body, own(f"\n{reading.close}{reading.bridge}")),
        verdict=reading,
    )


def verdicts_given(
    backend: Backend, template: JudgeTemplate, items: Sequence[tuple[Comparison, str]]
) -> list[LabelProbabilities | None]:
    """P(label | comparison, rationale) for each pair, in the comparison's own order; None if no verdict could be read."""
    found: list[LabelProbabilities | None] = [None] * len(items)
    for index, completions in backend.generate([request_for(template, *item) for item in items]):
        found[index] = _belief(completions[0])
    return found


def _belief(completion: Completion) -> LabelProbabilities | None:
    if not completion.sound or completion.finish_reason is FinishReason.ERROR:
        return None
    if completion.label_logprobs is not None:
        return LabelProbabilities(*(math.exp(completion.label_logprobs[label]) for label in ("A", "B", "tie")))
    label = parse(completion.text).outcome.label
    return None if label is None else LabelProbabilities.certain(label)
