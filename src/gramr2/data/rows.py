"""One raw row into comparisons, in the conventions of the ecosystem, recognised by their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from gramr2.comparison import Comparison, Label, LabeledComparison, Message, Role
from gramr2.data.split import fraction
from gramr2.errors import DataError

Row = Mapping[str, object]
ALL_PAIRS_UP_TO = 6


def read_row(row: Row, where: str, *, default_id: str) -> list[LabeledComparison | Comparison]:
    """The comparisons in a row.

    Recognised: ``prompt`` + ``responses`` with an optional ``label`` (A, B or tie: responses[0] is A); TRL's ``prompt`` /
    ``chosen`` / ``rejected``, as strings or messages, the prompt also implicit in a common beginning; ``prompt`` with two
    or more unlabelled ``responses`` (all pairs of up to six, neighbours of more). ``id``, ``category``, ``source``,
    ``group`` and ``rationale`` are optional. Chosen stands first or second by a hash of the id.

    Raises:
        DataError: ``where: reason``.
    """
    try:
        if "chosen" in row and "rejected" in row:
            return [_preference(row, default_id)]
        if "responses" in row:
            return _responses(row, default_id)
    except _BadRowError as error:
        raise DataError(f"{where}: {error}") from None
    columns = ", ".join(map(str, row)) or "none"
    raise DataError(
        f"{where}: needs prompt and responses, or chosen and rejected; the columns here are {columns[:200]}"
    )


class _BadRowError(Exception):
    """The reason why a row is refused."""


def _responses(row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
    values = row["responses"]
    if not isinstance(values, Sequence) or isinstance(values, str | bytes) or len(values) < 2:
        raise _BadRowError("responses must be a list of two or more texts")
    texts = [_text(value, f"responses[{i}]") for i, value in enumerate(values)]
    prompt = _prompt(row.get("prompt"))
    name = _id(row, default_id)
    label = _label(row.get("label"))
    if label is not None:
        if len(texts) != 2:
            raise _BadRowError(f"a labelled row has exactly two responses, this one has {len(texts)}")
        return [
            LabeledComparison(_comparison(row, name, prompt, texts[0], texts[1]), label, _optional(row, "rationale"))
        ]
    if len(texts) == 2:
        return [_comparison(row, name, prompt, texts[0], texts[1])]
    indices = combinations(range(len(texts)), 2) if len(texts) <= ALL_PAIRS_UP_TO else pairwise(range(len(texts)))
    return [_comparison(row, f"{name}:{i}-{j}", prompt, texts[i], texts[j], group=name) for i, j in indices]


def _preference(row: Row, default_id: str) -> LabeledComparison:
    name = _id(row, default_id)
    given = row.get("prompt")
    if given is None:
        prompt, chosen, rejected = _implicit(row["chosen"], row["rejected"])
    else:
        prompt = _prompt(given)
        chosen, rejected = (_answer(row[key], key) for key in ("chosen", "rejected"))
    item = LabeledComparison(_comparison(row, name, prompt, chosen, rejected), Label.A, _optional(row, "rationale"))
    return item if fraction(0, "chosen first", name) < 0.5 else item.swap()


def _implicit(chosen: object, rejected: object) -> tuple[tuple[Message, ...], str, str]:
    """Prompt and answers out of two conversations with a common beginning."""
    if isinstance(chosen, str) and isinstance(rejected, str):
        _text(chosen, "chosen"), _text(rejected, "rejected")
        cut = next(
            (i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b),
            min(len(chosen), len(rejected)),
        )
        mark = chosen.rfind("\n\nAssistant:", 0, cut)
        cut = (
            mark + len("\n\nAssistant:")
            if mark >= 0
            else max(chosen.rfind(" ", 0, cut), chosen.rfind("\n", 0, cut)) + 1
        )
        if not chosen[:cut].strip():
            raise _BadRowError("there is no prompt, and chosen and rejected have no common beginning to take as one")
        prompt = chosen[:cut].removesuffix("\n\nAssistant:").removeprefix("\n\nHuman: ")
        return _prompt(prompt), _text(chosen[cut:].strip(), "chosen"), _text(rejected[cut:].strip(), "rejected")
    first, second = _messages(chosen, "chosen"), _messages(rejected, "rejected")
    common = 0
    while common < min(len(first), len(second)) and first[common] == second[common]:
        common += 1
    if not common:
        raise _BadRowError("there is no prompt, and chosen and rejected do not begin with the same messages")
    return first[:common], _joined(first[common:], "chosen"), _joined(second[common:], "rejected")


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


def _prompt(value: object) -> tuple[Message, ...]:
    if isinstance(value, str):
        return (Message("user", _text(value, "prompt")),)
    if value is None:
        raise _BadRowError("there is no prompt")
    return _messages(value, "prompt")


def _answer(value: object, name: str) -> str:
    return _text(value, name) if isinstance(value, str) else _joined(_messages(value, name), name)


def _messages(value: object, name: str) -> tuple[Message, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        raise _BadRowError(f"{name} must be a text or a list of messages, not {type(value).__name__}")
    turns: list[Message] = []
    for i, turn in enumerate(value):
        if not isinstance(turn, Mapping):
            raise _BadRowError(f"{name}[{i}] must be a message with role and content")
        roles: dict[object, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
        role = turn.get("role")
        if not isinstance(role, str) or role not in roles:
            raise _BadRowError(f"{name}[{i}] has the role {role!r}, known are system, user and assistant")
        turns.append(Message(roles[role], _text(turn.get("content"), f"{name}[{i}].content")))
    return tuple(turns)


def _joined(turns: tuple[Message, ...], name: str) -> str:
    if not turns:
        raise _BadRowError(f"{name} has no answer after the prompt")
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in turns)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _BadRowError(f"{name} must be a text, not {type(value).__name__}")
    if not value.strip():
        raise _BadRowError(f"{name} is empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _BadRowError(f"{name} holds half of a surrogate pair, which is not text") from None
    return value


def _optional(row: Row, key: str) -> str | None:
    value = row.get(key)
    return None if value is None or value == "" else _text(value, key)


def _id(row: Row, default_id: str) -> str:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return default_id if value is None else _text(value, "id")


def _label(value: object) -> Label | None:
    if value is None:
        return None
    if isinstance(value, str):
        known = {"a": Label.A, "b": Label.B, "tie": Label.TIE}
        if value.strip().lower() in known:
            return known[value.strip().lower()]
    raise _BadRowError(f"label {value!r} is not A, B or tie")
