"""One raw row into comparisons, in the conventions of the ecosystem, recognised by their columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.data.turns import BadRowError, implicit_prompt, read_answer, read_prompt, read_text, shown
from gramr2.errors import DataError

Row = Mapping[str, object]
ALL_PAIRS_UP_TO = 6


def read_row(row: Row, where: str, *, default_id: str) -> list[LabeledComparison | Comparison]:
    """The comparisons in a row.

    Recognised: ``prompt`` + ``responses`` with an optional ``label`` (A, B or tie: responses[0] is A); TRL's ``prompt`` /
    ``chosen`` / ``rejected``, as strings or messages, the prompt also implicit in a common beginning; ``prompt`` with two
    or more unlabelled ``responses`` (all pairs of up to six, neighbours of more). ``id``, ``category``, ``source``,
    ``group``, ``rationale`` and, beside a ``label``, ``target`` (P(A), P(B), P(tie)) are optional. Chosen stands first or
    second by a hash of the id. A column that is null counts as absent; texts are kept as they are.

    Raises:
        DataError: ``where: reason``.
    """
    try:
        if row.get("chosen") is not None and row.get("rejected") is not None:
            return [_preference(row, default_id)]
        if row.get("responses") is not None:
            return _responses(row, default_id)
    except BadRowError as error:
        raise DataError(f"{where}: {error}") from None
    raise DataError(f"{where}: needs prompt and responses, or chosen and rejected; {shown_columns(row)}")


def shown_columns(row: Row) -> str:
    """What a row does have, for a message about what it lacks."""
    names = [str(name) for name, value in row.items() if value is not None]
    return f"the columns here are {shown_names(names) or 'none'}"


def shown_names(names: Sequence[str]) -> str:
    """Somebody's names for a message, never long."""
    return ", ".join(names)[:200].encode("utf-8", "backslashreplace").decode("utf-8")


def _responses(row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
    values = row["responses"]
    if not isinstance(values, Sequence) or isinstance(values, str | bytes) or len(values) < 2:
        raise BadRowError("responses must be a list of two or more texts")
    texts = [read_text(value, f"responses[{i}]") for i, value in enumerate(values)]
    if row.get("prompt") is None:
        raise BadRowError(f"there is no prompt; {shown_columns(row)}")
    prompt = read_prompt(row["prompt"])
    name = read_id(row, default_id)
    label = _label(row.get("label"))
    if label is not None:
        if len(texts) != 2:
            raise BadRowError(f"a labelled row has exactly two responses, this one has {len(texts)}")
        comparison = _comparison(row, name, prompt, texts[0], texts[1])
        return [LabeledComparison(comparison, label, _optional(row, "rationale"), _target(row.get("target")))]
    if len(texts) == 2:
        return [_comparison(row, name, prompt, texts[0], texts[1])]
    indices = combinations(range(len(texts)), 2) if len(texts) <= ALL_PAIRS_UP_TO else pairwise(range(len(texts)))
    return [_comparison(row, f"{name}:{i}-{j}", prompt, texts[i], texts[j], group=name) for i, j in indices]


def _preference(row: Row, default_id: str) -> LabeledComparison:
    name = read_id(row, default_id)
    if row.get("prompt") is None:
        prompt, chosen, rejected = implicit_prompt(row["chosen"], row["rejected"])
    else:
        prompt = read_prompt(row["prompt"])
        chosen, rejected = (read_answer(row[key], key, prompt) for key in ("chosen", "rejected"))
    item = LabeledComparison(
        _comparison(row, name, prompt, chosen, rejected),
        Label.A,
        _optional(row, "rationale"),
        _target(row.get("target")),
    )
    return item if hashlib.blake2b(name.encode("utf-8", "surrogatepass")).digest()[0] < 128 else item.swap()


def _comparison(
    row: Row, name: str, prompt: tuple[Message, ...], first: str, second: str, group: str | None = None
) -> Comparison:
    return Comparison(
        id=name,
        prompt=prompt,
        responses=(first, second),
        category=_optional(row, "category"),
        source=_optional(row, "source"),
        group=_optional(row, "group") or group,
    )


def _optional(row: Row, key: str) -> str | None:
    value = row.get(key)
    return None if value is None or value == "" else read_text(value, key)


def read_id(row: Row, default_id: str) -> str:
    """The row's own id, a number as text, or the default."""
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return default_id if value is None else read_text(value, "id")


def _target(value: object) -> tuple[float, float, float] | None:
    """How sure a label is: P(A), P(B), P(tie)."""
    if value is None:
        return None
    told = shown(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        shares = [float(v) for v in value if isinstance(v, int | float) and 0 <= v <= 1]
        if len(shares) == len(value) == 3 and abs(sum(shares) - 1) < 1e-3:
            return shares[0], shares[1], shares[2]
        told = f"[{', '.join(map(shown, value[:4]))}]"
    raise BadRowError(f"target {told} is not three probabilities, of A, B and tie, that sum to 1")


def _label(value: object) -> Label | None:
    if value is None:
        return None
    if isinstance(value, str):
        known = {"a": Label.A, "b": Label.B, "tie": Label.TIE}
        if value.strip().lower() in known:
            return known[value.strip().lower()]
    raise BadRowError(f"label {shown(value)} is not A, B or tie")
