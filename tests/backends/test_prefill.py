"""What prompts begin with is computed once, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gramr2.backends.prefill import MIN_SHARED, branches, common_prefix, prefill, prefilled
from gramr2.backends.transformers import TransformersBackend

RULES, QUESTION, OTHER = [*range(1, 31)], [*range(31, 61)], [*range(61, 91)]
PROMPTS = [
    RULES + QUESTION + [1, 2, 3],
    RULES + OTHER + [4],
    RULES + QUESTION + [3, 2, 1, 5],
    [*RULES, 9, 9],
    RULES + OTHER + [7, 7, 7, 7, 7],
]


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=60), min_size=1, max_size=12), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_every_prompt_is_in_one_group_and_keeps_a_token(tails: list[list[int]], known: int) -> None:
    prompts = [[5] * known + tail for tail in tails]
    groups = branches(prompts, known)
    assert sorted(i for _, members in groups for i in members) == [*range(len(prompts))]
    for length, members in groups:
        assert len({tuple(prompts[i][:length]) for i in members}) == 1
        assert all(len(prompts[i]) > length for i in members)
        assert length - known >= MIN_SHARED if len(members) > 1 else length == known


def test_a_ranking_shares_its_first_responses_and_a_comparison_its_prompt() -> None:
    responses = [[100 + n] * 20 for n in range(3)]
    ranking = [RULES + a + b for a in responses for b in responses if a is not b]
    assert sorted(length for length, _ in branches(ranking, len(RULES))) == [50, 50, 50]
    orders = [RULES + QUESTION + [1] * 5 + [2] * 5, RULES + QUESTION + [2] * 5 + [1] * 5]
    assert branches(orders, len(RULES)) == [(60, [0, 1])]


@pytest.mark.parametrize("known", [0, 30])
def test_logits_are_those_of_each_prompt_alone(backend: TransformersBackend, known: int) -> None:
    with torch.inference_mode():
        alone = [prefill(backend.model, [prompt]).logits[0] for prompt in PROMPTS]
        start = prefill(backend.model, [RULES]) if known else None
        caches = [*prefilled(backend.model, PROMPTS, start)]
    assert sorted(i for _, members in caches for i in members) == [*range(len(PROMPTS))]
    assert len(caches) == 2  # those that share, and the one that does not
    for found, members in caches:
        for place, i in enumerate(members):
            torch.testing.assert_close(found.logits[place], alone[i], atol=1e-4, rtol=1e-4)
            assert found.lengths[place] == len(PROMPTS[i]) == int(found.mask[place].sum())


def test_what_is_shared_is_computed_once(backend: TransformersBackend) -> None:
    rows: list[tuple[int, ...]] = []
    hook = backend.model.register_forward_pre_hook(lambda _, args: rows.append(tuple(args[0].shape)))
    with torch.inference_mode():
        [*prefilled(backend.model, PROMPTS[:1] + PROMPTS[2:3], prefill(backend.model, [RULES]))]
    hook.remove()
    assert rows == [(1, 30), (1, 30), (2, 4)]  # the rules, the question, and two endings of at most four tokens


def test_a_common_prefix_leaves_every_prompt_a_token() -> None:
    assert common_prefix([[1, 2, 3], [1, 2]]) == 1
    assert common_prefix([[1, 2, 3], [1, 2, 4]]) == 2
    assert common_prefix([[1], [2]]) == 0
