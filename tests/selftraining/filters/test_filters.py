"""Each filter on both sides of its thresholds, the reasons it gives, and what it does when everything goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from conftest import make, vote
from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.judging.voting import decide
from gramr2.judgment import LabelProbabilities, Outcome
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.balance import Balance
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection
from gramr2.selftraining.filters.confidence import Confidence
from gramr2.selftraining.filters.consistency import Consistency
from gramr2.selftraining.filters.duplicates import Duplicates
from gramr2.selftraining.filters.pmi import PointwiseMutualInformation
from gramr2.selftraining.filters.rationale import Rationale
from gramr2.selftraining.filters.readback import Readback
from gramr2.selftraining.filters.stack import apply_filters, build
from gramr2.selftraining.rationales.sources import Joint, joint

GOOD = "Feedback: Response A keeps the limit. Response B breaks it.\nComparison: The limit counts.\nConclusion: Response A is better."


def candidate(
    name: str = "c",
    *,
    a: float = 0.9,
    rationale: str | None = GOOD,
    second: Outcome = Outcome.A,
    flip: bool = False,
    comparison: Comparison | None = None,
) -> Candidate:
    rest = 1 - a
    ba = (0.2, 0.8, 0.0) if flip else (a, rest, 0.0)
    votes = [
        vote(Outcome.A, Order.AB, 0, (a, rest, 0.0), rationale),
        vote(second, Order.AB, 1, (a, rest, 0.0) if second.label else None, rationale),
        vote(Outcome.B if flip else Outcome.A, Order.BA, 0, ba, "swapped"),
    ]
    decision = decide(name, votes)
    return joint(Candidate(comparison or make(name), decision, decision.confidence), ())


def example(name: str, label: Label, confidence: float = 0.9, rationale: str | None = None, **texts: str) -> Candidate:
    comparison = make(name, **(texts or {"a": f"first of {name}", "b": f"second of {name}"}))
    decided = decide(name, [vote(Outcome.of(label), Order.AB, 0), vote(Outcome.of(label), Order.BA, 0)])
    return Candidate(comparison, decided, confidence, LabeledComparison(comparison, label, rationale))


def rejection(each: Candidate, config: FilterConfig, stage: FilterContext | None = None) -> Rejection | None:
    kept, dropped = apply_filters(build([config]), [each], stage or FilterContext())
    assert len(kept) + len(dropped) == 1
    return dropped[0][1] if dropped else None


def reason(each: Candidate, config: FilterConfig, stage: FilterContext | None = None) -> str | None:
    found = rejection(each, config, stage)
    return found.reason if found else None


def test_confidence() -> None:
    assert reason(candidate(a=0.9), Confidence(threshold=0.9)) is None
    found = rejection(candidate(a=0.9), Confidence(threshold=0.91))
    assert found == Rejection("confidence", "the label's probability is too low", 0.9, 0.91)


def test_consistency() -> None:
    strict = Consistency(min_agreement=0.9, min_coverage=0.9)
    assert reason(candidate(), strict) is None
    assert reason(candidate(second=Outcome.B), strict) == "the votes disagree"
    assert reason(candidate(second=Outcome.TRUNCATED), strict) == "too many votes failed"
    assert reason(candidate(flip=True), strict) == "the two orders disagree"
    assert reason(candidate(flip=True), Consistency(allow_order_flip=True, min_agreement=0.5)) is None


@pytest.mark.parametrize(
    ("rationale", "expected"),
    [
        (GOOD, None),
        ("Response A, Response B.", "it is too short"),
        (GOOD + " word" * 300, "it is too long"),
        (GOOD + " and so on" * 40, "it repeats itself"),
        (GOOD.replace("Response B breaks it.", "It is short."), "it does not mention both responses"),
        (GOOD.partition("\nConclusion")[0], "it has no conclusion"),
        (GOOD.replace("Conclusion: Response A", "Conclusion: Response B"), "its conclusion does not state its label"),
        (GOOD.replace("counts.", "counts. Response B is better."), "its conclusion does not state its label"),
        (GOOD.replace("counts.", "counts, and Response B is better at tone."), None),
        (GOOD.replace("the limit.", 'the limit, "a longer ONE".'), None),
        (GOOD.replace("the limit.", 'the limit: "never written".'), "it contains invented quotations"),
    ],
)
def test_rationale(rationale: str, expected: str | None) -> None:
    config = Rationale(max_repetition=1.0) if "word word" in rationale else Rationale()
    one_order = candidate(rationale=rationale)
    example = LabeledComparison(make(), Label.A, rationale)
    assert reason(Candidate(make(), one_order.decision, 0.9, example), config) == expected


def test_a_missing_rationale_and_unaddressed_principles() -> None:
    bare = Candidate(make(), candidate().decision, 0.9, LabeledComparison(make(), Label.A, None))
    assert reason(bare, Rationale()) == "there is no rationale"
    asked = FilterContext(principles=("The answer keeps the requested word limit.", "Facts are supported by evidence."))
    assert reason(candidate(), Rationale(), asked) == "it does not address all principles"
    assert reason(candidate(), Rationale(min_principles=0.5), asked) is None


def test_the_conclusion_is_read_in_the_order_it_was_written_for() -> None:
    swapped = GOOD.replace("Conclusion: Response A", "Conclusion: Response B")
    votes = [vote(Outcome.A, Order.AB, 0, (0.6, 0.4, 0), GOOD), vote(Outcome.A, Order.BA, 0, (0.9, 0.1, 0), swapped)]
    decided = decide("c", votes)
    each = joint(Candidate(make(), decided, decided.confidence), ())
    assert each.swapped
    assert each.example == LabeledComparison(make().swap(), Label.B, swapped)
    assert reason(each, Rationale()) is None


def test_joint_prefers_the_vote_whose_rationale_is_better() -> None:
    poor = "Feedback: fine.\nConclusion: Response B is better."
    votes = [vote(Outcome.A, Order.AB, 0, (0.99, 0.01, 0), poor), vote(Outcome.A, Order.AB, 1, (0.6, 0.4, 0), GOOD)]
    decided = decide("c", [*votes, vote(Outcome.A, Order.BA, 0, (0.9, 0.1, 0), None)])
    assert joint(Candidate(make(), decided, decided.confidence), ()).rationale == GOOD


def test_abstentions_are_dropped_first() -> None:
    for votes in (
        [vote(Outcome.TRUNCATED, Order.AB), vote(Outcome.A, Order.BA)],
        [vote(Outcome.A, Order.AB), vote(Outcome.B, Order.BA)],
    ):
        decided = decide("c", votes)
        stack = build([Confidence(threshold=0), Balance()], Joint())
        kept, [(_, found)] = apply_filters(stack, [Candidate(make(), decided, decided.confidence)], FilterContext())
        assert kept == []
        assert found.filter == "abstained"


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            ["confidence", "consistency", "rationale", "balance"],
            ["abstained", "confidence", "consistency", "LESSONS", "rationale", "balance"],
        ),
        (["rationale", "confidence"], ["abstained", "LESSONS", "rationale", "confidence"]),
        (["confidence"], ["abstained", "confidence", "LESSONS"]),
        ([], ["abstained", "LESSONS"]),
    ],
)
def test_rationales_are_written_only_for_what_is_left(kinds: list[str], expected: list[str]) -> None:
    every = {"confidence": Confidence(), "consistency": Consistency(), "rationale": Rationale()}
    configs = [(every | {"balance": Balance()})[kind] for kind in kinds]
    assert [each.name for each in build(configs, Joint(name="LESSONS"))] == expected


class Reading:
    """Readers with answers given beforehand."""

    def __init__(self, beliefs: Sequence[LabelProbabilities | None] = (), pmi: Sequence[float] = ()) -> None:
        self.beliefs, self.values, self.asked = list(beliefs), list(pmi), 0

    def read_back(self, examples: Sequence[Any]) -> list[LabelProbabilities | None]:
        self.asked += len(examples)
        return self.beliefs[: len(examples)]

    def pmi(self, examples: Sequence[Any]) -> list[float]:
        self.asked += len(examples)
        return self.values[: len(examples)]


@pytest.mark.parametrize(
    ("belief", "expected"),
    [
        (LabelProbabilities(0.8, 0.1, 0.1), None),
        (LabelProbabilities(0.45, 0.3, 0.25), "the rationale alone does not lead to its label"),
        (LabelProbabilities(0.1, 0.8, 0.1), "the rationale alone leads to another label"),
        (None, "the rationale alone does not lead to its label"),
    ],
)
def test_support(belief: LabelProbabilities | None, expected: str | None) -> None:
    assert reason(candidate(), Readback(), FilterContext(readers=Reading([belief]))) == expected


def test_specific_asks_the_judge_only_for_what_no_prover_has_scored() -> None:
    readers = Reading(pmi=[0.05])
    proven = example("p", Label.A).measured("proof_score", -0.4)
    kept, dropped = apply_filters(
        build([PointwiseMutualInformation(min_pmi=0.2)]),
        [proven, example("j", Label.A)],
        FilterContext(readers=readers),
    )
    assert [c.comparison.id for c in kept] == ["p"]
    assert kept[0].measures["pmi"] == pytest.approx(0.6)
    assert dropped[0][1].value == 0.05
    assert readers.asked == 1


def test_model_filters_see_only_what_is_left() -> None:
    readers = Reading([LabelProbabilities(1, 0, 0)])
    stack = build([Confidence(threshold=0.8), Readback()])
    kept, dropped = apply_filters(stack, [candidate("x", a=0.6), candidate("y")], FilterContext(readers=readers))
    assert [c.comparison.id for c in kept] == ["y"]
    assert [o.filter for _, o in dropped] == ["confidence"]
    assert readers.asked == 1


TEXT = "the quick brown fox jumps over the lazy dog near the quiet river bank"


def test_duplicates_keep_the_most_confident_and_nothing_of_gold() -> None:
    same = {"a": TEXT, "b": TEXT + " today"}
    items = [example("x", Label.A, 0.7, **same), example("y", Label.A, 0.9, **same), example("z", Label.B, 0.5)]
    kept, dropped = apply_filters(build([Duplicates()]), items, FilterContext())
    assert [c.comparison.id for c in kept] == ["y", "z"]
    assert dropped[0][1].reason == "nearly the same as y"
    known = {"gold g": "\n".join([items[0].comparison.prompt_text, *sorted(same.values())])}
    kept, dropped = apply_filters(build([Duplicates()]), items, FilterContext(known=known))
    assert [c.comparison.id for c in kept] == ["z"]
    assert all("gold g" in o.reason or "y" in o.reason for _, o in dropped)


@pytest.mark.parametrize("labels", ["AAAAAA", "AAABAB", "BBB", "A", "ABT", "TTT", "AABTTTT", ""])
def test_balance_ends_level(labels: str) -> None:
    items = [example(f"n{i}", Label.TIE if x == "T" else Label(x), i / 10) for i, x in enumerate(labels)]
    kept, dropped = apply_filters(build([Balance(max_ties=0.5)]), items, FilterContext(seed=4))
    found = [c.example.label for c in kept if c.example]
    assert found.count(Label.A) == found.count(Label.B)
    assert found.count(Label.TIE) <= len(found) / 2
    decided = sum(x != "T" for x in labels)
    assert found.count(Label.A) == decided // 2
    for each in kept:
        original = next(c for c in items if c.comparison.id == each.comparison.id)
        assert each.example is not None
        assert original.example in (each.example, each.example.swap())
        assert each.swapped == (original.example != each.example)
    assert len(kept) + len(dropped) == len(items)


def test_balance_leaves_rationales_that_cannot_be_exchanged() -> None:
    fixed = [example(f"n{i}", Label.A, i / 10, "B is worse than A is, as B fails.") for i in range(3)]
    kept, dropped = apply_filters(build([Balance()]), [*fixed, example("free", Label.A)], FilterContext())
    assert [(c.comparison.id, c.example.label) for c in kept if c.example] == [("n2", Label.A), ("free", Label.B)]
    assert {o.reason for _, o in dropped} == {"surplus of A over B"}


@pytest.mark.parametrize(
    "config",
    [
        Confidence(threshold=1.0),
        Consistency(min_coverage=1.0, min_agreement=1.0),
        Rationale(min_words=10_000, max_words=20_000),
        Readback(min_probability=1.0),
        PointwiseMutualInformation(min_pmi=1.0),
        Balance(max_ties=0.0),
        Duplicates(max_similarity=0.0),
    ],
    ids=lambda config: config.kind,
)
def test_each_filter_can_drop_everything_and_the_next_gets_nothing(config: FilterConfig) -> None:
    both = [candidate("x", second=Outcome.B, a=0.6), candidate("y", second=Outcome.B, a=0.6)]
    if config.kind == "balance":
        both = [example("x", Label.TIE), example("y", Label.TIE)]
    readers = Reading([LabelProbabilities(0.9, 0.1, 0)] * 2, [0.5, 0.5])
    texts = {f"gold {c.comparison.id}": "Prompt of x\nPrompt of y\nshort a longer one" for c in both}
    if config.kind == "duplicates":
        texts = {f"gold {c.comparison.id}": f"{c.comparison.prompt_text}\na longer one\nshort" for c in both}
    kept, dropped = apply_filters(build([config, Rationale()]), both, FilterContext(readers=readers, known=texts))
    assert kept == []
    assert {o.filter for _, o in dropped} == {config.kind}
    assert apply_filters(build([config]), [], FilterContext(readers=readers)) == ([], [])
