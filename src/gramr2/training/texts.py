"""The texts that a warm-up learns from and those it is measured on: from unlabelled comparisons, each once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gramr2.comparison import Comparison, Message
from gramr2.config.training import TrainingConfig
from gramr2.judging.template import HEADERS, sections_of
from gramr2.randomness import fraction

MIN_PROMPTS = 20
"""with fewer prompts, holding out whole prompts takes too much of the text or nothing"""


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt and the answer to be written for it; ``responses`` are those that the answer contains."""

    prompt: tuple[Message, ...]
    answer: str
    responses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WarmupJob:
    """Texts to train on and to measure on, with settings; texts of more than ``max_tokens`` tokens are left out and counted.

    ``seed`` shuffles the texts to train on.
    """

    texts: Sequence[Text]
    held_out: Sequence[Text]
    training: TrainingConfig
    prompt_loss: bool
    max_tokens: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class WarmupReport:
    """What a warm-up did.

    ``tokens`` are those of one pass over the ``examples``; ``before`` and ``after`` are the mean losses on the answers of the
    ``held_out`` texts, in nats per token, None if none are held out.
    """

    examples: int
    left_out: int
    tokens: int
    steps: int
    seconds: float
    held_out: int
    before: float | None
    after: float | None


def texts_of(comparisons: Sequence[Comparison], form: Literal["responses", "pairs"], seed: int) -> list[Text]:
    """The distinct texts of comparisons, in the order of their first occurrence.

    The order of the responses in a pair is drawn from (seed, id): in many files the better one always comes first. A pair
    has the headers of the judge's prompt.
    """
    found: dict[object, Text] = {}
    for each in comparisons:
        if form == "responses":
            for response in each.responses:
                found.setdefault((each.prompt, response), Text(each.prompt, response, (response,)))
            continue
        shown = each.swap() if fraction(seed, "warm-up", each.id) < 0.5 else each
        answer = sections_of(zip(HEADERS[1:3], shown.responses, strict=True))
        found.setdefault((each.prompt, frozenset(each.responses)), Text(each.prompt, answer, shown.responses))
    return list(found.values())


def hold_out(texts: Sequence[Text], share: float, seed: int) -> tuple[list[Text], list[Text]]:
    """The texts to train on, and about ``share`` of the texts to measure on.

    Whole prompts are held out. If there are fewer than ``MIN_PROMPTS``, single responses are: then no training text contains
    a held-out response, but a held-out pair may contain one that is trained on.
    """
    by_prompt = len({text.prompt for text in texts}) >= MIN_PROMPTS
    members: dict[str, set[int]] = defaultdict(set)
    for index, text in enumerate(texts):
        for unit in [_key(text.prompt)] if by_prompt else text.responses:
            members[unit].add(index)
    wanted = round(share * len(texts))
    held: set[int] = set()
    for unit in sorted(members, key=lambda name: (fraction(seed, "warm-up held out", name), name)):
        if len(held) >= wanted:
            break
        # A prompt with very many texts would displace many others.
        if len(held | members[unit]) <= 2 * wanted:
            held |= members[unit]
    return (
        [text for index, text in enumerate(texts) if index not in held],
        [text for index, text in enumerate(texts) if index in held],
    )


def _key(prompt: tuple[Message, ...]) -> str:
    return "\x1f".join(f"{turn.role}\x1e{turn.content}" for turn in prompt)
