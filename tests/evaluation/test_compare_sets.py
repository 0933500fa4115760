"""Judges on the same sets of responses: hand-computed means and differences."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import summary_of
from gramr2.errors import ConfigError
from gramr2.evaluation.compare import compare
from gramr2.evaluation.log import Log
from gramr2.evaluation.ranked import RankedSet
from gramr2.reporting.comparison import as_html, as_markdown, verdict


def ranked(
    number: int, tops: tuple[int, ...] | None, *, category: str | None = None, prompt: str = "", chosen: int = 0
) -> RankedSet:
    """A set of four; ``tops`` share the first place, and None is a set that was not ranked, which counts a quarter."""
    ranks = [None] * 4 if tops is None else [1 if i in tops else len(tops) + 1 for i in range(4)]
    score = 0.25 if tops is None else float(chosen in tops) / len(tops)
    return RankedSet(
        id=f"s{number}",
        prompt=prompt or f"prompt {number}",
        responses=("a", "b", "c", "d"),
        chosen=(chosen,),
        category=category,
        ranks=tuple(ranks),
        scores=(None,) * 4 if tops is None else tuple(float(i in tops) for i in range(4)),
        score=score,
    )


def log(name: str, *sets: RankedSet) -> Log:
    summary = summary_of(name, {"n": 0}, official={"sets": {"n": len(sets)}})
    return Log(Path(name), summary, (), sets)


def test_a_difference_by_hand() -> None:
    one = log("one", *(ranked(i, (0,) if i < 10 else (0, 1) if i < 15 else (2,)) for i in range(20)))
    two = log("two", *(ranked(i, (0,) if i < 18 else None) for i in range(20)))
    found = compare([one, two])
    assert (found.n, found.standings, [name for name, _ in found.parts]) == (0, (), ["sets"])
    sets = found.sets
    assert sets is not None and sets.n == 20
    best, worst = sets.standings
    # Ten right, five shared by two; eighteen right and two failures that count a quarter.
    assert (worst.name, worst.decided, worst.accuracy, worst.strict) == ("one", 20, 12.5 / 20, 12.5 / 20)
    assert (best.name, best.decided, best.accuracy, best.strict) == ("two", 18, 1, 18.5 / 20)
    [pair] = sets.pairs
    assert (pair.whole.test.only_before, pair.whole.test.only_after) == (0, 10)
    assert pair.whole.test.difference == pytest.approx(6 / 20)
    # All of the ten that differ are for the second: of 2^10 ways two are as far from zero.
    assert pair.whole.test.p_value == pytest.approx(2 * 0.5**10)
    assert pair.whole.test.low < 0.3 < pair.whole.test.high
    assert pair.kappa is None
    # Σ d²: five halves, three ones and two quarters.
    spread = (5 * 0.25 + 3 + 2 * 0.0625) / 20
    assert pair.visible == pytest.approx((7.84 * spread / 20) ** 0.5)
    assert [(each.id, each.expected, each.labels) for each in pair.disagreements[:6:5]] == [
        ("s10", "1", ("1, 2", "1")),
        ("s15", "1", ("3", "1")),
    ]
    assert pair.disagreements[-1].labels == ("3", None)
    assert verdict(pair, "sets").startswith("two is better than one: +30.0 points (+")


def test_sets_of_one_prompt_are_one_unit() -> None:
    one = [ranked(i, (1,), prompt=f"p{i // 4}") for i in range(48)]
    two = [ranked(i, (0,) if i < 16 else (1,), prompt=f"p{i // 4}") for i in range(48)]
    sets = compare([log("one", *one), log("two", *two)]).sets
    assert sets is not None
    [pair] = sets.pairs
    # Four of twelve prompts, not sixteen of 48 sets.
    assert pair.whole.test.p_value == pytest.approx(2 * 0.5**4)
    assert (pair.design, pair.whole.significant) == (pytest.approx(4), False)
    assert "48 sets would show one of" in verdict(pair, "sets")


def test_only_common_sets_count_and_categories_are_corrected() -> None:
    one = [ranked(i, (1,), category="xy"[i % 2]) for i in range(40)]
    two = [ranked(i, (0,) if i % 2 == 0 else (1,), category="xy"[i % 2]) for i in range(41)]
    # Another chosen response is another set.
    two[3] = ranked(3, (1,), category="y", chosen=2)
    sets = compare([log("one", *one), log("two", *two)]).sets
    assert sets is not None
    assert (sets.n, sets.left_out) == (39, 3)
    [pair] = sets.pairs
    x, y = pair.categories
    assert (x.n, x.test.difference, x.significant, x.more) == (20, 1, True, 0)
    assert (y.n, y.test.difference, y.adjusted, y.more) == (19, 0, 1, None)
    [same] = (compare([log("one", *one), log("two", *one)]).sets or sets).pairs
    assert verdict(same, "sets") == "one and two are as good on every set."


def test_pages() -> None:
    one = [ranked(i, (1,), category="xy"[i % 2], prompt=f"<b>{i}</b>") for i in range(20)]
    two = [ranked(i, (0,), category="xy"[i % 2], prompt=f"<b>{i}</b>") for i in range(20)]
    found = compare([log("one", *one), log("two", *two)])
    html, markdown = as_html(found), as_markdown(found)
    assert "20 sets in common" in html and "<b>0</b>" not in html and "&lt;b&gt;0" in html
    assert "20 sets with different first places" in html and "mean score" in html
    assert "bench: 20 sets in common." in markdown and "more sets" in markdown
    assert "items" not in markdown


def test_sets_without_scores_are_refused() -> None:
    row = ranked(0, (0,)).model_dump()
    del row["score"]
    old = log("old", RankedSet.model_validate(row))
    with pytest.raises(ConfigError, match="old does not have the scores of its sets"):
        compare([old, log("new", ranked(0, (0,)))])
    with pytest.raises(ConfigError, match="no item in common"):
        compare([log("one", ranked(0, (0,))), log("two", ranked(1, (0,)))])


def test_states() -> None:
    states = [ranked(0, (0,)), ranked(0, (1,)), ranked(0, (0, 1)), ranked(0, None)]
    assert [each.state for each in states] == ["right", "wrong", "tie", "undecided"]
