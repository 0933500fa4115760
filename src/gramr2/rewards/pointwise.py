"""A score for one response: graded by itself after a written rationale, or by its chance against references."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from gramr2.backends.base import Backend, Completion, Decoding, GenerationRequest, VerdictReading
from gramr2.comparison import Comparison, Message, SingleResponse
from gramr2.errors import DataError
from gramr2.hashing import text_hash
from gramr2.judging.judge import Progress, Sampling, compare_with
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.template import OPENING, sections_of
from gramr2.judgment import FinishReason
from gramr2.randomness import derive_seed
from gramr2.rewards.ranking import result_of
from gramr2.written import joined, own

GRADES = tuple("0123456789")
"""ten grades, one token each in every tokenizer; reported as 1 to 10, but not written so: “10” may begin with the token of “1”"""
LOWEST = 1
_GRADE = re.compile(r"<answer>\s*(\d)\s*</answer>\s*\Z")
_RULES = (
    "How well does the response serve the prompt: is it correct, complete, to the point, safe, in the form asked for? Ignore its "
    "length. Reason inside <think></think>. Then grade it from 0 (useless) to 9 (could not be better), for example "
    "<answer>4</answer>."
)


@dataclass(frozen=True, slots=True)
class Scored:
    """A response's score.

    ``score`` is a grade from 1 to 10 or a chance from 0 to 1; None where no vote gave one, with ``reason`` saying what happened.
    ``spread`` is the standard deviation over votes or references (None with one), ``coverage`` the share of them that gave a
    score, ``grades`` the averaged distribution over 1 … 10 where there is one.
    """

    id: str
    score: float | None
    spread: float | None
    coverage: float
    rationale: str | None = None
    grades: tuple[float, ...] | None = None
    reason: str | None = None


class ScoringTemplate:
    """Prompt and answer of a judge that grades one response."""

    prefill = own(f"<think>\n{OPENING}")

    def render(self, item: SingleResponse) -> tuple[Message, ...]:
        """The prompt for a response."""
        named = (("[Prompt]", Comparison("", item.prompt, ("", "")).prompt_text), ("[Response]", item.response))
        return (Message("user", joined(own(f"{_RULES}\n\n"), sections_of(named))),)

    def reading(self, sampling: Sampling) -> VerdictReading:
        """Where the grade is."""
        return VerdictReading(GRADES, guided=sampling.guided, close_on_budget=sampling.close_on_budget)

    @property
    def hash(self) -> str:
        """Twelve hex digits over the rules."""
        return text_hash(f"{_RULES}\x00{self.prefill}", 6)


def grade(
    backend: Backend,
    items: Sequence[SingleResponse],
    sampling: Sampling | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Scored]:
    """Grade every response from 1 to 10: each vote is a rationale, followed by the expectation over the grades' tokens.

    A model that was only trained to compare has not learnt to grade: this is for models that follow instructions, or that
    were adapted to grading. ``sampling.orders`` is ignored.
    """
    sampling, template = sampling or Sampling(), ScoringTemplate()
    reading = template.reading(sampling)
    requests = [
        GenerationRequest(
            messages=template.render(item),
            seeds=tuple(derive_seed(seed, "grade", item.id, vote) for vote in range(sampling.votes)),
            decoding=Decoding(sampling.temperature, sampling.top_p, sampling.max_new_tokens),
            prefill=template.prefill,
            stop=() if sampling.guided else (reading.end,),
            verdict=reading,
        )
        for item in items
    ]
    scored: list[Scored | None] = [None] * len(items)
    for done, (index, completions) in enumerate(backend.generate(requests), 1):
        scored[index] = _graded(items[index].id, completions)
        if progress:
            progress(done, len(items))
    return [each for each in scored if each is not None]


def against_references(
    judge: PreferenceModel,
    items: Sequence[SingleResponse],
    references: Mapping[str, Sequence[str]] | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Scored]:
    """The chance that a response beats its references, a tie counting half: 0.5 is as good as they are.

    Args:
        judge: any preference model.
        items: responses; their own ``references`` are used if ``references`` has none for their id.
        references: a small bank of references per item id.
        seed: for the votes.
        progress: called with (comparisons done, total).

    Raises:
        DataError: a response has no reference.
    """
    banks = [_bank(item, references or {}) for item in items]
    comparisons = [pair for item, bank in zip(items, banks, strict=True) for pair in comparisons_against(item, bank)]
    decisions = iter(compare_with(judge, comparisons, seed=seed, progress=progress))
    scored = []
    for item, bank in zip(items, banks, strict=True):
        made = [next(decisions) for _ in bank]
        found = [(result, decision) for decision in made if (result := result_of(decision)) is not None]
        values = [result for result, _ in found]
        scored.append(
            Scored(
                item.id,
                fmean(values) if values else None,
                stdev(values) if len(values) > 1 else None,
                len(values) / len(made),
                rationale=next((decision.rationale for _, decision in found), None),
                reason=None if values else "the judge decided none of the comparisons",
            )
        )
    return scored


def comparisons_against(item: SingleResponse, references: Sequence[str]) -> list[Comparison]:
    """The comparisons by which ``against_references`` scores a response."""
    return [
        Comparison(f"{item.id}/reference-{i}", item.prompt, (item.response, reference), group=item.id)
        for i, reference in enumerate(references)
    ]


def references_from(
    bank: Sequence[SingleResponse], items: Sequence[SingleResponse], source: str
) -> dict[str, tuple[str, ...]]:
    """For every item, by its id, the bank's responses to the same prompt; items whose prompt is not there are left out.

    Raises:
        DataError: no item's prompt is in the bank, so the bank must belong to another task.
    """
    by_prompt: dict[tuple[Message, ...], dict[str, None]] = {}
    for each in bank:
        # A reference that occurs twice would count twice.
        by_prompt.setdefault(each.prompt, {})[each.response] = None
    found = {item.id: tuple(by_prompt[item.prompt]) for item in items if item.prompt in by_prompt}
    if not found:
        raise DataError(f"{source}: it has no response to any of the prompts that are scored")
    return found


def greedy_references(
    backend: Backend,
    items: Sequence[SingleResponse],
    *,
    max_new_tokens: int = 512,
    progress: Progress | None = None,
) -> dict[str, tuple[str, ...]]:
    """A model's own greedy answer to each prompt: GRAM's reference in PPO, a bank of one per item.

    Raises:
        DataError: an answer did not end within its budget; half an answer is not a reference.
    """
    distinct = {item.prompt: i for i, item in enumerate(items)}
    prompts = list(distinct)
    decoding = Decoding(temperature=0.0, max_new_tokens=max_new_tokens)
    answers: dict[tuple[Message, ...], str] = {}
    for index, (completion,) in backend.generate([GenerationRequest(prompt, (0,), decoding) for prompt in prompts]):
        if completion.finish_reason is not FinishReason.STOP:
            name = items[distinct[prompts[index]]].id
            raise DataError(
                f"{name}: the model's reference did not end within {max_new_tokens} tokens: allow more, or give references"
            )
        answers[prompts[index]] = completion.text
        if progress is not None:
            progress(len(answers), len(prompts))
    return {item.id: (answers[item.prompt],) for item in items}


def _bank(item: SingleResponse, references: Mapping[str, Sequence[str]]) -> Sequence[str]:
    bank = references.get(item.id) or item.references
    if not bank:
        raise DataError(
            f"{item.id}: there is no reference to score the response against: give its row a reference, or "
            "name references with --references or --policy"
        )
    return bank


def _graded(name: str, completions: Sequence[Completion]) -> Scored:
    votes = [(found, completion) for completion in completions if (found := _grades(completion)) is not None]
    if not votes:
        reasons = sorted({completion.error or completion.finish_reason.value for completion in completions})
        return Scored(name, None, None, 0.0, reason=f"no vote ended in a grade ({', '.join(reasons)})")
    values = [_expected(grades) for grades, _ in votes]
    grades = tuple(fmean(each) for each in zip(*(grades for grades, _ in votes), strict=True))
    typical = min(range(len(values)), key=lambda i: abs(values[i] - fmean(values)))
    text = votes[typical][1].text
    return Scored(
        name,
        _expected(grades),
        stdev(values) if len(values) > 1 else None,
        len(votes) / len(completions),
        rationale=text.rpartition("</think>")[0].partition("<think>")[2].strip() or None,
        grades=grades,
    )


def _grades(completion: Completion) -> tuple[float, ...] | None:
    if completion.finish_reason not in (FinishReason.STOP, FinishReason.CLOSED) or not completion.sound:
        return None
    written = _GRADE.search(completion.text)
    if written is None:
        return None
    if completion.label_logprobs is not None:
        return tuple(math.exp(completion.label_logprobs[label]) for label in GRADES)
    return tuple(float(label == written[1]) for label in GRADES)


def _expected(grades: Sequence[float]) -> float:
    return LOWEST + sum(grade * share for grade, share in enumerate(grades))
