"""A batch of unequal rows is read as each row alone, and nothing in it sees nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM

from gramr2.backends.padding import aligned_at_the_end

ROWS = st.lists(st.lists(st.integers(1, 500), min_size=1, max_size=40), min_size=1, max_size=6)


@given(ROWS, st.integers(0, 3))
def test_rows_end_together_and_every_position_sees_a_token(rows: list[list[int]], shared: int) -> None:
    ids, positions, mask = aligned_at_the_end(rows, shared)
    for i, row in enumerate(rows):
        seen = mask[i, shared:] == 1
        assert ids[i][seen].tolist() == row
        assert positions[i][seen].tolist() == list(range(shared, shared + len(row)))
        assert mask[i, :shared].all() and mask[i, -1]
        if shared or len(row) > 1:
            assert (mask[i].cumsum(0) > 0).all(), "a query without a key"


@pytest.mark.parametrize("rows", [[[5, 6, 7], list(range(10, 200))], [[9], [4, 5, 6]]])
def test_the_last_logits_are_those_of_each_row_alone(tiny_model: Path, rows: list[list[int]]) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    ids, positions, mask = aligned_at_the_end(rows)
    with torch.no_grad():
        found = model(ids, attention_mask=mask, position_ids=positions).logits[:, -1]
        alone = torch.stack([model(torch.tensor([row])).logits[0, -1] for row in rows])
    assert torch.allclose(found, alone, atol=1e-4)


def test_a_sliding_window_keeps_the_first_token_with_its_row() -> None:
    config = MistralConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=8, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    model = MistralForCausalLM(config).eval()
    rows = [[5, 6, 7], list(range(10, 30))]
    with torch.no_grad():
        alone = torch.stack([model(torch.tensor([row])).logits[0, -1] for row in rows])

        def found(apart: bool) -> torch.Tensor:
            ids, positions, mask = aligned_at_the_end(rows, apart=apart)
            return model(ids, attention_mask=mask, position_ids=positions).logits[:, -1]

        assert torch.allclose(found(False), alone, atol=1e-5)
        assert not torch.allclose(found(True), alone, atol=1e-5)
