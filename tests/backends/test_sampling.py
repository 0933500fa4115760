"""One token at a time: draws by seed, the nucleus, the ends of a sample, and the way to its verdict."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from gramr2.backends.base import Completion, Decoding, GenerationRequest, VerdictReading
from gramr2.backends.encoding import Encoder
from gramr2.backends.sampling import BLOCK, Row, Stepper
from gramr2.comparison import Message
from gramr2.judgment import FinishReason

ASKED = (Message("user", "x"),)
WORDS = [
    "<eos>", "<pad>", "x", "y", "\n", "A", "B", "tie", "<answer>", " <answer>", "</answer>", "</think>", "</think", ">", ">\n", ">x",
]  # fmt: skip
LETTERS = ["<eos>", "<pad>", *dict.fromkeys("xyAB\n <answer></think>")]


class Vocabulary:
    """A tokenizer of a few words that takes the longest first."""

    chat_template = bos_token_id = None
    eos_token_id = 0
    all_special_ids: ClassVar[list[int]] = [0, 1]

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        ids: list[int] = []
        while text:
            word = max((word for word in self.words if text.startswith(word)), key=len)
            ids.append(self.words.index(word))
            text = text.removeprefix(word)
        return {"input_ids": ids}

    def decode(self, ids: list[int], **_: object) -> str:
        return "".join(self.words[i] if i < len(self.words) else "?" for i in ids)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [self.decode([i]) for i in ids]


def stepper_of(words: list[str]) -> Stepper:
    return Stepper(Encoder(Vocabulary(words)))  # type: ignore[arg-type]


STEPPER = stepper_of(WORDS)
LABELS = {"A": 5, "B": 6, "tie": 7}


def ask(
    *seeds: int, temperature: float = 0.0, top_p: float = 1.0, budget: int = 99, **options: Any
) -> GenerationRequest:
    return GenerationRequest(ASKED, seeds or (0,), Decoding(temperature, top_p, budget), **options)


def rows_of(request: GenerationRequest) -> list[Row]:
    return [STEPPER.start(request, 0, sample, 3) for sample in range(len(request.seeds))]


def play(request: GenerationRequest, *script: str, words: list[str] = WORDS) -> Completion:
    """The completion of a model that wants to write the script, word by word, and else always «y»."""
    stepper, wanted = stepper_of(words), list(script)
    row = stepper.start(request, 0, 0, 3)
    fed: list[int] = []
    while row.finish is None:
        logits = torch.zeros(1, len(words))
        logits[0, words.index("y")] = 1.0
        if wanted and not row.queue:
            logits[0, words.index(wanted.pop(0))] = 9.0
        fed += stepper.step([row], logits, {"A": words.index("A"), "B": words.index("B")})
    assert (fed[-1], fed[:-1]) == (0, row.ids[: len(fed) - 1]), "the model is fed what stands in the sample"
    return stepper.completion(row)


def inverted(weights: list[float], draw: float) -> int:
    """The first index at which the running sum exceeds this share of the whole."""
    reached = 0.0
    for i, weight in enumerate(weights):
        reached += weight
        if reached > draw * sum(weights):
            return i
    raise AssertionError("a draw is below 1")


@pytest.mark.parametrize("vocabulary", [40, BLOCK, 3 * BLOCK + 7])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_token_is_its_seeds_draw_inverted(temperature: float, vocabulary: int) -> None:
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(1)) * 2
    logits[[0, 1, 7]] = -math.inf
    rows = rows_of(ask(*range(100), temperature=temperature))
    weights = [math.exp(value / temperature) for value in logits.tolist()]
    expected = [inverted(weights, random.Random(seed).random()) for seed in range(100)]
    assert STEPPER.step(rows, logits.expand(100, -1), {}) == expected


def test_a_draw_of_nothing_is_no_impossible_token() -> None:
    (row,) = rows_of(ask(temperature=1.0))
    row.rng = SimpleNamespace(random=lambda: 0.0)  # type: ignore[assignment]
    logits = torch.zeros(1, 2 * BLOCK)
    logits[0, : BLOCK + 3] = -math.inf
    assert STEPPER.step([row], logits, {}) == [BLOCK + 3]


def test_a_draw_next_to_one_is_a_possible_token() -> None:
    (row,) = rows_of(ask(temperature=1.0))
    row.rng = SimpleNamespace(random=lambda: 1 - 2**-53)  # type: ignore[assignment]
    logits = torch.zeros(1, 3 * BLOCK)
    logits[0, BLOCK + 3 :] = -math.inf
    assert STEPPER.step([row], logits, {}) == [BLOCK + 2]


@pytest.mark.parametrize(("top_p", "size"), [(0.39, 1), (0.41, 2), (0.69, 2), (0.71, 3), (0.95, 4)])
def test_the_nucleus_is_the_smallest_set_that_holds_its_mass(top_p: float, size: int) -> None:
    probabilities = {3: 0.4, 5: 0.3, 2: 0.2, 4: 0.1}
    logits = torch.full((200, 8), -math.inf)
    logits[:, list(probabilities)] = torch.tensor([*probabilities.values()]).log()
    found = STEPPER.step(rows_of(ask(*range(200), temperature=1.0, top_p=top_p)), logits, {})
    kept = [*probabilities.items()][:size]
    shares = [share for _, share in kept]
    assert found == [kept[inverted(shares, random.Random(seed).random())][0] for seed in range(200)]


def test_a_nucleus_may_be_wider_than_what_is_looked_at_first() -> None:
    logits = -1e-5 * torch.arange(4000.0)
    logits[:2] = -math.inf
    found = STEPPER.step(rows_of(ask(*range(100), temperature=1.0, top_p=0.9)), logits.expand(100, -1), {})
    assert 3300 < max(found) < 3610


def test_wide_and_narrow_nuclei_stand_side_by_side() -> None:
    flat, steep = -1e-5 * torch.arange(4000.0), -1.0 * torch.arange(4000.0)
    flat[:2] = steep[:2] = -math.inf
    logits = torch.stack([flat, steep] * 40)
    rows = [rows_of(ask(i, temperature=1.0, top_p=0.9 if i % 4 < 2 else 0.5))[0] for i in range(80)]
    found = STEPPER.step(rows, logits, {})
    assert found == [
        STEPPER.step(rows_of(ask(i, temperature=1.0, top_p=0.9 if i % 4 < 2 else 0.5)), logits[i : i + 1], {})[0]
        for i in range(80)
    ]
    assert 2000 < max(found[0::4]) < 3610 and max(found[2::4]) < 2010 and max(found[1::2]) < 8


def test_a_row_writes_the_same_beside_any_others() -> None:
    settings = [(0.0, 1.0, 9), (1.0, 1.0, 9), (0.7, 0.8, 2), (1.5, 0.6, 9), (1.0, 1.0, 4)]
    logits = torch.randn(9, len(settings), 30, generator=torch.Generator().manual_seed(0))
    logits[..., :2] = -math.inf

    def written(chosen: list[int]) -> list[list[int]]:
        rows = [rows_of(ask(i, temperature=t, top_p=p, budget=n))[0] for i, (t, p, n) in enumerate(settings)]
        rows = [rows[i] for i in chosen]
        for step in logits:
            ended = [row.finish is not None for row in rows]
            fed = STEPPER.step(rows, step[chosen], {})
            assert all(token == 0 for token, over in zip(fed, ended, strict=True) if over)
        return [row.ids for row in rows]

    together = written([0, 1, 2, 3, 4])
    assert [len(ids) for ids in together] == [9, 9, 2, 9, 4]
    assert together[0] == logits[:, 0].argmax(-1).tolist()
    assert written([4, 2, 0, 3, 1]) == [together[i] for i in (4, 2, 0, 3, 1)]
    assert [written([i])[0] for i in range(5)] == together


@pytest.mark.parametrize(
    ("options", "script", "text", "reason", "tokens"),
    [
        ({}, ["x", "<eos>"], "x", FinishReason.STOP, 1),
        ({}, ["<pad>"], "", FinishReason.STOP, 0),
        ({"budget": 3}, ["x"], "xyy", FinishReason.LENGTH, 3),
        ({"budget": 3, "stop": ("xyx",)}, ["x", "y", "x"], "xyx", FinishReason.STOP, 3),
        ({"stop": ("B", "A")}, ["A"], "A", FinishReason.STOP, 1),
        ({"stop": ("xA",), "prefill": "x", "budget": 2}, ["A"], "xAy", FinishReason.LENGTH, 2),
    ],
)
def test_the_ends_of_a_sample_without_a_verdict(
    options: dict[str, Any], script: list[str], text: str, reason: FinishReason, tokens: int
) -> None:
    assert play(ask(**options), *script) == Completion(text, reason, None, 3, tokens)


@pytest.mark.parametrize(
    ("script", "text", "tokens"),
    [
        (["x", "</think>", "B"], "x</think>\n<answer>B</answer>", 4),
        (["</think", ">\n", "B"], "</think>\n<answer>B</answer>", 3),
        (["</think", ">", "B"], "</think>\n<answer>B</answer>", 4),
        (["</think", ">x", "B"], "</think>x\n<answer>B</answer>", 4),
        (["<answer>", " <answer>", "</think>", "B"], "yy</think>\n<answer>B</answer>", 5),
    ],
)
def test_a_closed_rationale_is_led_to_its_verdict(script: list[str], text: str, tokens: int) -> None:
    """The model's own line break is not repeated, and a verdict's tag in its thinking is not written at all."""
    found = play(ask(verdict=VerdictReading()), *script)
    assert (found.text, found.finish_reason, found.completion_tokens) == (text, FinishReason.STOP, tokens)


@pytest.mark.parametrize(
    ("script", "reason", "bare", "closed"),
    [
        (["x", "y", "x", "B"], FinishReason.LENGTH, "xyx", "xyx\n</think>"),
        (["x", "y", "\n", "B"], FinishReason.LENGTH, "xy\n", "xy\n</think>"),
        (["x", "<eos>", "B"], FinishReason.STOP, "x", "x\n</think>"),
    ],
)
def test_a_rationale_that_ends_before_a_verdict(
    script: list[str], reason: FinishReason, bare: str, closed: str
) -> None:
    found = play(ask(verdict=VerdictReading(), budget=3), *script)
    assert (found.text, found.finish_reason, found.label_logprobs) == (bare, reason, None)
    found = play(ask(verdict=VerdictReading(close_on_budget=True), budget=3), *script)
    assert (found.text, found.finish_reason) == (f"{closed}\n<answer>B</answer>", FinishReason.CLOSED)


def test_a_rationale_that_is_closed_within_its_budget_is_not_closed_for_it() -> None:
    found = play(ask(verdict=VerdictReading(close_on_budget=True), budget=2), "x", "</think>", "A")
    assert (found.text, found.finish_reason) == ("x</think>\n<answer>A</answer>", FinishReason.STOP)


def test_where_both_tags_begin_alike_a_verdict_ends_the_thinking() -> None:
    """And a space that is a token of its own is not taken for the beginning of the tag."""
    early = [*"x <answer>"]
    found = play(ask(verdict=VerdictReading()), *early, words=LETTERS)
    assert (found.text, found.finish_reason) == ("x <answer>", FinishReason.STOP)
    found = play(ask(verdict=VerdictReading(close_on_budget=True)), *early, "B", words=LETTERS)
    assert (found.text, found.finish_reason) == ("x <answer>\n</think>\n<answer>B</answer>", FinishReason.CLOSED)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 2.0])
def test_a_label_is_drawn_with_heat_and_its_probabilities_are_without(temperature: float) -> None:
    values = {"A": 1.0, "B": 1.5, "tie": 0.2}
    logits = torch.full((1, len(WORDS)), 9.0)
    logits[0, list(LABELS.values())] = torch.tensor([*values.values()])
    request = ask(*range(60), temperature=temperature, prefill="x<answer>", verdict=VerdictReading())
    rows = rows_of(request)
    STEPPER.step(rows, logits.expand(60, -1), LABELS)
    whole = math.log(sum(map(math.exp, values.values())))
    heated = [math.exp(value / (temperature or 1.0)) for value in values.values()]
    for seed, row in enumerate(rows):
        found = STEPPER.completion(row)
        label = [*LABELS][inverted(heated, random.Random(seed).random())] if temperature else "B"
        assert (found.text, found.completion_tokens) == (f"x<answer>{label}</answer>", 0)
        assert found.label_logprobs == pytest.approx({name: value - whole for name, value in values.items()}, abs=1e-6)


@pytest.mark.parametrize("guided", [True, False])
def test_every_row_reads_its_own_verdict(guided: bool) -> None:
    rows = rows_of(ask(0, 1, 2, verdict=VerdictReading(guided=guided), prefill="<answer>" if guided else ""))
    if not guided:
        opened = torch.zeros(3, len(WORDS))
        opened[:, WORDS.index("<answer>")] = 9.0
        STEPPER.step(rows, opened, LABELS)
    logits = torch.randn(3, len(WORDS), generator=torch.Generator().manual_seed(0))
    STEPPER.step(rows, logits, LABELS)
    expected = logits[:, list(LABELS.values())].double().log_softmax(-1).tolist()
    for row, values in zip(rows, expected, strict=True):
        assert row.label_logprobs == pytest.approx(dict(zip(LABELS, values, strict=True)), abs=1e-6)


def test_unguided_the_model_writes_its_verdict_itself() -> None:
    reading = VerdictReading(guided=False)
    found = play(ask(verdict=reading, stop=(reading.end,)), "x", "<answer>", "A", "</answer>")
    assert (found.text, found.finish_reason, found.completion_tokens) == ("x<answer>A</answer>", FinishReason.STOP, 4)
    # The two labels that ``play`` knows have the logits 9 and 0 where the label stands.
    whole = math.log(math.exp(9) + 1)
    assert found.label_logprobs == pytest.approx({"A": 9 - whole, "B": -whole}, abs=1e-6)
    assert play(ask(verdict=reading, budget=2), "x", "<answer>").label_logprobs is None


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_the_largest_draw_is_a_token_that_can_be_drawn(monkeypatch: pytest.MonkeyPatch, top_p: float) -> None:
    """As a float32 it is 1, which no cumulative probability exceeds."""
    [row] = rows_of(ask(1, temperature=1.0, top_p=top_p))
    monkeypatch.setattr(row, "rng", SimpleNamespace(random=lambda: 1 - 2**-53))
    logits = torch.full((1, len(WORDS)), -math.inf)
    logits[0, 2:4] = 0.0
    assert STEPPER.step([row], logits, LABELS)[0] in (2, 3)


def test_a_stop_text_of_many_tokens_is_noticed() -> None:
    stop = "xyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxy"
    found = play(ask(stop=(stop,), budget=60), *stop, "A", "B")
    assert (found.finish_reason, found.text) == (FinishReason.STOP, stop)
