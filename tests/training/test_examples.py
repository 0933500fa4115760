"""What an example shows: which orders and forms of a comparison, with whose label, and as which token ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from teaching import ITEMS, encoder_of

from conftest import labeled, make
from gramr2.backends.encoding import Encoder
from gramr2.comparison import Label, LabeledComparison, Order
from gramr2.config.training import EarlyStopConfig
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.training.examples import TrainingExample, TrainingForm, encode, held_out_of, training_examples


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return encoder_of(tiny_model)


def shown(example: TrainingExample) -> list[tuple[bool, Order, Label]]:
    return [(each.rationale is not None, each.order, each.label) for each in example]


def test_the_answer_is_what_a_judge_writes(encoder: Encoder) -> None:
    item = labeled("c", Label.B, "Response B keeps the limit.")
    sequence = encode(TrainingForm(item.comparison, item.label, item.rationale), encoder, JudgeTemplate())
    expected = "<think>\nFeedback: Response B keeps the limit.\nConclusion: Response B is better.\n</think>\n<answer>B</answer>"
    assert encoder.tokenizer.decode(list(sequence.answer[:-1])) == expected
    assert sequence.answer[-1] == encoder.tokenizer.eos_token_id
    assert list(sequence.prompt) == encoder.prompt(JudgeTemplate().render(item.comparison))
    # Inference continues from exactly these ids.
    started = encoder.prompt(JudgeTemplate().render(item.comparison), JudgeTemplate().prefill)
    assert [*sequence.prompt, *sequence.answer][: len(started)] == started


def test_without_a_rationale_the_label_only_prompt_is_trained(encoder: Encoder) -> None:
    item = labeled("c", Label.TIE)
    sequence = encode(TrainingForm(item.comparison, item.label, None), encoder, JudgeTemplate())
    assert list(sequence.prompt) == encoder.prompt(JudgeTemplate(JudgeMode.LABEL).render(item.comparison))
    assert encoder.tokenizer.decode(list(sequence.answer[:-1])) == "<answer>tie</answer>"


@pytest.mark.parametrize("rationale", [None, "Response A wins."])
@pytest.mark.parametrize("label", Label)
def test_the_label_stands_where_it_is_said_to(encoder: Encoder, label: Label, rationale: str | None) -> None:
    sequence = encode(TrainingForm(make(), label, rationale), encoder, JudgeTemplate())
    assert sequence.label_at is not None
    assert encoder.tokenizer.decode(list(sequence.answer[: sequence.label_at])).endswith("<answer>")
    assert encoder.tokenizer.decode(list(sequence.answer[sequence.label_at : -1])) == f"{label.value}</answer>"


def test_rationales_in_both_orders_or_in_one() -> None:
    items = [labeled(str(i), Label.A, "Response A wins.") for i in range(60)]
    both = training_examples(items, "both", 0, direct=False)
    assert shown(both[0]) == [(True, Order.AB, Label.A), (True, Order.BA, Label.B)]
    assert both[0][1].rationale == "Response B wins."
    hashed = training_examples(items, "hashed", 0, direct=False)
    assert {len(example) for example in hashed} == {1}
    assert [each.label for (each,) in hashed].count(Label.A) == 30
    assert training_examples(items[::-1], "hashed", 0, direct=False) == hashed[::-1]
    assert training_examples(items, "hashed", 1, direct=False) != hashed


@pytest.mark.parametrize("orders", ["both", "hashed"])
def test_the_verdict_alone_is_taught_in_both_orders(orders: str) -> None:
    [example] = training_examples([labeled("c", Label.A, "Response A wins.")], orders, 0, direct=True)
    assert shown(example)[-2:] == [(False, Order.AB, Label.A), (False, Order.BA, Label.B)]
    assert len(example) == (4 if orders == "both" else 3)
    [bare] = training_examples([labeled("c", Label.A)], orders, 0, direct=True)
    assert shown(bare) == shown(example)[-2:]


def test_without_direct_forms_only_what_has_no_rationale_takes_that_form() -> None:
    reasoned, bare = training_examples([labeled("c", Label.A, "Good."), labeled("d", Label.B)], "both", 0, direct=False)
    assert shown(reasoned) == [(True, Order.AB, Label.A), (True, Order.BA, Label.B)]
    assert shown(bare) == [(False, Order.AB, Label.B), (False, Order.BA, Label.A)]
    assert len(training_examples([labeled("d", Label.B)], "hashed", 0, direct=False)[0]) == 1


@pytest.mark.parametrize("direct", [True, False])
def test_a_judge_of_labels_alone_learns_each_verdict_once(direct: bool) -> None:
    with_reasons, without = ([labeled(str(i), Label.A, text) for i in range(6)] for text in ("Response A wins.", None))
    learnt = training_examples(with_reasons, "both", 0, direct=direct, reasoned=False)
    assert learnt == training_examples(without, "both", 0, direct=direct)
    assert {len(example) for example in learnt} == {2}


@pytest.mark.parametrize("orders", ["both", "hashed"])
def test_a_rationale_that_cannot_be_exchanged_stays_in_its_order(orders: str) -> None:
    for seed in range(5):
        [example] = training_examples([labeled("x", Label.B, "A is worse.")], orders, seed, direct=True)
        assert shown(example) == [
            (True, Order.AB, Label.B),
            (False, Order.AB, Label.B),
            (False, Order.BA, Label.A),
        ]
        assert example[0].rationale == "A is worse."


def test_ties_are_shown_in_either_order() -> None:
    examples = training_examples([labeled(str(i), Label.TIE, "Both do.") for i in range(80)], "hashed", 0, direct=False)
    assert 20 < sum(each.order is Order.BA for (each,) in examples) < 60


def test_how_sure_a_label_is_turns_with_the_order(encoder: Encoder) -> None:
    item = LabeledComparison(make(), Label.A, "Response A wins.", (0.7, 0.1, 0.2))
    [example] = training_examples([item], "both", 0, direct=True)
    assert [each.target for each in example] == 2 * [(0.7, 0.1, 0.2), (0.1, 0.7, 0.2)]
    targets = [encode(each, encoder, JudgeTemplate()).target for each in example]
    assert targets == 2 * [(0.7, 0.1, 0.2), (0.1, 0.7, 0.2)]
    certain = encode(TrainingForm(make(), Label.B, None, Order.BA), encoder, JudgeTemplate())
    assert (certain.target, certain.swapped) == ((0, 1, 0), True)


@given(
    st.lists(st.sampled_from(ITEMS), unique_by=lambda item: item.comparison.id),
    st.sampled_from(["both", "hashed"]),
    st.booleans(),
    st.integers(0, 99),
)
def test_every_example_is_its_comparison_in_its_order(
    items: list[LabeledComparison], orders: str, direct: bool, seed: int
) -> None:
    examples = training_examples(items, orders, seed, direct=direct)
    assert len(examples) == len(items)
    for item, example in zip(items, examples, strict=True):
        seen = [(each.rationale is None, each.order) for each in example]
        assert len(set(seen)) == len(seen) > 0
        for each in example:
            stored = item if each.order is Order.AB else item.swap()
            assert (each.comparison, each.label, each.target) == (stored.comparison, stored.label, stored.target)
            assert each.rationale in (None, stored.rationale)


def test_too_few_to_stop_a_training_are_all_trained_on(caplog: pytest.LogCaptureFixture) -> None:
    items = [labeled(str(i), Label.A) for i in range(40)]
    assert held_out_of(items, None, 0) == (items, ())
    rest, held_out = held_out_of(items, EarlyStopConfig(share=0.25), 0)
    assert len(held_out) == 10
    assert sorted(i.comparison.id for i in (*rest, *held_out)) == sorted(i.comparison.id for i in items)
    assert held_out_of(items, EarlyStopConfig(share=0.1), 0) == (items, ())
    assert "no early stop: 4 of 40 comparisons would be held out, and 8 are needed" in caplog.text
