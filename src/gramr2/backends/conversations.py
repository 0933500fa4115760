"""A response with its prompt as a scalar reward model reads it: a finished conversation, or a question with its answer.

The ids are those of the whole text, as its authors tokenise it, unless a text in it holds control tokens: then each content is
tokenised by itself, and stays a text (``gramr2.backends.encoding``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gramr2.backends.chat_template import conversation_of, frame_of
from gramr2.backends.encoding import Encoder
from gramr2.comparison import Comparison, Message
from gramr2.errors import ModelError

log = logging.getLogger("gramr2")


@dataclass(frozen=True, slots=True)
class Row:
    """Ids of a prompt and a response; ``types`` tell the two apart, for models that were given that."""

    ids: list[int]
    types: list[int] | None = None


class Conversations(Encoder):
    """Encodes responses for one tokenizer: with its chat template, or without one as a pair of texts."""

    def row(self, prompt: tuple[Message, ...], response: str) -> Row:
        """The ids of a response to a prompt.

        Raises:
            ModelError: the chat template fails, or the tokenizer makes control tokens of a text.
        """
        if self.tokenizer.chat_template:
            turns = (*prompt, Message("assistant", response))
            if [turn.role for turn in turns[:2]] == ["system", "user"] and self._refuses_system:
                turns = (Message("user", f"{turns[0].content}\n\n{turns[1].content}"), *turns[2:])
            return Row(self._conversation(turns))
        return self._pair(Comparison("", prompt, ("", "")).prompt_text, response)

    @cached_property
    def _refuses_system(self) -> bool:
        """Whether the chat template takes no system's turn, whose text then begins the user's."""
        turns = (Message("system", "x"), Message("user", "x"), Message("assistant", "x"))
        try:
            self._conversation(turns)
        except ModelError as error:
            self._conversation(turns[1:])
            log.info("the text of a system's turn begins the user's turn: %s", error)
            return True
        return False

    def _conversation(self, turns: tuple[Message, ...]) -> list[int]:
        pieces = frame_of(self.tokenizer, [turn.role for turn in turns], self._options, answering=False)
        frame = self._framed(pieces)
        text = conversation_of(self.tokenizer, turns, self._options)
        whole = self._ids(text)
        ours = [i for ids, piece in zip(frame, pieces, strict=True) for i in self.control.among(ids, piece)]
        if self.control.among(whole, text) == ours:
            return whole
        apart = [*frame[0]]
        for turn, after in zip(turns, frame[1:], strict=True):
            apart += self.fragment(turn.content) + after
        return apart

    def _pair(self, question: str, answer: str) -> Row:
        marks = self._paired("x", "x" if answer else "")["input_ids"]
        ours = self.control.among(marks, "")
        for literal in (False, True):
            found = self._paired(question, answer, literal)
            if self.control.among(found["input_ids"], question + answer) == ours:
                return Row(found["input_ids"], found.get("token_type_ids"))
        raise ModelError("this model's tokenizer makes control tokens of a text: use another model")

    def _paired(self, question: str, answer: str, literal: bool = False) -> dict[str, Any]:
        with self._lock:
            return dict(self.tokenizer(question, text_pair=answer, split_special_tokens=literal))
