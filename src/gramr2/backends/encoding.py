"""From chat messages to token ids, without turning any text into control tokens.

Rendering a chat template and tokenising the result would turn a literal ``<|im_end|>`` inside a response into the
control token of that name, and a response could end the prompt and speak as the judge. Here the template is rendered
around placeholders, and the content of each message is tokenised separately, with special tokens switched off.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Protocol

from gramr2.backends.base import VerdictReading
from gramr2.backends.chat_template import frame_of
from gramr2.comparison import Message
from gramr2.errors import ModelError

_OPENED = re.compile(r"<think>\s*\Z")


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    chat_template: str | dict[str, str] | None
    eos_token_id: int | None
    bos_token_id: int | None
    all_special_ids: list[int]

    def __call__(self, text: str, **options: Any) -> Any: ...
    def decode(self, ids: list[int], **options: Any) -> str: ...
    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any: ...
    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]: ...


class Encoder:
    """Encodes prompts and answers for one tokenizer; training and inference share it, so they see the same ids.

    Args:
        tokenizer: a transformers tokenizer, with or without a chat template.
        template_options: extra variables for the chat template, such as ``enable_thinking: false``.
    """

    def __init__(self, tokenizer: Tokenizer, template_options: dict[str, Any] | None = None) -> None:
        self.tokenizer = tokenizer
        self._lock = threading.Lock()
        self._options = template_options or {}
        self._frames: dict[tuple[str, ...], list[list[int]]] = {}
        # SentencePiece tokenizers put a space marker before any text; a fragment inside an answer must not get one.
        first = tokenizer.convert_ids_to_tokens(self._ids("x"))[0]
        self._guard = self._ids(">") if first.startswith("▁") else []

    def prompt(self, messages: tuple[Message, ...], *pieces: str) -> list[int]:
        """Ids of the whole prompt up to where the answer starts, followed by the given pieces of the answer."""
        frame = self._frame(tuple(turn.role for turn in messages))
        ids = list(frame[0])
        for turn, after in zip(messages, frame[1:], strict=True):
            ids += self._content(turn.content)
            ids += after
        return ids + [i for piece in pieces for i in self.fragment(piece)]

    def count(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Number of tokens of a rendered prompt, if there is one, and an answer."""
        return (len(self.prompt(messages)) if messages else 0) + len(self.fragment(answer))

    def fragment(self, text: str) -> list[int]:
        """Ids of a piece of an answer, encoded separately, so that a boundary of pieces is always a token boundary."""
        if not text:
            return []
        if self._guard:
            return self._ids(">" + text, literal=True)[len(self._guard) :]
        return self._ids(text, literal=True)

    def label_ids(self, reading: VerdictReading) -> dict[str, int]:
        """The first token of each label at the position of a verdict.

        Raises:
            ModelError: two labels begin with the same token, or the tokenizer merges labels with the tag before them, so
                that their probabilities cannot be read.
        """
        anchor = self.fragment(reading.anchor)
        firsts: dict[str, int] = {}
        for label in reading.labels:
            ids = self.fragment(f"{reading.anchor}{label}{reading.end}")
            if ids[: len(anchor)] != anchor or len(ids) <= len(anchor):
                raise ModelError(
                    f"this model's tokenizer merges the label {label!r} with the tag {reading.anchor!r} before it, so label "
                    "probabilities cannot be read: use another model"
                )
            firsts[label] = ids[len(anchor)]
        if len(set(firsts.values())) < len(firsts):
            names = self.tokenizer.convert_ids_to_tokens(list(firsts.values()))
            raise ModelError(
                f"this model's tokenizer begins the labels {', '.join(reading.labels)} with the tokens {names}, which are "
                "not distinct, so label probabilities cannot be read: use another model"
            )
        return firsts

    def _frame(self, roles: tuple[str, ...]) -> list[list[int]]:
        """The template's own ids before, between and after the contents of turns with these roles."""
        if roles not in self._frames:
            self._frames[roles] = [self._ids(piece) for piece in self._render(roles)]
        return self._frames[roles]

    def _render(self, roles: tuple[str, ...]) -> list[str]:
        if self.tokenizer.chat_template:
            pieces = frame_of(self.tokenizer, roles, self._options)
            # Some templates end in an opening <think>; the judge's answer begins with one too, so the template's is dropped.
            return [*pieces[:-1], _OPENED.sub("", pieces[-1])]
        bos = self.tokenizer.bos_token_id
        start = "" if bos is None else self.tokenizer.decode([bos])
        return [start, *["\n\n"] * len(roles)] if roles else [f"{start}\n\n"]

    def _content(self, text: str) -> list[int]:
        ids = self._ids(text, literal=True)
        control = set(self.tokenizer.all_special_ids)
        if not control.intersection(ids):
            return ids
        # The tokenizer ignores ``split_special_tokens``: split the text of each special token so that it cannot match.
        ids = []
        rest = text
        for token in sorted((self.tokenizer.decode([special]) for special in control), key=len, reverse=True):
            rest = rest.replace(token, f"{token[:1]}\ue002{token[1:]}") if token else rest
        for piece in rest.split("\ue002"):
            ids += self._ids(piece, literal=True) if piece else []
        return ids

    def _ids(self, text: str, literal: bool = False) -> list[int]:
        # transformers sets a flag on the tokenizer before encoding: without a lock, threads would use each other's flag.
        with self._lock:
            ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=literal)["input_ids"]
        return ids
