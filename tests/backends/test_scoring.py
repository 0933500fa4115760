"""The log-probability of an answer is the same in any batch, and the batches keep their limits."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gramr2.backends.base import Score
from gramr2.backends.scoring import ScoreBatching, score_all

CPU = torch.device("cpu")
WORDS = 50
ITEMS = [
    ([5, 6, 7], [8, 9]),
    ([1, 2, 3, 4, 5, 6, 7, 8, 9], [10]),
    ([11, 12], [13, 14, 15, 16, 17, 18]),
    ([3, 3, 3], []),
    ([20, 21, 22, 23], [24]),
    ([5, 6, 7], [9, 8]),
]


class Bigrams:
    """A model whose next word depends on the last one alone, and which notes what it is given."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.table = torch.randn(WORDS, WORDS, generator=torch.Generator().manual_seed(0)).mul(4).to(dtype)
        self.shapes: list[tuple[int, int]] = []
        self.kept: list[int] = []
        self.padded = False
        self.config = SimpleNamespace(get_text_config=lambda decoder: SimpleNamespace(vocab_size=WORDS))

    def __call__(
        self, ids: torch.Tensor, *, attention_mask: torch.Tensor, logits_to_keep: int, **_: object
    ) -> SimpleNamespace:
        self.shapes.append((ids.shape[0], ids.shape[1]))
        self.kept.append(logits_to_keep)
        self.padded |= not bool(attention_mask.all())
        return SimpleNamespace(logits=self.table[ids][:, -logits_to_keep:])

    def score(self, prompt: list[int], answer: list[int]) -> float:
        table = self.table.double().log_softmax(-1)
        return sum(float(table[last, word]) for last, word in zip([prompt[-1], *answer], answer, strict=False))


def limits(tokens: int = 10**6, logit_bytes: int = 10**9, mixed_lengths: bool = True) -> ScoreBatching:
    return ScoreBatching(tokens, logit_bytes, mixed_lengths)


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, initializer_range=0.4,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("batching", [limits(), limits(tokens=1), limits(tokens=20), limits(mixed_lengths=False)])
def test_scores_are_those_of_each_text_alone_in_the_order_given(batching: ScoreBatching) -> None:
    model = llama()
    with torch.inference_mode():
        found = score_all(model, CPU, ITEMS, batching)
        for score, (prompt, answer) in zip(found, ITEMS, strict=True):
            whole = model(torch.tensor([prompt + answer])).logits[0].double().log_softmax(-1)
            by_hand = sum(float(whole[len(prompt) + i - 1, word]) for i, word in enumerate(answer))
            assert (score.logprob, score.tokens) == (pytest.approx(by_hand, abs=1e-4), len(answer))
    assert len({round(score.logprob, 2) for score in found}) == len(ITEMS), "the texts can be told apart"


def test_logits_of_half_precision_are_normalised_in_full() -> None:
    model = Bigrams(torch.bfloat16)
    found = score_all(model, CPU, ITEMS, limits())
    assert [score.logprob for score in found] == pytest.approx([model.score(*item) for item in ITEMS], abs=1e-5)


def test_no_logits_are_kept_but_the_answers() -> None:
    model = Bigrams()
    score_all(model, CPU, ITEMS, limits(tokens=1))
    assert dict(zip(model.shapes, model.kept, strict=True)) == {(1, 10): 2, (1, 8): 7, (1, 5): 3, (1, 3): 1}


@pytest.mark.parametrize(
    ("lengths", "tokens", "shapes"),
    [
        ([3, 9, 4, 10], 20, [(2, 10), (2, 4)]),
        ([3, 9, 4, 10], 30, [(3, 10), (1, 3)]),
        ([3, 9, 4, 10], 29, [(2, 10), (2, 4)]),
        ([3, 9, 4, 10], 9, [(1, 10), (1, 9), (2, 4)]),
        ([4, 4, 4, 4, 4], 8, [(2, 4), (2, 4), (1, 4)]),
        ([], 8, []),
    ],
)
def test_neighbours_in_length_share_a_pass_of_so_many_tokens_with_padding(
    lengths: list[int], tokens: int, shapes: list[tuple[int, int]]
) -> None:
    model = Bigrams()
    items = [([*range(1, length)], [7]) for length in lengths]
    assert [score.logprob for score in score_all(model, CPU, items, limits(tokens))] == pytest.approx(
        [model.score(*item) for item in items], abs=1e-5
    )
    assert model.shapes == shapes


@pytest.mark.parametrize(
    ("logit_bytes", "rows"), [(4 * WORDS * 4 * 2, [2, 2]), (4 * WORDS * 4 * 2 - 1, [1, 3]), (1, [1, 1, 1, 1])]
)
def test_a_pass_gives_so_many_bytes_of_logits_by_its_longest_answer(logit_bytes: int, rows: list[int]) -> None:
    model = Bigrams()
    # The longest text has the longest answer, of three tokens; beside it every row costs four rows of 4-byte logits.
    score_all(model, CPU, [([1] * (9 - i), [2] * (1 if i else 3)) for i in range(4)], limits(logit_bytes=logit_bytes))
    assert [count for count, _ in model.shapes] == rows


def test_where_padding_takes_places_only_like_lengths_share_a_pass() -> None:
    model = Bigrams()
    score_all(model, CPU, ITEMS, limits(mixed_lengths=False))
    assert not model.padded
    assert model.shapes == [(1, 10), (1, 8), (3, 5), (1, 3)]


def test_an_empty_answer_is_certain() -> None:
    assert score_all(Bigrams(), CPU, [([1, 2], []), ([1], [])], limits()) == [Score(0.0, 0), Score(0.0, 0)]


def test_a_prompt_of_one_token_predicts_its_answer_beside_longer_texts_too() -> None:
    model, short = llama(), ([5], [6, 7])
    with torch.inference_mode():
        [alone] = score_all(model, CPU, [short], limits())
        beside = score_all(model, CPU, [([1, 2, 3, 4, 5], [7, 8]), short, ([9, 3], [4])], limits())
    assert beside[1].logprob == pytest.approx(alone.logprob, abs=1e-4)
