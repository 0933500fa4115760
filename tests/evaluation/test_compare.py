"""Judges on the same items: hand-computed differences, corrections and groups."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import summary_of
from gramr2.comparison import Comparison, Label, LabeledComparison, as_messages
from gramr2.errors import ConfigError
from gramr2.evaluation.compare import Compared, compare, significance_groups
from gramr2.evaluation.log import Log, item_of
from gramr2.judgment import Decision, LabelProbabilities
from gramr2.reporting.comparison import as_html, as_markdown, verdict

HOSTILE = "<script>alert(1)</script> | `x`"


def decided(id: str, label: str | None) -> Decision:
    belief = LabelProbabilities.certain(Label(label)) if label else None
    return Decision(id, (), Label(label) if label else None, belief, 1.0 if label else None, None, None, 1.0)


def log(name: str, labels: str, truth: str, *, categories: str = "", prompts: str = "", folder: str = "") -> Log:
    """A log of items 0, 1, …; a dot is an abstention, and a space an item that is not there."""
    lines = []
    for i, (label, true) in enumerate(zip(labels, truth, strict=True)):
        if label != " ":
            prompt = prompts[i] if prompts else str(i)
            one = Comparison(f"i{i}", as_messages(prompt), ("a", "b"), category=categories[i] if categories else None)
            lines.append(
                item_of(LabeledComparison(one, Label(true)), decided(f"i{i}", None if label == "." else label))
            )
    summary = summary_of(name, {"n": len(lines)})
    return Log(Path(folder or name), summary, tuple(lines))


TRUTH = "A" * 40


def two(first: str, second: str, **options: str) -> Compared:
    return compare([log("one", first, TRUTH, **options), log("two", second, TRUTH, **options)])


def test_a_difference_by_hand() -> None:
    found = two("A" * 20 + "B" * 20, "A" * 34 + "B" * 6)
    [pair] = found.pairs
    assert (pair.whole.test.only_before, pair.whole.test.only_after) == (0, 14)
    assert pair.whole.test.difference == pytest.approx(14 / 40)
    assert pair.whole.test.p_value == pytest.approx(2 * 0.5**14)
    assert pair.whole.test.low < 14 / 40 < pair.whole.test.high
    assert pair.visible == pytest.approx((7.84 * (14 / 40) / 40) ** 0.5)
    # Agreement 26/40; with both orders of each, A and B are as frequent, and chance is a half.
    assert pair.kappa == pytest.approx((26 / 40 - 0.5) / 0.5)
    assert [each.id for each in pair.disagreements] == [f"i{i}" for i in range(20, 34)]
    assert [(each.name, each.strict, each.groups) for each in found.standings] == [
        ("two", 34 / 40, "a"),
        ("one", 0.5, "b"),
    ]
    assert verdict(pair).startswith("two is better than one: +35.0 points (+")
    [pair] = two("A" * 34 + "B" * 6, "A" * 20 + "B" * 20).pairs
    assert verdict(pair).startswith("one is better than two: +35.0 points (+")


def test_nothing_is_claimed_where_little_differs() -> None:
    [pair] = two("A" * 20 + "B" * 20, "A" * 21 + "B" * 19).pairs
    assert verdict(pair).startswith("No difference between one and two is shown: +2.5 points")
    assert "40 items would show one of 7.0 points" in verdict(pair)
    [same] = two("A" * 40, "A" * 40).pairs
    assert (same.visible, same.kappa) == (None, 1.0)
    # One who always says A, because every better response stands first, is not in agreement by chance.
    assert two("A" * 40, "A" * 30 + "B" * 10).pairs[0].kappa == pytest.approx((30 / 40 - 0.5) / 0.5)
    assert verdict(same) == "one and two are right on the same items."


def test_an_abstention_is_not_right_and_has_no_kappa() -> None:
    found = two("A" * 30 + "." * 10, "A" * 40)
    [pair] = found.pairs
    assert (pair.whole.test.only_after, pair.both_decided, len(pair.disagreements)) == (10, 30, 10)
    one = next(each for each in found.standings if each.name == "one")
    assert (one.decided, one.accuracy, one.strict) == (30, 1.0, 0.75)


def test_items_of_one_prompt_are_one_unit() -> None:
    first, second = "A" * 20 + "B" * 20, "A" * 34 + "B" * 6
    alone = two(first, second).pairs[0].whole.test
    together = two(first, second, prompts="".join(chr(97 + i // 4) * 1 for i in range(40))).pairs[0].whole.test
    assert together.difference == alone.difference
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


def test_many_categories_are_corrected() -> None:
    # One of ten categories differs by chance: six of four hundred items.
    truth, names = "A" * 400, "".join(chr(97 + i // 40) for i in range(400))
    first = log("one", "A" * 34 + "B" * 6 + "A" * 360, truth, categories=names)
    second = log("two", "A" * 400, truth, categories=names)
    [pair] = compare([first, second]).pairs
    worst = pair.categories[0]
    assert (worst.name, worst.n, worst.test.p_value) == ("a", 40, pytest.approx(2 * 0.5**6))
    assert worst.adjusted == pytest.approx(10 * 2 * 0.5**6)
    assert all(each.adjusted == 1 for each in pair.categories[1:])


def test_only_common_items_count() -> None:
    found = compare([log("one", "AB AA", "AAAAA"), log("two", "AABA ", "AAAAA")])
    assert (found.n, found.left_out) == (3, 2)
    with pytest.raises(ConfigError, match="no item in common"):
        compare([log("one", "A ", "AA"), log("two", " A", "AA")])
    # The same id with another label is another item.
    with pytest.raises(ConfigError, match="no item in common"):
        compare([log("one", "A", "A"), log("two", "A", "B")])


def test_names() -> None:
    same = [log("one", "A", "A", folder="x"), log("one", "B", "A", folder="y")]
    assert [each.name for each in compare(same).standings] == ["x", "y"]
    with pytest.raises(ConfigError, match="named twice"):
        compare([same[0], same[0]])
    with pytest.raises(ConfigError, match="two evaluations"):
        compare([same[0]])


def test_groups_of_three() -> None:
    # The best and the worst differ, and the middle one differs from neither.
    assert significance_groups(["x", "y", "z"], [frozenset("xz")]) == {"x": "a", "y": "ab", "z": "b"}
    assert significance_groups(["x", "y", "z"], []) == {"x": "a", "y": "a", "z": "a"}
    everything = [frozenset(pair) for pair in combinations("xyz", 2)]
    assert significance_groups(["x", "y", "z"], everything) == {"x": "a", "y": "b", "z": "c"}


@given(st.sets(st.sampled_from([frozenset(pair) for pair in combinations("abcdef", 2)])))
def test_two_share_a_letter_if_and_only_if_they_are_not_apart(apart: set[frozenset[str]]) -> None:
    letters = significance_groups("abcdef", apart)
    for pair in combinations("abcdef", 2):
        assert bool(set(letters[pair[0]]) & set(letters[pair[1]])) is (frozenset(pair) not in apart)


def test_pages_say_the_same_and_hostile_text_is_text() -> None:
    logs = [log(HOSTILE, "AB" * 20, TRUTH, categories="ab" * 20), log("two", "A" * 40, TRUTH, categories="ab" * 20)]
    found = compare(logs)
    html, markdown = as_html(found), as_markdown(found)
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "| two | 100.0 % |" in markdown and "\\| \\`x\\`" in markdown
    assert "<script" not in markdown
    assert "+50.0 points" in html and "+50.0 points" in markdown
    assert all(line.count("|") - 2 * line.count("\\|") >= 6 for line in markdown.splitlines() if line.startswith("| "))


def test_the_command(cli, tmp_path: Path) -> None:
    for judge in ("longer", "always-a", "random"):
        assert (
            cli("eval", "-m", f"scripted:{judge}", "-b", "starter:gold", "--limit", "20", "-o", tmp_path / judge)[0]
            == 0
        )
    folders = [tmp_path / judge for judge in ("longer", "always-a", "random")]
    code, text, _ = cli("compare", *folders, "-o", tmp_path / "c.html")
    assert code == 0
    assert text.count("would show one of") + text.count("is better than") == 3
    assert (tmp_path / "c.html").read_text().count("<h2>") == 4
    assert cli("compare", *folders[:2], "-o", tmp_path / "c.md")[0] == 0
    assert json.loads(cli("compare", *folders, "--json")[1])["n"] == 20
    code, _, err = cli("compare", folders[0])
    assert (code, "two evaluations" in err) == (2, True)
    code, _, err = cli("compare", *folders, "-o", tmp_path / "c.txt")
    assert (code, "end its name in .html or .md" in err) == (2, True)
    code, _, err = cli("compare", folders[0], tmp_path)
    assert (code != 0, "has no eval.json" in err) == (True, True)


def test_many_items_of_few_prompts_show_nothing() -> None:
    # Twelve prompts of ten items, all or none of which differ: items alone would be significant, prompts are not.
    truth, prompts = "A" * 120, "".join(chr(97 + i // 10) for i in range(120))
    first = "B" * 40 + "A" * 60 + "A" * 20
    second = "A" * 40 + "A" * 60 + "B" * 20
    [pair] = compare([log("one", first, truth, prompts=prompts), log("two", second, truth, prompts=prompts)]).pairs
    assert pair.whole.adjusted < 0.05
    assert pair.whole.test.low < 0 < pair.whole.test.high
    assert not pair.whole.significant
    assert verdict(pair).startswith("No difference")


def test_power_knows_that_items_of_one_prompt_are_alike() -> None:
    # Ten prompts of four: where the second judge is the only one right, it is so on all four.
    truth, prompts = "A" * 40, "".join(chr(97 + i // 4) for i in range(40))
    first, second = "B" * 8 + "A" * 32, "A" * 36 + "B" * 4
    [alone] = compare([log("one", first, truth), log("two", second, truth)]).pairs
    [pair] = compare([log("one", first, truth, prompts=prompts), log("two", second, truth, prompts=prompts)]).pairs
    assert alone.design == 1
    assert alone.visible == pytest.approx((7.84 * (12 / 40) / 40) ** 0.5)
    assert pair.design == pytest.approx(4)
    assert alone.visible is not None and pair.visible == pytest.approx(2 * alone.visible)
    # +4 of 40: 7.84 · 0.3 / 0.1².
    assert (alone.whole.needed, alone.whole.more) == (236, 196)
    assert pair.whole.needed == 941


def test_what_is_shown_needs_no_more_items() -> None:
    [pair] = two("A" * 20 + "B" * 20, "A" * 34 + "B" * 6, categories="x" * 30 + "y" * 10).pairs
    assert (pair.whole.significant, pair.whole.more) == (True, 0)
    [same] = two("A" * 40, "A" * 40).pairs
    assert (same.whole.needed, same.whole.more) == (None, None)
    markdown = as_markdown(two("A" * 20 + "B" * 20, "A" * 34 + "B" * 6, categories="x" * 30 + "y" * 10))
    assert "| shown |" in markdown


def test_many_judges_are_told_without_a_table_of_categories_each(cli, tmp_path: Path) -> None:
    judges = ("scripted:longer", "scripted:random", "scripted:always-a", "longer")
    folders = [tmp_path / str(number) for number in range(len(judges))]
    for judge, folder in zip(judges, folders, strict=True):
        assert cli("eval", "-m", judge, "-b", "starter:gold", "--limit", "30", "-o", folder)[0] == 0
    code, few, _ = cli("compare", *folders[:3])
    assert (code, few.count(" against ")) == (0, 3)
    code, many, _ = cli("compare", *folders)
    assert (code, many.count(" against ")) == (0, 0)
    assert "the categories of 6 pairs of judges: --out comparison.html, or name fewer folders" in many
    code, text, _ = cli("compare", *folders[:3], "--no-ties")
    assert code == 0
    assert "without ties" in text and "left out as labelled ties: " in text
    assert "always-a: ties that stay wrong" in text
