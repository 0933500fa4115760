"""Counting tokens with a tokenizer and a config file, without the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gramr2.backends.encoding import Encoder
from gramr2.backends.loading import loading
from gramr2.comparison import Message


class TokenizerCounter:
    """A ``TokenCounter`` for a model folder."""

    def __init__(self, folder: Path, options: dict[str, Any] | None = None, trust_remote_code: bool = False) -> None:
        from transformers import AutoConfig, AutoTokenizer

        with loading("the tokenizer", folder):
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
            config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        self.encoder = Encoder(tokenizer, options)
        self.context_length = int(getattr(config.get_text_config(decoder=True), "max_position_embeddings", 1 << 20))

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Number of tokens of the rendered prompt, if there is one, and the answer."""
        return self.encoder.count(messages, answer)
