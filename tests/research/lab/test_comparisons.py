"""The lab's data sets: always the same, disjoint, balanced, and readable like any other source."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, islice

import pytest
from scipy.stats import binomtest

from gramr2.comparison import Comparison, Label, Message
from gramr2.data import load_labeled, load_unlabeled, overlap
from gramr2.errors import DataError
from gramr2.judging.template import CONCLUSIONS, extract
from gramr2.research.lab.comparisons import SIZES, Kind, Part, draw, part_of
from gramr2.research.lab.corpus import KINDS, LAST_KINDS, Kinds, documents
from gramr2.research.lab.rationales import RIGHT, grades, true_label, verify


@pytest.fixture(scope="module")
def parts() -> dict[str, list]:
    return {part.value: draw(part) for part in SIZES}


def test_labels_are_true_and_rationales_right(parts: dict[str, list]) -> None:
    for item in parts["test"]:
        assert item.label is true_label(item.comparison)
        assert verify(item.comparison, item.rationale).correct
        assert verify(item.swap().comparison, item.swap().rationale).correct


def test_labels_are_balanced_and_identical_responses_never_drawn(parts: dict[str, list]) -> None:
    counts = Counter(item.label for item in parts["unlabeled"])
    assert all(0.3 < counts[label] / len(parts["unlabeled"]) < 0.37 for label in Label)
    assert all(len(set(item.comparison.responses)) == 2 for items in parts.values() for item in items)


def test_no_problem_is_in_two_parts(parts: dict[str, list]) -> None:
    prompts = {name: {item.comparison.prompt_text for item in items} for name, items in parts.items()}
    for one, other in combinations(prompts, 2):
        assert not prompts[one] & prompts[other]
    assert all(part_of(prompt).value == name for name, found in prompts.items() for prompt in found)
    assert overlap(
        [item.comparison for item in parts["labeled"]], [item.comparison for item in parts["labeled"]]
    )  # the check itself can fail


def test_it_is_a_source_like_any_other(parts: dict[str, list]) -> None:
    loaded, report = load_labeled("lab:gold")
    assert loaded == tuple(parts["gold"])
    assert (report.rows, report.kept, report.skipped) == (SIZES[Part.GOLD], SIZES[Part.GOLD], ())
    assert load_unlabeled("lab:unlabeled", limit=3)[0] == tuple(i.comparison for i in parts["unlabeled"][:3])
    with pytest.raises(DataError, match="lab:labeled, lab:unlabeled, lab:gold, lab:test"):
        load_labeled("lab:other")
    with pytest.raises(DataError, match="the lab has"):
        load_labeled("lab:pretraining")


def test_a_new_family_has_parts_of_its_own(parts: dict[str, list]) -> None:
    labelled, test = load_labeled("lab:labeled@mirror")[0], load_labeled("lab:test@mirror")[0]
    assert {item.comparison.category for item in labelled} == {"mirror-3", "mirror-4", "mirror-5"}
    assert all(verify(item.comparison, item.rationale or "").correct for item in test)
    assert not {i.comparison.prompt_text for i in labelled} & {i.comparison.prompt_text for i in test}
    assert all(sum(grades(i.comparison)) == 2 for i in load_labeled("lab:gold@mirror/both-right")[0])
    met = {item.comparison.category for items in parts.values() for item in items}
    assert not any(category.startswith("mirror") for category in met)
    with pytest.raises(DataError, match="append @mirror for a new family, then a slash"):
        load_labeled("lab:gold@sum")


def test_a_kind_can_be_asked_for_alone(parts: dict[str, list]) -> None:
    kinds = {kind: load_labeled(f"lab:labeled/{kind}")[0] for kind in Kind}
    assert sum(map(len, kinds.values())) == SIZES[Part.LABELED]
    assert {item.comparison.id for found in kinds.values() for item in found} == {
        item.comparison.id for item in parts["labeled"]
    }
    for kind, found in kinds.items():
        assert all((item.label is not Label.TIE) == (kind is Kind.DECIDED) for item in found)
        assert all(sum(grades(item.comparison)) == {"both-right": 2, "both-wrong": 0}.get(kind, 1) for item in found)
    with pytest.raises(DataError, match="then a slash and one of decided, both-right, both-wrong"):
        load_labeled("lab:labeled/right")


@pytest.mark.parametrize("kinds", [KINDS, LAST_KINDS])
def test_pretraining_concludes_nothing_from_a_pair_and_uses_problems_of_its_own(kinds: Kinds) -> None:
    for document in islice(documents(1, kinds), 3000):
        question, answer = document.messages[0].content, "".join(document.answer)
        pair = question.count("[Response ") == 2
        if question.startswith("Copy "):
            assert question.removeprefix("Copy ") == answer
        else:
            assert not any(conclusion.partition(": ")[2] in answer for conclusion in CONCLUSIONS.values())
            assert not (pair and (RIGHT in answer or " of 2" in answer))
            assert bool(document.given) == ("<answer>" in answer)
        for line in question.split("\n"):
            if line.startswith(("What is", "Sort the")):
                assert part_of(line) is Part.PRETRAINING


def test_a_verdict_in_pretraining_says_what_is_concluded_and_nothing_of_the_truth() -> None:
    concluded = {sentence: label for label, sentence in CONCLUSIONS.items()}
    found = [each for each in islice(documents(2, LAST_KINDS), 3000) if each.given]
    true = 0
    for document in found:
        label = concluded["".join(document.given).rpartition("\n")[2]]
        assert "".join(document.answer) == f"\n</think>\n<answer>{label.value}</answer>"
        prompt, *texts = extract(document.messages)
        true += true_label(Comparison("", (Message("user", prompt),), (texts[0], texts[1]))) is label
    # The lot hits one in three.
    assert binomtest(true, len(found), 1 / 3).pvalue > 0.001
