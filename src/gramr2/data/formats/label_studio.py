"""Label Studio's JSON export: the columns under ``data``, and each annotator's results under ``annotations``.

In a pairwise task left is the first response. Source: https://labelstud.io/guide/task_format and
https://labelstud.io/tags/pairwise
"""

from __future__ import annotations

from collections.abc import Mapping

from gramr2.data.fields import Fields
from gramr2.data.formats.base import Envelope, Row
from gramr2.data.labels import Said
from gramr2.messages import BadRowError, shown

_SIDES = {"left": "A", "right": "B"}


class LabelStudio(Envelope):
    """``data`` and ``annotations``: a pairwise choice, or choices, and a text area as the rationale."""

    columns = "data and annotations"

    def recognises(self, row: Row) -> bool:
        return isinstance(row.get("data"), Mapping) and isinstance(row.get("annotations"), list)

    def open(self, row: Row) -> Row:
        task = Fields(row)
        task.use("id", "data", "annotations", "predictions", "drafts", "meta", "file_upload")
        task.refuse_unused()
        opened: dict[str, object] = {"id": row.get("id")} | dict(row["data"])  # type: ignore[call-overload]
        votes: list[object] = []
        said: list[Said] = []
        for annotation in row["annotations"]:  # type: ignore[attr-defined]
            if not isinstance(annotation, Mapping) or not isinstance(annotation.get("result"), list):
                raise BadRowError("annotations must be a list of objects with a result")
            if annotation.get("was_cancelled"):
                continue
            own: list[object] = []
            texts: list[object] = []
            for result in annotation["result"]:
                kind, value = _value(result)
                if kind == "pairwise":
                    own.append(_SIDES.get(str(value), value))
                elif kind == "choices":
                    own += value if isinstance(value, list) else [value]
                elif kind == "textarea":
                    texts.append("\n".join(map(str, value)) if isinstance(value, list) else value)
                else:
                    raise BadRowError(
                        f"a result of the type {shown(kind)} is not a pairwise choice, choices or a text area"
                    )
            votes += own
            said += [Said(each, tuple(own)) for each in texts]
        if votes:
            opened["label"] = votes
        if said:
            opened.setdefault("rationale", said if votes else said[0].text)
        return opened


def _value(result: object) -> tuple[object, object]:
    """Kind and content of a result."""
    if not isinstance(result, Mapping) or not isinstance(result.get("value"), Mapping):
        raise BadRowError("a result must be an object with type and value")
    kind, value = result.get("type"), result["value"]
    return kind, value.get({"pairwise": "selected", "choices": "choices", "textarea": "text"}.get(str(kind), ""))


LABEL_STUDIO = LabelStudio()
