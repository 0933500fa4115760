"""From chat messages to token ids, without turning any text into control tokens.

Rendering a chat template and tokenising the result would turn a literal ``<|im_end|>`` inside a response into the
control token of that name, and a response could end the prompt and speak as the judge. Here the chat template is rendered
around placeholders, and the content of each message is tokenised separately. In a content or an answer only what a template
wrote (``gramr2.written``) can become a control token, and of those only tokens that are not flagged special.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Protocol

from gramr2.backends.base import VerdictReading
from gramr2.backends.chat_template import frame_of
from gramr2.backends.control_tokens import ControlTokens, Raw
from gramr2.comparison import Message
from gramr2.errors import ModelError
from gramr2.written import own, parts_of

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
        self.control = ControlTokens(tokenizer)
        self._plain: Raw | None = None
        self._of_own: dict[str, list[int]] = {}
        self._labels: dict[VerdictReading, dict[str, int]] = {}
        # SentencePiece tokenizers put a space marker before any text; a piece inside a prompt or an answer must not get one.
        self._guard = self._ids(">") if self._is_marked(self._ids("x")[0]) else []
        self._marks_behind_control = bool(self._guard) and self._marks_behind(tokenizer.all_special_ids)

    @property
    def options(self) -> dict[str, Any]:
        """The variables for the chat template."""
        return self._options

    @property
    def marks(self) -> bool:
        """Whether the tokenizer puts a space marker before a text."""
        return bool(self._guard)

    def _is_marked(self, id: int) -> bool:
        return self.tokenizer.convert_ids_to_tokens([id])[0].startswith("▁")

    def _marks_behind(self, control: list[int]) -> bool:
        """Whether a text behind a control token gets a marker too, as by Llama 2's tokenizer."""
        for id in control:
            ids = self._ids(self.tokenizer.decode([id]) + "x")
            if len(ids) > 1 and ids[0] == id:
                return self._is_marked(ids[1])
        return False

    def prompt(self, messages: tuple[Message, ...], *pieces: str) -> list[int]:
        """Ids of the whole prompt up to where the answer starts, followed by the given pieces of the answer."""
        frame = self._frame(tuple(turn.role for turn in messages))
        ids = list(frame[0])
        for turn, after in zip(messages, frame[1:], strict=True):
            behind_control = self._marks_behind_control and bool(ids) and ids[-1] in self.control.ids
            ids += self._encoded(turn.content, inside=bool(ids) and not behind_control)
            ids += after
        return ids + [i for piece in pieces for i in self.fragment(piece)]

    def count(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Number of tokens of a rendered prompt, if there is one, and an answer."""
        return (len(self.prompt(messages)) if messages else 0) + len(self.fragment(answer))

    def fragment(self, text: str) -> list[int]:
        """Ids of a piece of an answer, encoded separately, so that a boundary of pieces is always a token boundary.

        Raises:
            ModelError: the tokenizer makes a control token of a character.
        """
        return self._encoded(text, inside=True) if text else []

    def label_ids(self, reading: VerdictReading) -> dict[str, int]:
        """The first token of each label at the position of a verdict.

        Raises:
            ModelError: two labels begin with the same token, or the tokenizer merges labels with the tag before them, so
                that their probabilities cannot be read.
        """
        if reading in self._labels:
            return self._labels[reading]
        anchor = self.fragment(own(reading.anchor))
        firsts: dict[str, int] = {}
        for label in reading.labels:
            ids = self.fragment(own(f"{reading.anchor}{label}{reading.end}"))
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
        self._labels[reading] = firsts
        return firsts

    def _frame(self, roles: tuple[str, ...]) -> list[list[int]]:
        """The template's own ids before, between and after the contents of turns with these roles."""
        if roles not in self._frames:
            self._frames[roles] = self._framed(self._render(roles))
        return self._frames[roles]

    def _framed(self, pieces: list[str]) -> list[list[int]]:
        """Ids of what a template writes before, between and after contents; only the first piece is a beginning."""
        return [self._ids(pieces[0]), *(self._guarded(self._ids, each, True) for each in pieces[1:])]

    def _render(self, roles: tuple[str, ...]) -> list[str]:
        if self.tokenizer.chat_template:
            pieces = frame_of(self.tokenizer, roles, self._options)
            # Some templates end in an opening <think>; the judge's answer begins with one too, so the template's is dropped.
            return [*pieces[:-1], _OPENED.sub("", pieces[-1])]
        bos = self.tokenizer.bos_token_id
        start = "" if bos is None else self.tokenizer.decode([bos])
        return [start, *["\n\n"] * len(roles)] if roles else [f"{start}\n\n"]

    def _encoded(self, text: str, inside: bool) -> list[int]:
        """Ids of a text; ``inside`` a prompt or an answer it gets no marker of a beginning."""
        parts = parts_of(text)
        ids = self._guarded(self._literal, text, inside)
        found = self.control.among(ids, text)
        if not found or found == [i for part, ours in parts if ours for i in self._controls(part)]:
            return ids
        ids = []
        for number, (part, ours) in enumerate(parts):
            within = inside or number > 0
            ids += self._guarded(self._literal, part, within) if ours else self._data(part, within)
        return ids

    def _controls(self, part: str) -> list[int]:
        """The control tokens in a template's own part."""
        if part not in self._of_own:
            self._of_own[part] = self.control.among(self._guarded(self._literal, part, True), part)
        return self._of_own[part]

    def _data(self, text: str, inside: bool) -> list[int]:
        """Ids of a text without control tokens: by the vocabulary without them, or else in pieces too small to be one."""
        ids = self._guarded(self._literal, text, inside)
        if not self.control.among(ids, text):
            return ids
        if self._plain is None:
            with self._lock:
                self._plain = self.control.without(self.tokenizer) or self._literal
        raw = self._plain
        ids = self._guarded(raw, text, inside)
        if not self.control.among(ids, text):
            return ids
        pieces = [*self.control.cut(text)]
        return [i for n, piece in enumerate(pieces) for i in self._halved(raw, piece, inside or n > 0)]

    def _halved(self, raw: Raw, text: str, inside: bool) -> list[int]:
        ids = self._guarded(raw, text, inside) if text else []
        found = self.control.among(ids, text)
        if not found:
            return ids
        if len(text) == 1:
            name = self.tokenizer.convert_ids_to_tokens(found[:1])[0]
            raise ModelError(
                f"this model's tokenizer makes the control token {name!r} of the character {text!r} in a text: use another model"
            )
        half = len(text) // 2
        return self._halved(raw, text[:half], inside) + self._halved(raw, text[half:], True)

    def _guarded(self, raw: Raw, text: str, inside: bool) -> list[int]:
        ids = raw(">" + text) if inside and self._guard else []
        # A text may begin with what merges with the sign before it.
        return ids[len(self._guard) :] if ids and ids[: len(self._guard)] == self._guard else raw(text)

    def _literal(self, text: str) -> list[int]:
        return self._ids(text, literal=True)

    def _ids(self, text: str, literal: bool = False) -> list[int]:
        # transformers sets a flag on the tokenizer before encoding: without a lock, threads would use each other's flag.
        with self._lock:
            ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=literal)["input_ids"]
        return ids
