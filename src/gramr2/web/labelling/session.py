"""Labelling as its page sees it: which comparison is next, and what became of the last one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gramr2.comparison import Label, Order
from gramr2.errors import DataError, GramrError
from gramr2.mentions import turned
from gramr2.web.labelling.agreement import Agreement, agreement
from gramr2.web.labelling.order import Item, side
from gramr2.web.labelling.rows import label_of, order_of, reason_of, row_of
from gramr2.web.labelling.store import LABEL, SKIP, UNDO, LabelStore


class OutdatedError(GramrError):
    """The answer is for a comparison that is not the one being asked, as after labelling in a second window."""


class NotSavedError(GramrError):
    """The disk did not take an answer, or did not take the seed file after it."""


def now() -> str:
    """The time in UTC, such as 2026-01-31T12:00:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Session:
    """A person labels comparisons; several windows may be open.

    Args:
        items: in the order in which they are shown.
        store: the answers; those of an earlier session are not asked again.
        seed: decides which response is on the left.
        judge: the name of the judge whose opinions the items have, if they have any.
        known: labels that the data already have, by id.
        show: show the judge's opinion before the answer, which a person is then not independent of.
        clock: the time of an answer.

    Raises:
        DataError: a comparison was labelled before, and has other texts now.
    """

    def __init__(
        self,
        items: Sequence[Item],
        store: LabelStore,
        *,
        seed: int = 0,
        judge: str | None = None,
        known: Mapping[str, Label] | None = None,
        show: bool = False,
        clock: Callable[[], str] = now,
    ) -> None:
        self._items, self._store, self._seed, self._judge = items, store, seed, judge
        self._known, self._show, self._clock = known or {}, show, clock
        self._lock = threading.Lock()
        self._places = {item.comparison.id: place for place, item in enumerate(items)}
        self._at = 0
        self._undone: dict[str, dict[str, Any]] = {}
        for each in items:
            told = store.answers.get(each.comparison.id, {}).get("row")
            if told and told["responses"] != [*each.comparison.shown(order_of(told)).responses]:
                raise DataError(
                    f"{store.out}: the comparison {each.comparison.id!r} was labelled with other responses than it has now: "
                    "give --label another file"
                )

    def state(self) -> dict[str, Any]:
        """What the page shows: the next comparison, None at the end, and the counts."""
        with self._lock:
            return self._state()

    def answer(self, name: str, verdict: str, reason: str | None = None) -> dict[str, Any]:
        """Keep an answer, and return the next state.

        Args:
            name: id of the comparison.
            verdict: ``A`` (left), ``B`` (right), ``tie`` or ``skip``.
            reason: the person's, about the responses as shown.

        Raises:
            OutdatedError: another comparison is being asked.
            NotSavedError: it cannot be kept.
        """
        with self._lock:
            item = self._next()
            if item is None or item.comparison.id != name:
                raise OutdatedError(
                    f"the comparison {name!r} is not the one being asked: it was answered in another window"
                )
            order = side(self._seed, self._store.annotator, name)
            event: dict[str, Any] = {
                "event": SKIP if verdict == "skip" else LABEL,
                "id": name,
                "annotator": self._store.annotator,
                "timestamp": self._clock(),
                "pick": item.pick.value,
                "shown": order.value,
            }
            if verdict != "skip":
                told = (reason or "").strip() or None
                row = row_of(item.comparison, Label(verdict), told, order, self._store.annotator)
                row["metadata"]["pick"] = event["pick"]
                event["row"] = row | {"timestamp": event["timestamp"]}
            try:
                self._keep(event)
            finally:
                # The event may be kept although the seed file could not be written.
                if name in self._store.answers:
                    self._undone.pop(name, None)
            return self._state()

    def undo(self) -> dict[str, Any]:
        """Take the last answer back, and ask its comparison again. Raises NotSavedError if that cannot be kept."""
        with self._lock:
            if last := self._last():
                taken = self._store.answers[last]
                event = {"event": UNDO, "id": last, "annotator": self._store.annotator, "timestamp": self._clock()}
                try:
                    self._keep(event)
                finally:
                    # As above: what is no longer an answer is asked again.
                    if last not in self._store.answers:
                        self._undone[last] = taken
                        self._at = min(self._at, self._places[last])
            return self._state()

    def agreement(self) -> list[Agreement]:
        """How far the labels agree with the judge's, and with those that the data already had."""
        with self._lock:
            rows = {name: each["row"] for name, each in self._store.answers.items() if each["event"] == LABEL}
        items = [(each, label_of(rows[each.comparison.id])) for each in self._items if each.comparison.id in rows]
        reasons = {name: reason_of(row, Order.AB) for name, row in rows.items()}
        found = []
        if self._judge is not None:
            opinions = {each.comparison.id: each.opinion for each in self._items if each.opinion}
            found.append(agreement(self._judge, items, opinions, reasons))
        if self._known:
            found.append(agreement("labels that the data already have", items, self._known, reasons))
        return found

    def _keep(self, event: dict[str, Any]) -> None:
        try:
            self._store.add(event)
        except OSError as error:
            kept = error.filename == str(self._store.out)
            told = f"the answer is only in {self._store.log.name} yet" if kept else "the answer is not saved"
            raise NotSavedError(f"{error.filename}: {error.strerror}: {told}") from error

    def _state(self) -> dict[str, Any]:
        # A file may hold answers to comparisons that are no longer in the data.
        answers = [each for name, each in self._store.answers.items() if name in self._places]
        labelled = sum(each["event"] == LABEL for each in answers)
        item = self._next()
        return {
            "annotator": self._store.annotator,
            "out": self._store.out.name,
            "judge": self._judge,
            "compared": self._judge is not None or bool(self._known),
            "labelled": labelled,
            "skipped": len(answers) - labelled,
            "total": len(self._items),
            "undo": self._last() is not None,
            "item": self._shown(item) if item else None,
        }

    def _shown(self, item: Item) -> dict[str, Any]:
        name = item.comparison.id
        order = side(self._seed, self._store.annotator, name)
        comparison = item.comparison.shown(order)
        found: dict[str, Any] = {"id": name, "prompt": comparison.prompt_text, "responses": [*comparison.responses]}
        if before := self._undone.get(name, {}).get("row"):
            reason, about = reason_of(before, order)
            # With another seed than before the sides may have changed, and not every reason can be turned.
            found["reason"] = reason if about is order else None
        if self._show and item.opinion:
            label, told = item.opinion.label, item.opinion.rationale
            if order is Order.BA:
                label, told = label and label.swap(), turned(told)
            found["opinion"] = {"label": label, "rationale": told}
        return found

    def _next(self) -> Item | None:
        while self._at < len(self._items) and self._items[self._at].comparison.id in self._store.answers:
            self._at += 1
        return self._items[self._at] if self._at < len(self._items) else None

    def _last(self) -> str | None:
        return next((name for name in reversed(self._store.answers) if name in self._places), None)
