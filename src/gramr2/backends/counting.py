"""Counting tokens with a tokenizer and a config file, without the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gramr2.backends.encoding import Encoder
from gramr2.backends.loading import loading
from gramr2.comparison import Message


class TokenizerCounter:
    """A ``TokenCounter`` for a model folder, and the folder of an adapter on it, which may have its own tokenizer."""

    def __init__(
        self,
        folder: Path,
        options: dict[str, Any] | None = None,
        trust_remote_code: bool = False,
        adapter: Path | None = None,
    ) -> None:
        from gramr2.backends.pretrained import context_of, open_config, open_tokenizer, speaker

        tokenizer = open_tokenizer(speaker(folder, adapter), trust_remote_code=trust_remote_code)
        config = open_config(folder, trust_remote_code=trust_remote_code)
        with loading("the tokenizer", folder):
            self.encoder = Encoder(tokenizer, options)
        self.context_length = context_of(config, folder)

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Number of tokens of the rendered prompt, if there is one, and the answer."""
        return self.encoder.count(messages, answer)
