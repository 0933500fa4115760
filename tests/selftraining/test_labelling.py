"""A round's pseudo-labels: what the filters are told, what becomes of each comparison, and what is written down of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from contexts import Notes, context

from conftest import make, vote
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import Script
from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.data import load_labeled
from gramr2.files import read_jsonl, write_jsonl
from gramr2.judging.records import labeled_row
from gramr2.judging.saved import save_template
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import JudgeTemplate, extract
from gramr2.judging.voting import decide
from gramr2.judgment import DIRECT, FinishReason, Outcome
from gramr2.selftraining import labelling
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import Rejection
from gramr2.selftraining.labelling import dropped_row, kept_row, label_pool, second_view
from gramr2.selftraining.rationales.proofs import Proof, Prover
from gramr2.selftraining.run.records import LabellingRecord
from gramr2.testing import ScriptedEngine

JUDGE = Path("rounds/0/model")
SURE = {"kind": "confidence", "threshold": 0.7, "calibrate": False}
REASON = "Feedback: Response A and Response B were read."


def prefers(levels: dict[str, float], reason: str = REASON) -> Script:
    """P(the response that begins with "good") by the prompt's last word; a negative level is no verdict at all."""

    def script(request: GenerationRequest, seed: int) -> Completion:
        prompt, a, _ = extract(request.messages)
        level = levels[prompt.split()[-1]]
        if level < 0:
            return Completion("no verdict", FinishReason.STOP)
        chances = {"A": level, "B": 1 - level} if a.startswith("good") else {"A": 1 - level, "B": level}
        label = Label.A if chances["A"] > chances["B"] else Label.B
        logs = {name: math.log(max(value, 1e-9)) for name, value in (chances | {"tie": 0.0}).items()}
        return Completion(verdict_text(label, reason), FinishReason.STOP, logs)

    return script


def good(name: str, first: bool = True) -> Comparison:
    """A comparison of which one response is the good one, in words of its own."""
    texts = f"good {name} {name}1 {name}2 {name}3", f"bad {name}4 {name}5 {name}6"
    return make(name, *(texts if first else texts[::-1]))


class Round:
    """One labelled round: its record and its rows, by id."""

    def __init__(
        self,
        path: Path,
        levels: dict[str, float],
        filters: Sequence[dict[str, Any]] = (SURE,),
        *,
        number: int = 1,
        slice_: Sequence[Comparison] | None = None,
        kept_before: Sequence[LabeledComparison] = (),
        tightenings: int = 0,
        prover: Prover | None = None,
        script: Script | None = None,
        model: Path = JUDGE,
        settings: dict[str, Any] | None = None,
        **data: Any,
    ) -> None:
        self.observer = Notes()
        # The judge in force has a name, and no other model has anything to say.
        self.engine = ScriptedEngine(lambda request, seed: "?", {"0": script or prefers(levels)})
        raw = {"filters": list(filters), "judge": {"pool": {"votes": 1}}} | (settings or {})
        here = context(path, self.engine, self.observer, settings=raw, **data)
        shown = [good(name) for name in levels] if slice_ is None else slice_
        label_pool(here, number, model, shown, kept_before, tightenings, prover or Prover(here))
        folder = path / "rounds" / str(number)
        self.record = LabellingRecord.read(folder / "labelling.json")
        self.kept = {row["id"]: row for row in read_jsonl(folder / "kept.jsonl")}
        self.dropped = {row["id"]: row for row in read_jsonl(folder / "dropped.jsonl")}
        self.by_filter = {name: row["filter"] for name, row in self.dropped.items()}


def test_every_comparison_is_kept_or_dropped_and_counted_once(tmp_path: Path) -> None:
    levels = {"a": 0.6, "b": 0.9, "c": -1.0, "d": 0.2, "e": 0.65}
    copy = Comparison("f", good("b").prompt, good("b").responses)
    slice_ = [good(name) for name in levels] + [copy]
    found = Round(tmp_path, levels, [{"kind": "consistency"}, SURE, {"kind": "duplicates"}], slice_=slice_)
    assert list(found.kept) == ["b", "d"]
    assert found.by_filter == {"a": "confidence", "c": "abstained", "e": "confidence", "f": "duplicates"}
    assert list(found.by_filter) == ["a", "c", "e", "f"]
    assert (found.record.pool.judged, found.record.pool.kept) == (6, 2)
    # In the order of the stack, and only those that dropped something.
    assert list(found.record.pool.dropped.items()) == [("abstained", 1), ("confidence", 2), ("duplicates", 1)]
    # What has no label is none of A, B and tie; what is dropped for another reason counts.
    assert list(found.record.labels.items()) == [("A", 4), ("B", 1)]
    assert found.record.thresholds["confidence.threshold"] == 0.7
    assert found.record.calibration is None
    items, _ = load_labeled(str(tmp_path / "rounds/1/kept.jsonl"))
    assert [(item.comparison, item.label) for item in items] == [(good("b"), Label.A), (good("d"), Label.B)]


def test_what_is_told_of_the_rationales(tmp_path: Path) -> None:
    found = Round(tmp_path / "r", {"a": 0.9, "b": 0.8})
    words = len(f"{REASON} Conclusion: Response A is better.".split())
    assert found.record.rationales.row() == {"source": "joint", "kept": 2, "mean_words": words}
    labels = {"judge": {"mode": "label", "pool": {"votes": 1}}, "rationale": "none"}
    found = Round(tmp_path / "labels", {"a": 0.9, "b": 0.8}, settings=labels)
    assert found.record.rationales.row() == {"source": "none", "kept": 0, "mean_words": None}
    assert [row["rationale"] for row in found.kept.values()] == [None, None]


def test_a_round_without_comparisons_is_written_down_too(tmp_path: Path) -> None:
    found = Round(tmp_path, {})
    assert (found.kept, found.dropped, found.engine.asked) == ({}, {}, 0)
    assert found.record.pool.row() == {"judged": 0, "kept": 0, "dropped": {}}


def test_roll_backs_make_the_round_stricter(tmp_path: Path) -> None:
    levels = {"a": 0.8, "b": 0.9}
    for tightenings, threshold, kept in ((0, 0.7, ["a", "b"]), (1, 0.85, ["b"]), (2, 0.925, [])):
        found = Round(tmp_path / str(tightenings), levels, tightenings=tightenings)
        assert found.record.thresholds == {"confidence.threshold": threshold}
        assert list(found.kept) == kept


def test_schedules_follow_the_rounds_of_the_run(tmp_path: Path) -> None:
    falling = SURE | {"threshold": {"schedule": "linear", "start": 0.9, "end": 0.5}}
    for number, threshold in ((1, 0.9), (2, 0.7), (3, 0.5)):
        found = Round(tmp_path, {"a": 0.8}, [falling], number=number, settings={"rounds": 3})
        assert found.record.thresholds == {"confidence.threshold": threshold}


def test_nothing_is_learnt_that_is_known_already(tmp_path: Path) -> None:
    data = {
        "gold": [LabeledComparison(good("g"), Label.A)],
        "seed": [LabeledComparison(good("s"), Label.A)],
        "held_out": [LabeledComparison(good("h"), Label.A)],
    }

    def copy(name: str) -> Comparison:
        of = good(name)
        return Comparison(f"copy of {name}", of.prompt, of.responses)

    before = [LabeledComparison(good("k"), Label.A), LabeledComparison(good("again").swap(), Label.B)]
    slice_ = [copy("g"), copy("s"), copy("h"), copy("k"), good("again"), good("new")]
    levels = dict.fromkeys(["g", "s", "h", "k", "again", "new"], 0.9)
    found = Round(tmp_path, levels, [{"kind": "duplicates"}], slice_=slice_, kept_before=before, **data)
    reasons = {name: row["reason"].removeprefix("nearly the same as ") for name, row in found.dropped.items()}
    assert reasons == {"copy of g": "gold g", "copy of s": "seed s", "copy of h": "seed h", "copy of k": "kept k"}
    # A comparison that is judged again is no copy of itself.
    assert list(found.kept) == ["again", "new"]


def test_the_labels_of_the_last_round_are_those_of_the_stored_order(tmp_path: Path) -> None:
    def row(name: str, label: str | None, **more: Any) -> dict[str, Any]:
        return {"id": name, "label": label, **more}

    write_jsonl(
        tmp_path / "rounds/1/kept.jsonl", [row("a", "A"), row("b", "B", swapped=True), row("c", "A", swapped=True)]
    )
    write_jsonl(tmp_path / "rounds/1/dropped.jsonl", [row("d", "A"), row("e", None), row("f", "B")])
    levels = dict.fromkeys("abcdefg", 0.9)
    history = {"kind": "history", "require_earlier": True}
    found = Round(tmp_path, levels, [history], number=2, settings={"rounds": 2})
    assert list(found.kept) == ["a", "b", "d"]
    told = {name: (row["value"], row["threshold"]) for name, row in found.dropped.items()}
    assert told == {"c": ("A", "B"), "e": (None, None), "f": ("A", "B"), "g": (None, None)}
    # In the first round there is no last one.
    first = Round(tmp_path / "first", levels, [history | {"require_earlier": False}])
    assert list(first.kept) == list(levels)


def held_out(count: int, right: int) -> list[LabeledComparison]:
    """Comparisons of which the judge, at 0.9 everywhere, has so many right."""
    return [LabeledComparison(good(f"h{i}"), Label.A if i < right else Label.B) for i in range(count)]


CALIBRATED = {"kind": "confidence", "threshold": 0.7}


def test_confidence_is_what_held_out_comparisons_make_of_it(tmp_path: Path) -> None:
    items = held_out(16, 10)
    levels = {"a": 0.9, "b": 0.99} | {item.comparison.id: 0.9 for item in items}
    found = Round(tmp_path, levels, [CALIBRATED], slice_=[good("a"), good("b")], held_out=items)
    calibration = found.record.calibration
    assert calibration is not None
    assert calibration.n == 16
    # 10 of 16 are right, so that 0.9 is too sure.
    assert calibration.temperature > 2
    assert calibration.nll_after < calibration.nll_before
    for row, level in ((found.dropped["a"], 0.9), (found.kept["b"], 0.99)):
        # Nobody calls a tie here, so none of the probability goes to one.
        weights = [each ** (1 / calibration.temperature) for each in (level, 1 - level)]
        assert row["confidence"] == pytest.approx(weights[0] / sum(weights), abs=1e-4)
    assert found.dropped["a"]["value"] == found.dropped["a"]["confidence"] < 0.7
    # The votes keep their own word.
    assert found.kept["b"]["probabilities"]["A"] == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("filters", "count", "silent", "asked"),
    [([CALIBRATED], 15, 0, 2), ([SURE], 20, 0, 2), ([CALIBRATED], 17, 2, 2 + 34)],
    ids=["too few", "not wanted", "too few verdicts"],
)
def test_without_enough_verdicts_confidence_stays_as_it_is(
    tmp_path: Path, filters: list[dict[str, Any]], count: int, silent: int, asked: int
) -> None:
    items = held_out(count, count // 2)
    levels = {"a": 0.9} | {item.comparison.id: -1.0 if i < silent else 0.9 for i, item in enumerate(items)}
    found = Round(tmp_path, levels, filters, slice_=[good("a")], held_out=items)
    assert found.record.calibration is None
    assert found.kept["a"]["confidence"] == pytest.approx(0.9)
    assert found.engine.asked == asked
    told = [note for note in found.observer.notes if "not calibrated" in note and f"there are {count}" in note]
    assert len(told) == (count == 15)


def test_that_it_is_not_calibrated_is_said_once(tmp_path: Path) -> None:
    found = Round(tmp_path, {"a": 0.9}, [CALIBRATED], number=2, settings={"rounds": 2})
    assert found.observer.notes == []


@pytest.mark.parametrize("soft", [True, False])
def test_soft_targets_are_the_calibrated_beliefs_in_the_order_that_is_learnt(tmp_path: Path, soft: bool) -> None:
    def script(request: GenerationRequest, seed: int) -> Completion:
        _, a, _ = extract(request.messages)
        # Only the exchanged order gives a rationale that names both, so that it is the one to learn from.
        reason = "Feedback: fine." if a.startswith("good") else REASON
        return prefers({"a": 0.8} | {f"h{i}": 0.9 for i in range(20)}, reason)(request, seed)

    found = Round(
        tmp_path,
        {},
        [CALIBRATED | {"threshold": 0.5}],
        slice_=[good("a")],
        script=script,
        held_out=held_out(20, 13),
        settings={"training": {"verdict": {"soft": soft}}},
    )
    row, calibration = found.kept["a"], found.record.calibration
    assert calibration is not None
    assert (row["swapped"], row["label"]) == (True, "B")
    assert row["responses"] == list(good("a").swap().responses)
    if not soft:
        assert "target" not in row
        return
    odds = (0.8 / 0.2) ** (1 / calibration.temperature)
    assert row["target"][1] / row["target"][0] == pytest.approx(odds, rel=1e-3)
    assert sum(row["target"]) == pytest.approx(1)


def test_rationales_for_direct_verdicts_are_asked_for_what_is_left_alone(tmp_path: Path) -> None:
    model = tmp_path / "0"
    model.mkdir()
    save_template(JudgeTemplate(readings=DIRECT), model)
    asked: list[tuple[str, str]] = []

    def script(request: GenerationRequest, seed: int) -> Completion | str:
        asked.append((extract(request.messages)[0].split()[-1], request.prefill))
        return prefers({"a": 0.9, "b": 0.6, "c": -1.0})(request, seed)

    found = Round(tmp_path / "r", {"a": 0, "b": 0, "c": 0}, script=script, model=model)
    assert (list(found.kept), found.by_filter) == (["a"], {"b": "confidence", "c": "abstained"})
    assert found.kept["a"]["rationale"].startswith(REASON)
    assert sorted(name for name, prefill in asked if prefill == "<answer>") == ["a", "a", "b", "b", "c", "c"]
    assert [name for name, prefill in asked if prefill != "<answer>"] == ["a", "a"]


def test_labels_that_cannot_be_proven_are_dropped(tmp_path: Path) -> None:
    class Stub(Prover):
        def __init__(self) -> None:
            self.asked: list[tuple[str, Label]] = []

        def prove(self, items: Sequence[tuple[Comparison, Label]]) -> list[Proof | None]:
            self.asked += [(comparison.id, label) for comparison, label in items]
            return [Proof("Feedback: proven.", -0.25, 3) if c.id == "a" else None for c, _ in items]

    prover = Stub()
    settings = {"rationale": "proving"}
    found = Round(tmp_path, {"a": 0.9, "b": 0.1, "c": 0.6}, prover=prover, settings=settings)
    assert prover.asked == [("a", Label.A), ("b", Label.B)]
    assert found.by_filter == {"b": "unproven", "c": "confidence"}
    assert (found.kept["a"]["rationale"], found.kept["a"]["measures"]) == (
        "Feedback: proven.",
        {"proof_score": -0.25, "proofs": 3},
    )
    assert found.record.rationales.row() == {"source": "proving", "kept": 1, "mean_words": 2}


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], bool]]:
    """The second view is strongly for B of "a" and mildly for A of the others; it writes down what it was asked."""
    asked: list[tuple[str, list[str], bool]] = []

    def margins(here: Any, name: str, comparisons: Sequence[Comparison], *, warmed: bool = False) -> dict[str, float]:
        asked.append((name, [each.id for each in comparisons], warmed))
        return {each.id: -6.0 if each.id == "a" else 1.0 for each in comparisons}

    monkeypatch.setattr(labelling, "margins_of", margins)
    return asked


Looked = list[tuple[str, list[str], bool]]


def test_a_second_view_moves_labels_where_it_is_surer(tmp_path: Path, looked: Looked) -> None:
    lenient = SURE | {"threshold": 0.5}
    found = Round(tmp_path, {"a": 0.6, "b": 0.9}, [lenient], settings={"second_view": "bag-of-words"})
    assert looked == [("bag-of-words", ["a", "b"], True)]
    assert found.record.labels == {"A": 1, "B": 1}
    # No vote of the judge says so, and so there is no rationale for it.
    assert (found.by_filter, list(found.kept)) == ({"a": "abstained"}, ["b"])
    alone = Round(tmp_path / "alone", {"a": 0.6, "b": 0.9}, [lenient])
    assert alone.record.labels == {"A": 2}
    assert len(looked) == 1


def test_a_second_view_without_weight_is_left_to_its_filter(tmp_path: Path, looked: Looked) -> None:
    settings = {"second_view": {"name": "bag-of-words", "weight": 0}}
    found = Round(tmp_path, {"a": 0.9, "b": 0.99}, [{"kind": "second_view"}], settings=settings)
    assert found.record.labels == {"A": 2}
    assert found.by_filter == {"a": "second_view"}
    assert found.dropped["a"]["value"] == pytest.approx(1 / (1 + math.exp(6)), abs=1e-4)
    # Its cap on the judge is for the sum of the two.
    assert found.kept["b"]["confidence"] == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, None),
        ({"filters": [{"kind": "second_view"}]}, "frozen-features"),
        ({"filters": [{"kind": "second_view", "view": "bag-of-words"}]}, "bag-of-words"),
        ({"second_view": "bag-of-words"}, "bag-of-words"),
        ({"second_view": "bag-of-words", "filters": [{"kind": "second_view"}]}, "bag-of-words"),
    ],
)
@pytest.mark.parametrize("warmed", [True, False])
def test_which_model_is_the_second_view(
    tmp_path: Path, looked: Looked, settings: dict[str, Any], name: str | None, warmed: bool
) -> None:
    found = second_view(context(tmp_path, settings=settings), [make("a"), make("b")], warmed=warmed)
    assert found == ({} if name is None else {"a": -6.0, "b": 1.0})
    assert looked == ([] if name is None else [(name, ["a", "b"], warmed)])


def candidate(example: LabeledComparison | None = None, swapped: bool = False) -> Candidate:
    votes = [vote(Outcome.A, order, 0, (0.8, 0.15, 0.05), f"seen {order.value}") for order in Order]
    comparison = make("c", category="law")
    return Candidate(comparison, decide("c", votes), 0.123456, example, swapped, {"quality": 0.5})


def test_a_kept_row_is_the_example_with_the_decision_of_the_stored_order() -> None:
    example = LabeledComparison(make("c", category="law").swap(), Label.B, "why", (0.2, 0.7, 0.1))
    row = kept_row(candidate(example, swapped=True))
    assert {key: row[key] for key in labeled_row(example)} == labeled_row(example)
    assert (row["label"], row["responses"], row["swapped"]) == ("B", ["a longer one", "short"], True)
    assert (row["confidence"], row["measures"], row["target"]) == (0.1235, {"quality": 0.5}, [0.2, 0.7, 0.1])
    assert row["probabilities"] == {"A": 0.8, "B": 0.15, "tie": 0.05}
    assert (row["agreement"], row["order_flip"], row["coverage"]) == (1.0, False, 1.0)
    assert [v["outcome"] for v in row["votes"]] == ["A", "A"]
    assert kept_row(candidate(LabeledComparison(make("c"), Label.A)))["swapped"] is False
    with pytest.raises(ValueError, match="c: kept without an example"):
        kept_row(candidate())


def test_a_dropped_row_says_why_and_shows_the_rationale_that_would_have_been_learnt() -> None:
    rejection = Rejection("rationale", "it is too short", 3, 8.0)
    told = {"filter": "rationale", "reason": "it is too short", "value": 3, "threshold": 8.0}
    bare = dropped_row(candidate(), rejection)
    assert {key: bare[key] for key in told} == told
    assert (bare["label"], bare["responses"], bare["category"]) == ("A", ["short", "a longer one"], "law")
    assert (bare["confidence"], bare["measures"]) == (0.1235, {"quality": 0.5})
    # Without an example the decision's own rationale stands there.
    assert (bare["rationale"], bare["rationale_order"]) == ("seen ab", "ab")
    for swapped, order in ((True, "ba"), (False, "ab")):
        example = LabeledComparison(make("c"), Label.A, "why")
        row = dropped_row(candidate(example, swapped), rejection)
        assert (row["rationale"], row["rationale_order"]) == ("why", order)
        # The comparison and its label stay those of the stored order.
        assert (row["label"], row["responses"]) == ("A", ["short", "a longer one"])


def changes_its_mind(asked: list[str]) -> Script:
    """Sure of the good response in the first two votes of each order, and of the bad one from then on where the prompt says so."""

    def script(request: GenerationRequest, seed: int) -> Completion:
        prompt, a, _ = extract(request.messages)
        key = f"{prompt} {a}"
        asked.append(key)
        right = asked.count(key) <= 2 or not prompt.endswith("fickle")
        return prefers({prompt.split()[-1]: 0.95 if right else 0.01})(request, seed)

    return script


@pytest.mark.parametrize(("audit", "differ"), [(0, 0), (10, 1)])
def test_votes_that_were_spared_are_counted_and_audited(tmp_path: Path, audit: int, differ: int) -> None:
    pool = {"votes": 8, "stop_certainty": 0.8, "audit": audit}
    asked: list[str] = []
    found = Round(
        tmp_path,
        {"steady": 0.0, "fickle": 0.0},
        script=changes_its_mind(asked),
        settings={"judge": {"verdict": "reasoned", "pool": pool}},
    )
    assert found.record.votes is not None
    assert found.record.votes.row() == {
        "cast": 8, "most": 32, "direct": 0, "audited": min(audit, 2), "differ": differ
    }  # fmt: skip
    assert len(asked) == (32 if audit else 8)
    assert {*found.kept} == {"steady", "fickle"}, "the audit changes no label"


def test_comparisons_that_are_all_certain_directly_are_audited(tmp_path: Path) -> None:
    pool = {"votes": 2, "direct_certainty": 0.9, "audit": 1}
    found = Round(tmp_path, {"a": 0.99, "b": 0.01}, settings={"judge": {"verdict": "reasoned", "pool": pool}})
    assert found.record.votes is not None
    assert found.record.votes.row() == {"cast": 0, "most": 8, "direct": 2, "audited": 1, "differ": 0}


def test_without_early_stopping_no_votes_are_counted(tmp_path: Path) -> None:
    found = Round(tmp_path, {"a": 0.9}, settings={"judge": {"pool": {"votes": 4}}})
    assert found.record.votes is None and "votes" not in found.record.row()
