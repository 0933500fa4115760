"""Tokens beyond the embeddings: refused if a text or the template can bring one in."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoTokenizer

from gramr2.backends.pretrained import refuse_unembedded
from gramr2.errors import ModelError


def test_a_special_token_that_nothing_writes_is_no_reason_to_refuse(tiny_model, tmp_path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    rows = len(tokenizer)
    model = SimpleNamespace(get_input_embeddings=lambda: torch.nn.Embedding(rows, 2))
    refuse_unembedded(model, tokenizer, tmp_path)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    refuse_unembedded(model, tokenizer, tmp_path)
    tokenizer.chat_template += "<image>"
    with pytest.raises(ModelError, match="without an embedding .'<image>'"):
        refuse_unembedded(model, tokenizer, tmp_path)


def test_an_ordinary_token_is_one(tiny_model, tmp_path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    rows = len(tokenizer)
    model = SimpleNamespace(get_input_embeddings=lambda: torch.nn.Embedding(rows, 2))
    tokenizer.add_tokens(["Lisbon"])
    with pytest.raises(ModelError, match="Lisbon"):
        refuse_unembedded(model, tokenizer, tmp_path)
