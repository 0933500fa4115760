"""Argilla's records: the columns under ``fields``, and each annotator's answers under ``responses``.

Source: https://docs.argilla.io/latest/how_to_guides/import_export/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gramr2.data.fields import Fields
from gramr2.data.formats.base import Envelope, Row, read_label
from gramr2.data.labels import Said
from gramr2.messages import BadRowError, carries, shown_names

Answer = Mapping[str, object]
_VERDICTS = ("preference", "label", "preferred", "winner", "choice", "better")
_WORDS = ("rationale", "reason", "explanation", "comment")


class Argilla(Envelope):
    """``fields`` and ``responses``; only submitted answers count."""

    columns = "fields and responses"

    def recognises(self, row: Row) -> bool:
        return isinstance(row.get("fields"), Mapping) and isinstance(row.get("responses") or {}, Mapping)

    def open(self, row: Row) -> Row:
        record, answers = Fields(row), dict(row.get("responses") or {})  # type: ignore[call-overload]
        record.use("id", "fields", "responses", "suggestions", "vectors", "metadata", "status", "_server_id")
        record.refuse_unused()
        opened: dict[str, object] = dict(row["fields"])  # type: ignore[call-overload]
        submitted = {name: _submitted(values, name) for name, values in answers.items()}
        given = {name: [each.get("value") for each in values] for name, values in submitted.items()}
        verdict = next((name for name in _VERDICTS if name in given), None) or _only(given)
        words = next((name for name in _WORDS if name in given), None)
        rest = [name for name in given if name not in (verdict, words) and carries(given[name])]
        if rest:
            raise BadRowError(
                f"the answers to {shown_names(rest)} are not understood: a question about the label is called "
                f"{', '.join(_VERDICTS)}; name others in ignore"
            )
        if verdict:
            opened["label"] = given[verdict]
        if words and given[words]:
            votes = submitted[verdict] if verdict else []
            opened["rationale"] = [_said(each, votes) for each in submitted[words]] if votes else given[words][0]
        return {"id": row.get("id")} | opened


def _submitted(values: object, name: str) -> list[Answer]:
    if not isinstance(values, list) or not all(isinstance(each, Mapping) for each in values):
        raise BadRowError(f"responses.{name} must be a list of answers")
    return [each for each in values if each.get("status") in (None, "submitted")]


def _said(text: Answer, votes: Sequence[Answer]) -> Said:
    """A text with the votes of its user, or with all if it names no user."""
    user = text.get("user_id")
    return Said(text.get("value"), tuple(each.get("value") for each in votes if user in (None, each.get("user_id"))))


def _only(given: Mapping[str, list[object]]) -> str | None:
    """The one question whose answers are all labels."""
    found = []
    for name, values in given.items():
        try:
            labels = [read_label(each) for each in values]
        except BadRowError:
            continue
        if any(labels):
            found.append(name)
    return found[0] if len(found) == 1 else None


ARGILLA = Argilla()
