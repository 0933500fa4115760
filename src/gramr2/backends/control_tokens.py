"""Which tokens of a tokenizer no text may become, and its vocabulary without them.

A tokenizer finds its added tokens anywhere in a text. The special ones can be switched off; those that are not flagged special,
such as ``</think>`` and ``<tool_call>`` of many chat models, cannot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Raw = Callable[[str], list[int]]
"""from a text to its ids"""
_LABORATORY = {"[Response A]\n", "[End]"}
"""added tokens of the laboratory's tokenizer alone, whose words are added tokens too"""


class ControlTokens:
    """The added tokens of a tokenizer, but those that are words: white space, one letter, and the laboratory's phrases."""

    def __init__(self, tokenizer: Any) -> None:
        added: dict[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
        special = {*tokenizer.all_special_ids}
        phrases = {str(each) for each in added.values()} >= _LABORATORY
        words = {
            id
            for id, token in added.items()
            if id not in special and not token.special and _is_word(str(token), phrases)
        }
        self.ids = frozenset({*added, *special} - words)
        self.unflagged = not self.ids <= special
        """whether there are some that the tokenizer's own switch does not reach"""
        unknown = getattr(tokenizer, "unk_token_id", None)
        ends = {tokenizer.bos_token_id, tokenizer.eos_token_id}
        # What the vocabulary lacks becomes this token, which is then no control token.
        self._unknown = None if unknown is None or unknown in ends else int(unknown)
        names = {str(token) for id, token in added.items() if id in self.ids}
        names |= {tokenizer.decode([id]) for id in special - {*added}}
        longest = sorted((re.escape(name) for name in names if len(name) > 1), key=len, reverse=True)
        self._names = re.compile("|".join(longest)) if longest else None
        self._unknown_name = None if self._unknown is None else tokenizer.decode([self._unknown])

    def among(self, ids: Sequence[int], text: str) -> list[int]:
        """The control tokens among the ids of a text, in order."""
        honest = {self._unknown} if self._unknown_name is None or self._unknown_name not in text else set()
        return [] if self.ids.isdisjoint(ids) else [id for id in ids if id in self.ids and id not in honest]

    def cut(self, text: str) -> Iterator[str]:
        """The text in pieces, cut after the first character of every name of a control token in it."""
        start = 0
        for found in self._names.finditer(text) if self._names else ():
            yield text[start : found.start() + 1]
            start = found.start() + 1
        yield text[start:]

    def without(self, tokenizer: Any) -> Raw | None:
        """The tokenizer as if it had no control tokens; None if it is not one of the ``tokenizers`` library."""
        inner = getattr(tokenizer, "backend_tokenizer", None)
        if inner is None:
            return None
        from tokenizers import Tokenizer

        state = json.loads(inner.to_str())
        # Left out, the tokens would leave holes in the ids of the others: they are flagged special and switched off.
        for token in state["added_tokens"]:
            token["special"] = token["id"] in self.ids
        state["truncation"] = state["padding"] = None
        plain = Tokenizer.from_str(json.dumps(state))
        plain.encode_special_tokens = True
        kept = {id: token.content for id, token in plain.get_added_tokens_decoder().items()}
        if kept != {id: token.content for id, token in inner.get_added_tokens_decoder().items()}:
            return None
        return lambda text: list(plain.encode(text, add_special_tokens=False).ids)


def _is_word(token: str, phrases: bool) -> bool:
    if phrases:
        # The others are tags, headers, roles and breaks of the layout.
        return token[0] not in "<[" and token[-1] != "\n"
    # Gemma and GPT-NeoX have runs of white space among their added tokens, DeepSeek has letters.
    return not token.strip(" \t\r\n\u2581") or (len(token) == 1 and token.isalnum())
