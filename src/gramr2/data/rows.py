"""One raw row into comparisons, in the conventions of the ecosystem, recognised by their columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from gramr2.comparison import Comparison, Label, LabeledComparison, Message, Role
from gramr2.errors import DataError

Row = Mapping[str, object]
ALL_PAIRS_UP_TO = 6
_ROLES: dict[object, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_TURN = re.compile(r"\n\n(Human|Assistant): ?")


def read_row(row: Row, where: str, *, default_id: str) -> list[LabeledComparison | Comparison]:
    """The comparisons in a row.

    Recognised: ``prompt`` + ``responses`` with an optional ``label`` (A, B or tie: responses[0] is A); TRL's ``prompt`` /
    ``chosen`` / ``rejected``, as strings or messages, the prompt also implicit in a common beginning; ``prompt`` with two
    or more unlabelled ``responses`` (all pairs of up to six, neighbours of more). ``id``, ``category``, ``source``,
    ``group`` and ``rationale`` are optional. Chosen stands first or second by a hash of the id. A column that is null counts
    as absent; texts are kept as they are.

    Raises:
        DataError: ``where: reason``.
    """
    try:
        if row.get("chosen") is not None and row.get("rejected") is not None:
            return [_preference(row, default_id)]
        if row.get("responses") is not None:
            return _responses(row, default_id)
    except _BadRowError as error:
        raise DataError(f"{where}: {error}") from None
    raise DataError(f"{where}: needs prompt and responses, or chosen and rejected; {_columns(row)}")


class _BadRowError(Exception):
    """The reason why a row is refused."""


def _columns(row: Row) -> str:
    names = ", ".join(str(name) for name, value in row.items() if value is not None) or "none"
    return f"the columns here are {names[:200].encode('utf-8', 'backslashreplace').decode('utf-8')}"


def _responses(row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
    values = row["responses"]
    if not isinstance(values, Sequence) or isinstance(values, str | bytes) or len(values) < 2:
        raise _BadRowError("responses must be a list of two or more texts")
    texts = [_text(value, f"responses[{i}]") for i, value in enumerate(values)]
    if row.get("prompt") is None:
        raise _BadRowError(f"there is no prompt; {_columns(row)}")
    prompt = _prompt(row["prompt"])
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
    if row.get("prompt") is None:
        prompt, chosen, rejected = _implicit(row["chosen"], row["rejected"])
    else:
        prompt = _prompt(row["prompt"])
        chosen, rejected = (_answer(row[key], key, prompt) for key in ("chosen", "rejected"))
    item = LabeledComparison(_comparison(row, name, prompt, chosen, rejected), Label.A, _optional(row, "rationale"))
    return item if hashlib.blake2b(name.encode("utf-8")).digest()[0] < 128 else item.swap()


def _implicit(chosen: object, rejected: object) -> tuple[tuple[Message, ...], str, str]:
    """Prompt and answers out of two conversations with a common beginning."""
    if isinstance(chosen, str) and isinstance(rejected, str):
        return _implicit_text(_text(chosen, "chosen"), _text(rejected, "rejected"))
    first, second = _messages(chosen, "chosen"), _messages(rejected, "rejected")
    common = _common(first, second)
    if common and common == min(len(first), len(second)) and first[common - 1].role == "assistant":
        common -= 1  # the same answer twice is an answer, not a prompt
    if not common:
        raise _BadRowError("there is no prompt, and chosen and rejected do not begin with the same messages")
    return first[:common], _joined(first[common:], "chosen"), _joined(second[common:], "rejected")


def _implicit_text(chosen: str, rejected: str) -> tuple[tuple[Message, ...], str, str]:
    """Cut after the last common «Assistant:» turn mark, else after the last common white space; nothing is stripped."""
    common = _common(chosen, rejected)
    marks = [mark for mark in _TURN.finditer(chosen, 0, common) if mark[1] == "Assistant"]
    if marks:
        start, cut = marks[-1].span()
        prompt = chosen[:start]
    else:
        cut = next((i for i in range(common, 0, -1) if chosen[i - 1].isspace()), 0)
        prompt = chosen[:cut]
    if not prompt.strip():
        raise _BadRowError("there is no prompt, and chosen and rejected have no common beginning to take as one")
    return _turns(prompt), _text(chosen[cut:], "chosen"), _text(rejected[cut:], "rejected")


def _turns(text: str) -> tuple[Message, ...]:
    """The turns of a text that begins with «\\n\\nHuman:»; any other text is one user turn."""
    start, *pieces = _TURN.split(text)
    if start or not pieces:
        return _prompt(text)
    roles: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return tuple(Message(roles[role], _text(content, "a turn of the prompt")) for role, content in pairs)


def _common(first: Sequence[object], second: Sequence[object]) -> int:
    length = min(len(first), len(second))
    return next((i for i in range(length) if first[i] != second[i]), length)


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
    return _messages(value, "prompt")


def _answer(value: object, name: str, prompt: tuple[Message, ...]) -> str:
    """An answer to a given prompt; a conversation may repeat the prompt before it."""
    if isinstance(value, str):
        return _text(value, name)
    turns = _messages(value, name)
    return _joined(turns[len(prompt) :] if turns[: len(prompt)] == prompt else turns, name)


def _messages(value: object, name: str) -> tuple[Message, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        raise _BadRowError(f"{name} must be a text or a filled list of messages, not {type(value).__name__}")
    turns: list[Message] = []
    for i, turn in enumerate(value):
        if not isinstance(turn, Mapping):
            raise _BadRowError(f"{name}[{i}] must be a message with role and content")
        role = turn.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise _BadRowError(f"{name}[{i}] has the role {role!r:.50}, known are system, user and assistant")
        turns.append(Message(_ROLES[role], _text(turn.get("content"), f"{name}[{i}].content")))
    return tuple(turns)


def _joined(turns: tuple[Message, ...], name: str) -> str:
    if not turns:
        raise _BadRowError(f"{name} has no answer after the prompt")
    for turn in turns:
        if turn.role != "assistant":
            raise _BadRowError(
                f"{name} has a turn of the role {turn.role!r} in the answer, which must be assistant turns"
            )
    return "\n\n".join(turn.content for turn in turns)


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
    raise _BadRowError(f"label {value!r:.50} is not A, B or tie")
