"""Labelling: the order of comparisons, the sides, what is kept of an answer, and how far it agrees with the judge."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from conftest import make
from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.config import parse_config
from gramr2.data import load_labeled
from gramr2.errors import DataError
from gramr2.selftraining.run.data import load_data
from gramr2.web.labelling.opening import session_of
from gramr2.web.labelling.opinions import Opinion, opinion_of, read_opinions
from gramr2.web.labelling.order import Pick, sequence, side
from gramr2.web.labelling.session import NotSavedError, OutdatedError, Session
from gramr2.web.labelling.store import LabelStore

MANY = [make(f"c{k}", a=f"first {k}", b=f"second {k}") for k in range(400)]
SURE = {each.id: Opinion(Label.A, 0.01 * (k % 90) + 0.05, order_flip=k % 10 == 0) for k, each in enumerate(MANY)}


def opened(out: Path, items: object = MANY, opinions: object = SURE, who: str | None = None, **more: object) -> Session:
    options = {"judge": "j", "seed": 0, "share": 0.2, "show": False} | more
    return session_of(items, LabelStore(out, who), opinions, **options)  # type: ignore[arg-type]


def test_contradictions_come_first_then_small_margins() -> None:
    found = sequence(MANY, SURE, seed=1)
    assert sorted(item.comparison.id for item in found) == sorted(each.id for each in MANY)
    useful = [item for item in found if item.pick is Pick.USEFUL]
    flips = [item.opinion.order_flip for item in useful if item.opinion]
    assert flips == sorted(flips, reverse=True)
    for part in (True, False):
        margins = [item.opinion.margin for item in useful if item.opinion and item.opinion.order_flip is part]
        assert margins == sorted(margins)
    undecided = dict(SURE) | {"c5": Opinion(None, 0.0)}
    first, *_ = sequence(MANY, undecided, 1, share=0.0)
    assert first.comparison.id == "c5", "where the judge decides nothing, a person's label says most"


def test_the_random_part_does_not_depend_on_the_judge() -> None:
    other = {name: Opinion(Label.B, 1 - each.margin, not each.order_flip) for name, each in SURE.items()}
    drawn = [
        {item.comparison.id for item in sequence(MANY, opinions, 3) if item.pick is Pick.RANDOM}
        for opinions in (SURE, other)
    ]
    assert drawn[0] == drawn[1]
    assert 50 < len(drawn[0]) < 110
    order = [item.comparison.id for item in sequence(MANY, SURE, 3) if item.pick is Pick.RANDOM]
    again = [item.comparison.id for item in sequence(MANY, other, 3) if item.pick is Pick.RANDOM]
    assert order == again != sorted(order)
    early = [item.pick for item in sequence(MANY, SURE, 3)[:100]]
    assert 8 <= early.count(Pick.RANDOM) <= 35, "they are spread among the others"
    assert [item.pick for item in sequence(MANY, SURE, 4)[:100]] != early


def test_without_a_judge_all_are_random() -> None:
    found = sequence(MANY, {}, seed=2)
    assert {item.pick for item in found} == {Pick.RANDOM}
    names = [item.comparison.id for item in found]
    assert names != [each.id for each in MANY]
    assert names == [item.comparison.id for item in sequence(MANY[::-1], {}, seed=2)]


def test_a_prompt_occurs_again_only_after_all_others() -> None:
    same = [Comparison(f"s{k}", MANY[0].prompt, ("x" * k, "y")) for k in range(1, 4)]
    others = MANY[1:4]
    opinions = {each.id: Opinion(Label.A, 0.1) for each in same} | {each.id: Opinion(Label.A, 0.9) for each in others}
    found = [item.comparison for item in sequence([*same, *others], opinions, 0, share=0.0)]
    assert [each in same for each in found] == [True, False, False, False, True, True]


def test_sides_are_even_and_an_annotators_own() -> None:
    sides = [side(0, "Ann", each.id) for each in MANY]
    assert 150 < sides.count(Order.AB) < 250
    assert sides != [side(0, "Bob", each.id) for each in MANY]


def test_an_answer_is_kept_for_the_stored_order(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    session = opened(out, who="Ann")
    said: dict[str, tuple[str, str]] = {}
    for turn in range(40):
        item = session.state()["item"]
        verdict = ("A", "B", "tie")[turn % 3]
        said[item["id"]] = (verdict, item["responses"][0])
        session.answer(item["id"], verdict, f"Response {verdict} is short." if verdict != "tie" else "  ")
    items, _ = load_labeled(str(out))
    stored = {each.id: each for each in MANY}
    turned = 0
    for item in items:
        name, _, who = item.comparison.id.partition("/")
        verdict, left = said[name]
        assert (item.comparison, who) == (replace(stored[name], id=item.comparison.id), "Ann")
        assert item.annotator == "Ann"
        swapped = left != item.comparison.responses[0]
        turned += swapped
        assert item.label == (Label(verdict).swap() if swapped else Label(verdict))
        assert item.rationale == (None if verdict == "tie" else f"Response {item.label.value} is short.")
    assert 8 < turned < 32
    for row in map(json.loads, out.read_text().splitlines()):
        assert row["metadata"]["pick"] in ("random", "useful")
        assert row["metadata"]["shown"] == side(0, "Ann", row["id"].removesuffix("/Ann")).value
        assert len(row["timestamp"]) == len("2026-01-31T12:00:00Z")
    assert {json.loads(line)["metadata"]["pick"] for line in out.read_text().splitlines()} == {"random", "useful"}


@pytest.mark.parametrize(
    "reason",
    [
        "A is clear, B is wrong.",
        "Response B is short, B rambles.",
        "Response A is better: the left one is clear.",
        "Die linke Antwort ist besser.",
    ],
)
def test_a_reason_that_cannot_be_turned_is_kept_with_the_responses_as_shown(tmp_path: Path, reason: str) -> None:
    out = tmp_path / "labels.jsonl"
    items = [each for each in MANY if side(0, "Ann", each.id) is Order.BA][:2]
    opinions = {each.id: Opinion(Label.A, 0.1) for each in items}
    session = opened(out, items=items, opinions=opinions, who="Ann")
    shown = session.state()["item"]
    session.answer(shown["id"], "A", reason)
    (item,), _ = load_labeled(str(out))
    assert [*item.comparison.responses] == shown["responses"]
    assert (item.label, item.rationale) == (Label.A, reason)
    assert json.loads(out.read_text())["metadata"] == {"shown": "ba", "stored": "ba", "pick": "useful"}
    session._store.close()

    again = opened(out, items=items, opinions=opinions, who="Ann")
    assert again.state()["item"]["id"] != shown["id"], "the same command goes on"
    (found,) = again.agreement()
    (other,) = found.disagreements
    assert (other.label, other.other, other.responses) == (Label.B, Label.A, items[0].responses)
    assert (other.reason, other.reason_order) == (reason, Order.BA)
    assert again.undo()["item"]["reason"] == reason


def test_a_row_of_an_older_file_is_in_the_order_of_the_data(tmp_path: Path) -> None:
    """Its reason was turned, as far as it could be, whatever it said; written again, it is what the person wrote."""
    out, name = tmp_path / "labels.jsonl", next(each.id for each in MANY if side(0, None, each.id) is Order.BA)
    item = next(each for each in MANY if each.id == name)
    row = {"id": name, "prompt": "p", "responses": [*item.responses], "label": "B"}
    row |= {"rationale": "Response A is short, B rambles.", "metadata": {"pick": "random", "shown": "ba"}}
    event = {"event": "label", "id": name, "annotator": None, "row": row}
    (tmp_path / "labels.jsonl.log").write_text(json.dumps(event) + "\n")
    session = opened(out, items=[item], opinions={name: Opinion(Label.A, 0.1)})
    (found,) = session.agreement()
    assert found.disagreements[0].label is Label.B
    assert session.undo()["item"]["reason"] == "Response B is short, B rambles."


def test_a_reason_is_not_shown_for_other_sides_than_its_own(tmp_path: Path) -> None:
    out, item = tmp_path / "labels.jsonl", MANY[0]
    other = next(seed for seed in range(1, 99) if side(seed, None, item.id) is not side(0, None, item.id))
    for reason, shown in (("A is clear.", None), ("Response A is clear.", "Response B is clear.")):
        session = opened(out, items=[item])
        session.answer(item.id, "A", reason)
        session._store.close()
        session = opened(out, items=[item], seed=other)
        assert session.undo()["item"]["reason"] == shown
        session._store.close()


def test_a_run_takes_the_files_of_several_annotators(tmp_path: Path) -> None:
    for who in ("Ann", "Bob"):
        session = opened(tmp_path / f"{who}.jsonl", items=MANY[:8], who=who)
        while item := session.state()["item"]:
            left = side(0, who, item["id"]) is Order.AB
            session.answer(item["id"], "A" if left or (who == "Bob" and item["id"] in ("c1", "c2")) else "B")
    data = {"seed": [str(tmp_path / "Ann.jsonl"), str(tmp_path / "Bob.jsonl")], "aggregate": "majority"}
    gold = {"path": "starter:gold", "limit": 4}
    config = parse_config({"model": "none", "data": data | {"pool": "starter:unlabeled", "gold": gold}})
    assert len(load_data(config).seed) == 8, "two labels of one comparison are one row"


def test_the_judge_is_not_shown_unless_asked_for(tmp_path: Path) -> None:
    opinions = {each.id: Opinion(Label.A, 0.1, rationale="Response A is it.") for each in MANY}
    blind = json.dumps(opened(tmp_path / "blind.jsonl", opinions=opinions).state())
    assert "is it" not in blind and "opinion" not in blind and "pick" not in blind and "margin" not in blind
    session = opened(tmp_path / "open.jsonl", opinions=opinions, show=True)
    for _ in range(10):
        item = session.state()["item"]
        letter = "A" if side(0, None, item["id"]) is Order.AB else "B"
        assert item["opinion"] == {"label": letter, "rationale": f"Response {letter} is it."}
        session.answer(item["id"], "tie")


def test_undo_asks_again_and_a_restart_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    session = opened(out)
    first = session.state()["item"]
    assert not session.state()["undo"]
    assert session.undo()["item"] == first, "there is nothing to undo"
    second = session.answer(first["id"], "A", "Response A wins.")["item"]
    state = session.answer(second["id"], "skip")
    assert (state["labelled"], state["skipped"]) == (1, 1)
    assert session.undo()["item"]["id"] == second["id"]
    back = session.undo()["item"]
    assert (back["id"], back["reason"]) == (first["id"], "Response A wins."), "the reason speaks of the sides as shown"
    assert out.read_text() == ""
    session.answer(first["id"], "B")
    session._store.close()
    again = opened(out).state()
    assert (again["labelled"], again["item"]["id"]) == (1, second["id"])


def test_an_answer_from_an_older_window_is_refused(tmp_path: Path) -> None:
    session = opened(tmp_path / "labels.jsonl")
    name = session.state()["item"]["id"]
    session.answer(name, "A")
    with pytest.raises(OutdatedError, match="another window"):
        session.answer(name, "B")
    assert session.state()["labelled"] == 1


def test_a_seed_file_that_cannot_be_written_is_told_and_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "labels.jsonl"
    session = opened(out)

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("gramr2.web.labelling.store.replace_file", full)
        with pytest.raises(NotSavedError, match=r"only in labels\.jsonl\.log yet"):
            session.answer(session.state()["item"]["id"], "A")
    assert (session.state()["labelled"], out.read_text()) == (1, "")
    session.answer(session.state()["item"]["id"], "B")
    assert len(out.read_text().splitlines()) == 2


def test_what_is_undone_while_the_seed_file_cannot_be_written_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(tmp_path / "labels.jsonl")
    name = session.state()["item"]["id"]
    session.answer(name, "A")

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("gramr2.web.labelling.store.replace_file", full)
        with pytest.raises(NotSavedError):
            session.undo()
    state = session.state()
    assert (state["labelled"], state["item"]["id"]) == (0, name)


def test_the_end(tmp_path: Path) -> None:
    session = opened(tmp_path / "labels.jsonl", items=MANY[:1])
    state = session.answer(MANY[0].id, "skip")
    assert (state["item"], state["skipped"], state["undo"]) == (None, 1, True)


def test_data_that_have_changed_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    session = opened(out, items=MANY[:2])
    name = session.state()["item"]["id"]
    session.answer(name, "A")
    session._store.close()
    with pytest.raises(DataError, match="other responses than it has now"):
        opened(out, items=[make(name, a="something else")])


def test_agreement_is_measured_on_the_random_part(tmp_path: Path) -> None:
    """A judge that is right where it is sure, and wrong where it is not: the useful ones alone would make it look bad."""
    opinions = {each.id: Opinion(Label.A, 0.0 if k < 100 else 0.9) for k, each in enumerate(MANY)}
    truth = {each.id: Label.B if k < 100 else Label.A for k, each in enumerate(MANY)}
    session = opened(tmp_path / "labels.jsonl", opinions=opinions, share=0.3)
    for _ in range(120):
        name = session.state()["item"]["id"]
        label = truth[name] if side(0, None, name) is Order.AB else truth[name].swap()
        session.answer(name, label.value)
    (found,) = session.agreement()
    assert found.other == "j"
    assert found.all.share is not None and found.all.share < 0.45
    assert found.random.share is not None and found.random.low is not None and found.random.high is not None
    assert found.random.low <= 0.75 <= found.random.high, "three quarters of the whole file agree"
    assert (found.all.low, found.all.high) == (None, None), "no interval where the sample was chosen"
    assert found.random.n + sum(item.pick is Pick.USEFUL for item in session._items[:120]) == found.all.n == 120
    assert len(found.disagreements) == found.all.n - found.all.same
    assert {each.label for each in found.disagreements} == {Label.B}


def test_kappa_and_what_the_judge_did_not_decide(tmp_path: Path) -> None:
    items = MANY[:40]
    opinions = {
        each.id: Opinion(None if k == 0 else Label.A if k % 2 else Label.B, 0.5) for k, each in enumerate(items)
    }
    known = [LabeledComparison(each, Label.A if k % 2 else Label.B) for k, each in enumerate(items)]
    session = opened(tmp_path / "labels.jsonl", items=known, opinions=opinions, share=1.0)
    while item := session.state()["item"]:
        said = next(each.label for each in known if each.comparison.id == item["id"])
        session.answer(item["id"], (said if side(0, None, item["id"]) is Order.AB else said.swap()).value)
    judge, data = session.agreement()
    assert (judge.random.n, judge.random.decided, judge.random.same, judge.random.kappa) == (40, 39, 39, 1.0)
    assert (data.other, data.all.same) == ("labels that the data already have", 40)
    assert judge.random.low is not None and judge.random.low < 1


def test_opinions_of_a_file(tmp_path: Path, write: Callable[..., str]) -> None:
    row = {
        "id": "c1",
        "label": "A",
        "probabilities": {"A": 0.5, "B": 0.3, "tie": 0.2},
        "order_flip": True,
        "rationale": "Response A is it.",
        "rationale_order": "ba",
        "votes": [],
    }
    found = read_opinions(Path(write(row, {"id": "c2", "label": None})))
    assert found["c1"] == Opinion(Label.A, pytest.approx(0.2), True, row["probabilities"], "Response B is it.")
    assert found["c2"].margin == 0
    bare = row | {"rationale": "Response A is it, B is not."}
    assert opinion_of(bare).rationale is None, "half of it would be turned"
    assert opinion_of(bare | {"rationale_order": "ab"}).rationale == bare["rationale"]
    assert opinion_of({"id": "c3", "label": "B"}).margin == 1
    with pytest.raises(ValidationError):
        opinion_of({"id": "c3", "label": "C"})
    for bad in ({"id": "c1"}, {"label": "A"}, [1], {"id": "c", "label": "A", "probabilities": {"A": "x"}}):
        with pytest.raises(DataError, match="gramr2 judge --out"):
            read_opinions(Path(write(bad, name="bad.jsonl")))
    with pytest.raises(DataError, match="of other comparisons"):
        opened(tmp_path / "labels.jsonl", opinions={"elsewhere": Opinion(Label.A, 1.0)})
