"""Labels as files spell them: a letter, votes of several people, shares, scores and ranks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gramr2.comparison import Label
from gramr2.config.data import Layout, label_key
from gramr2.errors import DataError
from gramr2.messages import BadRowError, parsed, shown

Target = tuple[float, float, float]
"""P(A), P(B), P(tie)"""

_KNOWN = {
    **dict.fromkeys(("a", "model_a", "response_a", "a>b", "a>>b"), Label.A),
    **dict.fromkeys(("b", "model_b", "response_b", "b>a", "b>>a"), Label.B),
    **dict.fromkeys(("tie", "tie (bothbad)", "both_bad", "a=b", "b=a"), Label.TIE),
}


_YAML = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""what YAML makes of words without quotes"""


class UnclearLabelsError(DataError):
    """A row's label shows that the labels of the whole source may mean something else, so that skipping the row is no way out."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an annotator of several wrote, and the votes of the same annotator, as the file spells them."""

    text: object
    votes: tuple[object, ...]

    def supports(self, label: Label, layout: Layout) -> bool:
        """Whether the annotator voted, and for this label alone. Raises BadRowError for a vote that is not understood."""
        return bool(self.votes) and all(read_verdict(each, layout)[0] is label for each in self.votes)


def read_label(value: object) -> Label | None:
    """A, B or tie in any case, or as arenas and judges spell them; None where there is no label."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().lower() in _KNOWN:
        return _KNOWN[value.strip().lower()]
    raise BadRowError(f"label {shown(value)} is not A, B or tie: say what it means with label_map")


def read_verdict(value: object, layout: Layout) -> tuple[Label | None, Target | None]:
    """A label through the ``label_map``, and how certain it is where several people voted or shares are given.

    A list is votes: most of them decide, A and B equally often is a tie. An object is shares of A, B and tie.

    Raises:
        BadRowError: it means none of these.
    """
    value = _parsed(value)
    if isinstance(value, Mapping):
        return _shares(value, layout)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        votes = [read_verdict(each, layout)[0] for each in value]
        counts = Counter(vote for vote in votes if vote is not None)
        if not counts:
            return None, None
        total = sum(counts.values())
        target = tuple(counts[each] / total for each in (Label.A, Label.B, Label.TIE))
        return _most(target), target  # type: ignore[return-value]
    if isinstance(value, str | int | float) and label_key(value) in layout.label_map:
        return Label(layout.label_map[label_key(value)]), None
    if isinstance(value, str) and (read := _YAML.get(value.strip().lower())) in layout.label_map:
        raise BadRowError(
            f"label {shown(value)} is {read} in the label_map: YAML reads yes and no so, put them in quotes"
        )
    return read_label(value), None


def better(first: object, second: object, margin: float, name: str) -> Label | None:
    """The label of two scores, the higher one being better; None if a score is missing.

    Raises:
        BadRowError: a score is not a finite number.
    """
    if first is None or second is None:
        return None
    difference = number(first, name) - number(second, name)
    return Label.TIE if abs(difference) <= margin else Label.A if difference > 0 else Label.B


def number(value: object, name: str) -> float:
    """A finite number, or a text that spells one (CSV has nothing else)."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = math.nan
        if math.isfinite(found):
            return found
    raise BadRowError(f"{name} must be a finite number, not {shown(value)}")


def read_target(value: object) -> Target | None:
    """How certain a label is: P(A), P(B), P(tie)."""
    # Some files have texts in a column of this name.
    if value is None or isinstance(value, str):
        return None
    told = shown(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        shares = [float(v) for v in value if isinstance(v, int | float) and 0 <= v <= 1]
        if len(shares) == len(value) == 3 and abs(sum(shares) - 1) < 1e-3:
            return shares[0], shares[1], shares[2]
        told = f"[{', '.join(map(shown, value[:4]))}]"
    raise BadRowError(f"target {told} is not three probabilities, of A, B and tie, that sum to 1")


def _shares(value: Mapping[str, object], layout: Layout) -> tuple[Label, Target]:
    shares = {Label.A: 0.0, Label.B: 0.0, Label.TIE: 0.0}
    for key, share in value.items():
        label = read_verdict(key, layout)[0]
        if label is None:
            raise BadRowError("label has a share of nothing")
        shares[label] += number(share, f"label.{label.value}")
    if min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-3:
        raise BadRowError("label gives shares of A, B and tie that do not sum to 1")
    target = (shares[Label.A], shares[Label.B], shares[Label.TIE])
    return _most(target), target


def _most(target: Sequence[float]) -> Label:
    a, b, tie = target
    return Label.TIE if a == b or tie > max(a, b) else Label.A if a > b else Label.B


def _parsed(value: object) -> object:
    """Votes or shares that stand in a cell of a table as JSON."""
    return parsed(value) if isinstance(value, str) and value.strip()[:1] in ("[", "{") else value
