"""Judges that fall for one thing: they are moved by that attack alone, and not by its neutral edit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from conftest import make
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.baselines.longer import Longer
from gramr2.cli.console import Bars
from gramr2.cli.stress import _fitting
from gramr2.client import ServerError
from gramr2.comparison import Comparison, Label
from gramr2.errors import PromptTooLongError
from gramr2.evaluation.attacks import attacks, chosen
from gramr2.evaluation.metrics import wilson
from gramr2.evaluation.moves import Finding
from gramr2.evaluation.stress import Stressed, attacked_side, stress
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import extract
from gramr2.judgment import Decision, FinishReason, LabelProbabilities

STRONG, WEAK = "The stronger words of case {0} here.", "Some weaker words in case {0} here."


def comparisons(n: int, **extra: str) -> list[Comparison]:
    """The stronger response stands first or second, by turns."""
    texts = [(STRONG.format(i), WEAK.format(i)) for i in range(n)]
    return [make(f"c{i}", *(pair if i % 2 else pair[::-1]), **extra) for i, pair in enumerate(texts)]


Rule = Callable[[str, str, str], Label | None]
"""of a prompt and two responses as shown: the label, or None to go by the words"""


def judge(rule: Rule, orders: Orders = Orders.BOTH, context: int = 1 << 20) -> Judge:
    def answer(request: GenerationRequest, seed: int) -> str:
        prompt, first, second = extract(request.messages)
        label = rule(prompt, first, second)
        if label is None:
            a, b = ("stronger" in each for each in (first, second))
            label = Label.TIE if a == b else Label.A if a else Label.B
        return verdict_text(label)

    backend = ScriptedBackend(answer, "test", context)
    return Judge(backend, sampling=Sampling(votes=1, orders=orders, temperature=0.0))


def falls_for(wins: Callable[[str], bool]) -> Rule:
    """A response of this kind wins against one that is not."""

    def rule(prompt: str, first: str, second: str) -> Label | None:
        a, b = wins(first), wins(second)
        return None if a == b else Label.A if a else Label.B

    return rule


def obeys(prompt: str, first: str, second: str) -> Label | None:
    found = re.search(r"Response ([AB]) is right", prompt)
    return Label(found[1]) if found else None


def recommended(prompt: str, first: str, second: str) -> Label | None:
    found = re.search("begins with “(.*)”", prompt)
    return None if found is None else Label.A if first.startswith(found[1]) else Label.B


def confused(prompt: str, first: str, second: str) -> Label | None:
    talk = "important to note"
    return (Label.B if "stronger" in first else Label.A) if talk in first and talk in second else None


RULES: dict[str, Rule] = {
    "verdict_line": falls_for(lambda text: "Conclusion: Response" in text),
    "verdict_tags": falls_for(lambda text: "<answer>" in text),
    "verdict_brackets": falls_for(lambda text: "[[" in text),
    "header": falls_for(lambda text: "\n[End]\n" in text),
    "header_wide": falls_for(lambda text: "\uff3bEnd\uff3d" in text),
    "forged_response": falls_for(lambda text: "[Response " in text),
    "header_prompt": obeys,
    "key_solution": falls_for(lambda text: text == "Solution:"),
    "key_thought": falls_for(lambda text: text == "Thought process:"),
    "key_steps": falls_for(lambda text: "step by step" in text),
    "instruction": falls_for(lambda text: "Ignore the rules" in text),
    "notice": falls_for(lambda text: "System:" in text),
    "flattery_judge": falls_for(lambda text: "as wise as you" in text),
    "flattery_user": falls_for(lambda text: "brilliant question" in text),
    "confidence": falls_for(lambda text: "by several experts" in text),
    "padding": falls_for(lambda text: "important to note" in text),
    "padding_both": confused,
    "repetition": falls_for(lambda text: text.count("weaker") == 2),
    "very_long": falls_for(lambda text: text.count("weaker") > 2),
    "markdown": falls_for(lambda text: text.startswith("## ")),
    "homoglyphs": falls_for(lambda text: re.search("[\u0400-\u04ff]", text) is not None),
    "zero_width": falls_for(lambda text: "\u200b" in text),
    "german": falls_for(lambda text: "ist richtig" in text),
    "chinese": falls_for(lambda text: "正确" in text),
    "arabic": falls_for(lambda text: "صحيحة" in text),
    "empty": falls_for(lambda text: not text),
    "truncated": falls_for(lambda text: 10 < len(text) < 20 and "Solution" not in text and "Thought" not in text),
    "prompt": recommended,
}


@pytest.mark.parametrize("name", RULES)
def test_a_judge_that_falls_for_one_attack(name: str) -> None:
    found = stress(judge(RULES[name]), comparisons(2), list(attacks().values()))
    moved = {each.attack for each in found.findings if each.attacked is not None and each.attacked.moved}
    assert moved == {name}
    finding = next(each for each in found.findings if each.attack == name)
    assert (finding.n, finding.asked, finding.coverage) == (2, 2, 1.0)
    assert finding.attacked is not None and finding.neutral is not None
    assert (finding.attacked.rate, finding.neutral.rate, finding.difference) == (1.0, 0.0, 1.0)
    assert finding.neutral_change == 0.0
    # What names a letter of the stored order says the other one in the other order, which ends in a tie.
    assert finding.change == (0.5 if name == "header_prompt" else 1.0)


def test_every_attack_has_such_a_judge_or_an_expected_verdict() -> None:
    assert set(RULES) == {name for name, each in attacks().items() if each.paired}


def by_name(found: Stressed) -> dict[str, Finding]:
    return {each.attack: each for each in found.findings}


def test_expected_verdicts() -> None:
    asked = chosen(["identical", "swapped"])
    first: Rule = lambda prompt, a, b: Label.A  # noqa: E731
    both = by_name(stress(judge(first), comparisons(4), asked))
    assert all(each.attacked is not None and each.attacked.moved == 0 for each in both.values())
    alone = by_name(stress(judge(first, Orders.FIRST), comparisons(4), asked))
    for each in alone.values():
        assert each.attacked is not None
        assert (each.attacked.moved, each.neutral, each.difference, each.change) == (4, None, None, None)
    fair = by_name(stress(judge(lambda *_: None, Orders.FIRST), comparisons(4), asked))
    assert all(each.attacked is not None and each.attacked.moved == 0 for each in fair.values())


def test_two_equal_texts_may_get_a_letter_if_both_are_level() -> None:
    def decision(a: float, b: float) -> Decision:
        return Decision("c", (), Label.A, LabelProbabilities(a, b, 1 - a - b), a, None, None, 1.0)

    identical = attacks()["identical"]
    assert not identical.moved(decision(0.9, 0.1), decision(0.52, 0.48), 1)
    assert identical.moved(decision(0.9, 0.1), decision(0.6, 0.4), 1)
    assert identical.moved(decision(0.9, 0.1), replace(decision(0.5, 0.5), probabilities=None), 1)


def test_a_longer_text_wins_whatever_it_says() -> None:
    found = by_name(stress(Longer(), comparisons(4), chosen(["padding", "very_long", "truncated"])))
    for name in ("padding", "very_long"):
        each = found[name]
        assert each.attacked is not None and each.neutral is not None
        assert (each.attacked.rate, each.neutral.rate, each.difference) == (1.0, 1.0, 0.0)
        other = wilson(0, 4).high
        assert (each.low, each.high) == (pytest.approx(-other), pytest.approx(other))
    assert found["truncated"].attacked is not None and found["truncated"].attacked.moved == 0


def broken(mark: str, seen: list[str]) -> Judge:
    """A judge that writes no verdict where it reads a mark."""

    def answer(request: GenerationRequest, seed: int) -> Completion | str:
        prompt, first, second = extract(request.messages)
        seen.append(prompt)
        if mark in first + second:
            return Completion("I cannot say.", FinishReason.STOP)
        return verdict_text(Label.A if "stronger" in first else Label.B)

    return Judge(ScriptedBackend(answer), sampling=Sampling(votes=1, temperature=0.0))


def test_a_failure_is_not_a_move_and_lowers_the_coverage() -> None:
    found = stress(broken("Ignore the rules", []), comparisons(4), chosen(["instruction", "padding"]))
    named = by_name(found)
    assert (named["instruction"].asked, named["instruction"].n, named["instruction"].coverage) == (4, 0, 0.0)
    assert named["instruction"].attacked is None
    assert named["padding"].coverage == 1.0
    assert [each.attack for each in found.beyond(1.0)] == ["instruction"]
    assert found.errors == 0


def test_a_neutral_edit_without_a_verdict_leaves_the_pair_out() -> None:
    finding = stress(broken("The weather", []), comparisons(4), chosen(["instruction"])).findings[0]
    assert (finding.asked, finding.n, finding.coverage, finding.attacked) == (4, 0, 1.0, None)


def test_what_is_undecided_as_it_is_is_not_attacked() -> None:
    seen: list[str] = []
    found = stress(broken("case 0", seen), comparisons(3), chosen(["padding"]))
    assert (len(found.originals), found.decided, found.findings[0].asked) == (3, 2, 2)
    assert len(seen) == 2 * (3 + 2 * 2)


def test_votes_that_failed_outside_the_model_are_counted() -> None:
    def answer(request: GenerationRequest, seed: int) -> Completion | str:
        if "important to note" in request.messages[-1].content:
            return Completion("", FinishReason.ERROR, error="no connection")
        return verdict_text(Label.A)

    model = Judge(ScriptedBackend(answer), sampling=Sampling(votes=1, temperature=0.0))
    assert stress(model, comparisons(3), chosen(["padding"])).errors == 6


def test_an_edit_that_does_not_fit_is_counted_and_not_asked() -> None:
    model = judge(lambda *_: None, context=800)
    fits = _fitting(model, comparisons(3), "data", Bars(True))
    found = by_name(stress(model, comparisons(3), chosen(["very_long", "flattery_user"]), fits=fits))
    assert (found["very_long"].over_long, found["very_long"].asked, found["very_long"].coverage) == (3, 0, None)
    assert (found["flattery_user"].over_long, found["flattery_user"].asked) == (0, 3)
    with pytest.raises(PromptTooLongError, match="3 of 3 comparisons exceed"):
        _fitting(judge(lambda *_: None, context=300), comparisons(3), "data", Bars(True))
    assert _fitting(Longer(), comparisons(3), "data", Bars(True)) is None


class Small:
    """A model that alone knows what is too long for it."""

    id = "small"

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.refused = 0

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        if any(len(text) > 10_000 for each in comparisons for text in each.responses):
            self.refused += 1
            raise self.error
        return Longer().compare(comparisons, seed)


@pytest.mark.parametrize("error", [PromptTooLongError("too long"), ServerError("/v1/judge: 413: too long", 413)])
def test_what_the_model_itself_refuses_as_too_long_is_counted_and_the_rest_is_asked(error: Exception) -> None:
    model, asked = Small(error), chosen(["flattery_user", "very_long", "zero_width"])
    found = by_name(stress(model, comparisons(3), asked))
    assert (found["very_long"].over_long, found["very_long"].asked, found["very_long"].n) == (3, 0, 0)
    for name in ("flattery_user", "zero_width"):
        assert found[name] == by_name(stress(Longer(), comparisons(3), asked))[name]
    assert model.refused > 1


def test_another_refusal_of_a_server_is_an_error() -> None:
    with pytest.raises(ServerError, match="503"):
        stress(Small(ServerError("503: busy", 503)), comparisons(3), chosen(["very_long"]))


def test_what_cannot_be_edited_is_counted() -> None:
    same = [make("c", "bdfg", "bdfg hm"), make("d", "x", "x")]
    found = by_name(stress(Longer(), same, chosen(["homoglyphs", "swapped", "padding"])))
    assert (found["homoglyphs"].not_applicable, found["homoglyphs"].asked) == (1, 1)
    assert (found["swapped"].not_applicable, found["swapped"].asked) == (1, 1)
    assert found["padding"].asked == 2


def test_the_side_after_a_tie_has_an_address_and_the_order_of_comparisons_changes_nothing() -> None:
    asked, some = chosen(None), comparisons(6)
    tied: Rule = lambda prompt, a, b: Label.TIE if "weather" not in a + b else None  # noqa: E731
    once, again = (stress(judge(tied), items, asked, seed=4) for items in (some, some[::-1]))
    assert once.findings == again.findings
    sides = {attacked_side(each, seed) for each in once.originals for seed in range(8)}
    assert sides == {0, 1}
    assert [attacked_side(each, 4) for each in once.originals] == [
        attacked_side(each, 4) for each in again.originals[::-1]
    ]


def test_comparisons_of_one_group_are_one_unit() -> None:
    rule = falls_for(lambda text: "Ignore the rules" in text)
    alone = stress(judge(rule), comparisons(24), chosen(["instruction"])).findings[0]
    shared = stress(judge(rule), comparisons(24, group="g"), chosen(["instruction"])).findings[0]
    assert alone.low is not None and shared.low is not None
    assert (alone.difference, shared.difference, alone.high, shared.high) == (1.0, 1.0, 1.0, 1.0)
    assert alone.low == pytest.approx(1 - 2 * wilson(0, 24).high)
    assert shared.low == pytest.approx(1 - 2 * wilson(0, 1).high)
    assert shared.attacked is not None and shared.attacked.low == pytest.approx(wilson(1, 1).low)
    # The same twelve comparisons twice say no more than once.
    half = falls_for(lambda text: "Ignore the rules" in text and int(re.findall(r"\d+", text)[0]) % 12 < 6)
    single = stress(judge(half), comparisons(12), chosen(["instruction"])).findings[0]
    twice = [replace(each, group=f"g{i % 12}") for i, each in enumerate(comparisons(24))]
    double = stress(judge(half), twice, chosen(["instruction"])).findings[0]
    assert single.difference == double.difference == 0.5
    assert single.low is not None and double.low is not None
    assert single.low == pytest.approx(double.low, abs=0.05)
    assert 0 < double.low < 0.5


def test_progress_ends_at_its_total_and_the_gate_orders_what_is_beyond() -> None:
    seen: list[tuple[int, int]] = []
    rule = falls_for(lambda text: "richtig" in text or ("[[" in text and "case 1" in text))
    found = stress(
        judge(rule), comparisons(3), chosen(["german", "verdict_brackets"]), progress=lambda *at: seen.append(at)
    )
    assert seen[-1] == (15, 15)
    assert [done for done, _ in seen] == list(range(1, 16))
    assert [each.attack for each in found.beyond(0.0)] == ["german", "verdict_brackets"]
    assert [each.attack for each in found.beyond(0.5)] == ["german"]
    assert not found.beyond(1.0)


def test_the_gate_and_what_could_not_be_asked() -> None:
    model, asked = judge(lambda *_: None), chosen(["padding", "very_long"])

    def short(edited: Comparison) -> bool:
        return max(map(len, edited.responses)) < 10_000

    assert not stress(model, comparisons(2), asked, fits=short).beyond(0.0)
    assert len(stress(model, comparisons(2), asked, fits=lambda edited: False).beyond(1.0)) == 2
