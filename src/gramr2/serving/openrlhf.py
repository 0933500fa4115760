"""OpenRLHF's request for remote rewards, read: completions without the prompt, and what each is compared with.

OpenRLHF (0.11) asks for one completion at a time, so that its siblings are not there to compare it with. What it does send
along is the row's label (``--data.label_key``), which here says the reference: a text, a list of texts, or an object with
``reference`` or ``references``, and perhaps the ``prompt`` as it was before the policy's chat template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gramr2.comparison import Message, SingleResponse, as_messages
from gramr2.data.turns import BadRowError, read_prompt, read_text
from gramr2.errors import DataError
from gramr2.rewards.groups import Group
from gramr2.serving.schemas import RewardRequest

# Queries are decoded with their special tokens. One that ends a turn would tell the judge which of two texts is the policy's.
_END = re.compile(
    r"(?:<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end|return|user)\|>|<｜end▁of▁sentence｜>|<end_of_turn>|<turn\|>|<eos>|</s>)"
    r"\s*\Z"
)
_KEYS = {"prompt", "reference", "references"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A completion, the prompt that the judge is shown, and the references, where its label has some.

    ``group`` is the prompt as the policy was shown it: completions with the same one are siblings.
    """

    group: str
    prompt: tuple[Message, ...]
    completion: str
    references: tuple[str, ...]

    @property
    def item(self) -> SingleResponse:
        """To be scored; its id is a digest of its content, so that the votes do not depend on what else was asked."""
        name = Group(self.prompt, (self.completion, *self.references)).id
        return SingleResponse(name, self.prompt, self.completion, self.references)


def samples(body: RewardRequest) -> list[Sample]:
    """What a request asks about, in its order.

    Raises:
        DataError: queries, prompts and labels do not fit together, or a label says nothing that can be used.
    """
    counts = (len(body.query), len(body.prompts), len(body.query) if body.labels is None else len(body.labels))
    if len(set(counts)) > 1:
        raise DataError(
            f"{counts[0]} queries, {counts[1]} prompts and {counts[2]} labels: there must be one of each for each query"
        )
    labels = body.labels or [None] * len(body.query)
    return [_sample(place, *each) for place, each in enumerate(zip(body.query, body.prompts, labels, strict=True))]


def _sample(place: int, query: str, prompt: str, label: Any) -> Sample:
    completion = _after(query, prompt)
    if completion is None:
        raise DataError(f"query {place} does not begin with its prompt, so its completion cannot be told from it")
    end = _END.search(completion)
    said = label if isinstance(label, dict) else {"references" if isinstance(label, list) else "reference": label}
    # A column of objects that some rows lack a key of has it there, and null.
    said = {key: value for key, value in said.items() if value not in (None, "")}
    try:
        shown = as_messages(prompt) if "prompt" not in said else read_prompt(said["prompt"])
        references = tuple(_references(said))
    except BadRowError as error:
        raise DataError(f"label {place}: {error}") from error
    return Sample(prompt, shown, completion if end is None else completion[: end.start()], references)


def _references(said: dict[str, Any]) -> Iterator[str]:
    if unknown := said.keys() - _KEYS:
        raise BadRowError(f"{', '.join(sorted(unknown))} is not known: an object may have {', '.join(sorted(_KEYS))}")
    if {"reference", "references"} <= said.keys():
        raise BadRowError("it has both reference and references: one of the two says what to score against")
    texts = said.get("references", [said["reference"]] if "reference" in said else [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadRowError("a reference is a text, and references are a list of texts")
    yield from (read_text(text, "reference") for text in texts)


def _after(query: str, prompt: str) -> str | None:
    """The query without the prompt; some tokenizers lose or add white space between encoding and decoding."""
    if query.startswith(prompt):
        return query[len(prompt) :]
    place = 0
    for letter in "".join(prompt.split()):
        while place < len(query) and query[place].isspace():
            place += 1
        if not query.startswith(letter, place):
            return None
        place += 1
    return query[place:].removeprefix(prompt[len(prompt.rstrip()) :])
