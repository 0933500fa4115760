"""The columns of a row, which remember whether they were used: what nobody used and holds text is refused, not dropped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gramr2.config.data import Layout
from gramr2.messages import BadRowError, carries, shown_names

# What a row may say of itself that is no part of what is judged. Endings count too: post_id, chosen_model, created_at.
_NAMES = """id ids idx index uuid model models model_a model_b source dataset data_source subset split domain category language
lang locale license version url timestamp time date created updated annotator annotators author judge difficulty topic tags tag
metadata meta extra_info hash status"""
_ABOUT = frozenset(_NAMES.split())
_ENDINGS = (
    "_id",
    "_ids",
    "_idx",
    "_model",
    "_hash",
    "_at",
    "_url",
    "_source",
    "_license",
    "_version",
    "_type",
    "_lang",
)


class Fields(Mapping[str, object]):
    """A row; null and NaN count as absent, and every column that is asked for counts as used."""

    def __init__(self, row: Mapping[str, object], layout: Layout | None = None) -> None:
        self.layout = layout or Layout()
        self._row = {
            key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()
        }
        self._used: set[str] = set()

    def __getitem__(self, key: str) -> object:
        self._used.add(key)
        return self._row[key]

    # Mapping's own takes an exception for every column that is not there, and formats ask for many.
    def get(self, key: str, default: Any = None) -> Any:
        self._used.add(key)
        return self._row.get(key, default)

    def __contains__(self, key: object) -> bool:
        return self._row.get(key) is not None  # type: ignore[call-overload]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def items(self) -> list[tuple[str, object]]:  # type: ignore[override]
        """Names and values, which do not count as used."""
        return list(self._row.items())

    def present(self) -> frozenset[str]:
        """The names of the columns that are not null, which do not count as used."""
        return frozenset([key for key, value in self._row.items() if value is not None])

    def use(self, *keys: str) -> None:
        """Say that columns are understood although their content is not shown to the judge."""
        self._used.update(keys)

    def forget(self) -> None:
        """Say that nothing was used yet."""
        self._used.clear()

    def unused(self) -> list[str]:
        """The columns that hold text, were not used, and are not known to be about the row."""
        return [
            str(key)
            for key, value in self._row.items()
            if key not in self._used and not _about(str(key)) and carries(value)
        ]

    def refuse_unused(self, within: str = "") -> None:
        """Refuse text that would be dropped in silence; ``within`` is what the fields belong to.

        Raises:
            BadRowError: there is some; the columns are named.
        """
        if left := self.unused():
            place = f"{within}: " if within else ""
            raise BadRowError(
                f"{place}the judge would not see what stands in {shown_names(left)}: say with columns what it is, or name it in "
                "ignore"
            )


def arranged(row: Mapping[str, object], layout: Layout) -> Mapping[str, object]:
    """The row without what is ignored, and its columns under the names of gramr2.

    Raises:
        BadRowError: a column that the layout names is not there, or would hide another.
    """
    found = _without(row, frozenset(layout.ignore)) if layout.ignore else dict(row)
    return _renamed(found, layout.columns) if layout.columns else found


def _renamed(row: dict[str, object], columns: Mapping[str, str | list[str]]) -> dict[str, object]:
    sources = {name for names in columns.values() for name in ([names] if isinstance(names, str) else names)}
    if missing := [name for name in sorted(sources) if name not in row]:
        raise BadRowError(
            f"there is no column {shown_names(missing)}, which columns names; there are {shown_names(sorted(map(str, row)))}"
        )
    rest = {key: value for key, value in row.items() if key not in sources}
    if hidden := [target for target in columns if carries(rest.get(target))]:
        raise BadRowError(
            f"there is a column {hidden[0]} of its own beside the one that columns calls so: name it in ignore, or map it too"
        )
    for target, names in columns.items():
        rest[target] = row[names] if isinstance(names, str) else _together(target, [row[name] for name in names])
    return rest


def _together(target: str, values: list[object]) -> object:
    if target != "prompt":
        return values
    texts = [value for value in values if value is not None and value != ""]
    if not all(isinstance(value, str) for value in texts):
        raise BadRowError("several columns can be a prompt together only if all are texts")
    return "\n\n".join(map(str, texts))


def _without(value: Mapping[str, object], names: frozenset[str]) -> dict[str, object]:
    return {key: _pruned(each, names) for key, each in value.items() if key not in names}


def _pruned(value: object, names: frozenset[str]) -> object:
    """A column whose messages lack what is ignored."""
    if isinstance(value, Mapping):
        return _without(value, names)
    if isinstance(value, list | tuple):
        return [_pruned(each, names) for each in value]
    return value


def _about(name: str) -> bool:
    lowered = name.lower()
    return lowered in _ABOUT or lowered.endswith(_ENDINGS)
