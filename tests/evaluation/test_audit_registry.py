"""Who is asked for the truth, in which groups, and what the counts come to; the answers here are made up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from gramr2 import registry
from gramr2.evaluation.audit import Audit, Auditor, Row, audit, by_fate


class Entry:
    """An entry point whose function counts how often it is asked, and of what."""

    def __init__(self, auditor: Auditor) -> None:
        self.auditor, self.asked = auditor, list[list[Row]]()

    def load(self) -> Auditor:
        def asked(rows: Iterable[Row]) -> Audit | None:
            given = list(rows)
            self.asked.append(given)
            return self.auditor(given)

        return asked


def counted(rows: Iterable[Row]) -> Audit | None:
    """Knows rows that have a truth; None of no rows."""
    given = list(rows)
    if not given or any("truth" not in row for row in given):
        return None
    return Audit(len(given), sum(row["truth"] for row in given), 0, 0, 0, 0, 0)


def nobody(rows: Iterable[Row]) -> Audit | None:
    return None


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Any:
    def registered(*auditors: Auditor) -> list[Entry]:
        entries = [Entry(each) for each in auditors]
        kinds = {"auditors": {str(i): each for i, each in enumerate(entries)}, "sources": {"x": Entry(counted)}}
        monkeypatch.setattr(registry, "plugins", lambda kind: kinds[kind])
        return entries

    return registered


KNOWN = [{"id": "a", "truth": True}, {"id": "b", "truth": False}]


def test_the_first_that_knows_them_answers(register: Any) -> None:
    other = Audit(9, 9, 9, 9, 9, 9, 9)
    entries = register(nobody, counted, lambda rows: other)
    assert audit(KNOWN) == Audit(2, 1, 0, 0, 0, 0, 0)
    assert [len(each.asked) for each in entries] == [1, 1, 0]
    assert audit([{"id": "c"}]) == other


def test_each_is_shown_all_rows_even_of_an_iterator(register: Any) -> None:
    entries = register(nobody, nobody, counted)
    assert audit(iter(KNOWN)) == Audit(2, 1, 0, 0, 0, 0, 0)
    assert [each.asked for each in entries] == [[KNOWN]] * 3


def test_without_anyone_who_knows_there_is_no_audit(register: Any) -> None:
    register(nobody)
    assert audit(KNOWN) is None
    register()
    assert audit(KNOWN) is None
    assert by_fate(KNOWN, [], ()) == {}


def row(name: str, truth: bool, filter_: str | None = None) -> dict[str, Any]:
    return {"id": name, "truth": truth} | ({"filter": filter_} if filter_ else {})


def test_groups_are_what_was_judged_kept_and_dropped_by_each_filter(register: Any) -> None:
    register(counted)
    kept = [row("k1", True), row("k2", True), row("k3", False)]
    dropped = [row("d1", False, "form"), row("d2", True, "sure"), row("d3", False, "form"), row("d4", True, "unnamed")]
    found = by_fate(kept, dropped, ("sure", "form", "idle"))
    assert list(found) == ["judged", "kept", "dropped by sure", "dropped by form"]
    assert [(each.n, each.true_labels) for each in found.values()] == [(7, 4), (3, 2), (1, 1), (2, 0)]
    # Where nothing was kept, or nothing dropped, that group is not there.
    assert list(by_fate([], dropped, ("form",))) == ["judged", "dropped by form"]
    assert list(by_fate(kept, [], ("form",))) == ["judged", "kept"]


def test_one_row_that_nobody_knows_leaves_all_groups_out(register: Any) -> None:
    register(counted)
    assert by_fate([row("k", True)], [{"id": "stranger", "filter": "form"}], ("form",)) == {}
    assert by_fate([], [], ("form",)) == {}


def test_shares_are_of_all_of_the_reasoned_or_of_the_right_ones() -> None:
    assert Audit(n=10, true_labels=7, reasoned=8, derived=6, sound=2, right=5, lucky=1).shares() == {
        "n": 10,
        "label_accuracy": 0.7,
        "derivation_correct": 0.75,
        "rationale_correct": 0.25,
        "right_label_wrong_derivation": 0.2,
    }


def test_a_share_of_nothing_is_none_and_nothing_of_something_is_zero() -> None:
    labels = Audit(n=4, true_labels=0, reasoned=0, derived=0, sound=0, right=0, lucky=0).shares()
    assert labels == {
        "n": 4,
        "label_accuracy": 0.0,
        "derivation_correct": None,
        "rationale_correct": None,
        "right_label_wrong_derivation": None,
    }
    assert Audit(0, 0, 0, 0, 0, 0, 0).shares()["label_accuracy"] is None


def test_our_own_auditor_is_registered_like_any_other() -> None:
    from gramr2.research.lab.audit import audit as of_the_lab

    assert registry.plugins("auditors")["lab"].load() is of_the_lab
