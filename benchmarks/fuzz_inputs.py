"""Hostile inputs for ``fuzz.py``: documented examples, mutated; the same seed and number give the same input."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_EXAMPLE = re.compile(r"### \w+\n\n.*?\n\n```json\n(.*?)```", re.DOTALL)
ROWS: list[dict[str, Any]] = [
    json.loads(text) for text in _EXAMPLE.findall((ROOT / "docs/data.md").read_text(encoding="utf-8"))
]
ROWS += [
    {"prompt": "q", "completion": "a", "label": True},
    {"prompt": [{"role": "user", "content": "q"}], "responses": ["a", "b", "c"], "scores": [1, 2, 3]},
    {"prompt": "q", "response": "a", "references": ["b", "c"]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}], "chosen": "a", "rejected": "b"},
    {
        "prompt": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "content": "r", "tool_call_id": "1"},
        ],
        "chosen": [{"role": "assistant", "content": "a"}],
        "rejected": [{"role": "assistant", "content": "b"}],
    },
]
CONFIGS = [file.read_text(encoding="utf-8") for file in sorted((ROOT / "examples").glob("*.yaml"))]
_KEYS = sorted(
    {key for row in ROWS for key in row} | {"content", "role", "", "\ud800", "id", "target", "group", "tools"}
)
_WORDS = [
    "A",
    "B",
    "tie",
    "user",
    "assistant",
    "",
    " ",
    "\x00",
    "\x1b[2J",
    "\u202e",
    "\ud800",
    "é",
    "=1+1",
    "null",
    "[[A]]",
]


def _deep(rng: Random) -> Any:
    value: Any = rng.choice([0, "x", None])
    for _ in range(rng.choice([3, 200, 3000])):
        value = [value] if rng.random() < 0.5 else {"content": value}
    return value


_HOSTILE: list[Callable[[Random], Any]] = [
    lambda rng: None,
    lambda rng: rng.choice(_WORDS),
    lambda rng: rng.choice(_WORDS) * rng.choice([1, 100, 20_000]),
    lambda rng: rng.choice([math.nan, math.inf, -math.inf, -0.0, 1e308, 5e-324]),
    lambda rng: rng.choice([0, 1, -1, 2**63, -(2**200), 10**5000]),
    lambda rng: rng.choice([True, False]),
    lambda rng: [],
    lambda rng: {},
    lambda rng: [rng.choice(_WORDS) for _ in range(rng.choice([1, 2, 100, 5000]))],
    lambda rng: {rng.choice(_KEYS): rng.choice(_WORDS) for _ in range(rng.randint(1, 5))},
    lambda rng: [{"role": rng.choice(_WORDS), "content": rng.choice(_WORDS)} for _ in range(rng.randint(1, 4))],
    lambda rng: [[], [[]], {}],
    _deep,
    lambda rng: json.dumps(rng.choice(ROWS)),
    lambda rng: rng.choice(ROWS),
]


def hostile(rng: Random) -> Any:
    """A value that does not belong where it stands."""
    return rng.choice(_HOSTILE)(rng)


def mutated(value: Any, rng: Random) -> Any:
    """A copy with one change somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        found = dict(value)
        key = rng.choice(list(found))
        change = rng.random()
        if change < 0.55:
            found[key] = mutated(found[key], rng)
        elif change < 0.7:
            found.pop(key)
        elif change < 0.85:
            found[rng.choice(_KEYS)] = found.pop(key)
        else:
            found[rng.choice(_KEYS)] = hostile(rng)
        return found
    if isinstance(value, list) and value and rng.random() < 0.8:
        items = list(value)
        place = rng.randrange(len(items))
        change = rng.random()
        if change < 0.7:
            items[place] = mutated(items[place], rng)
        elif change < 0.8:
            items.pop(place)
        else:
            items *= rng.choice([2, 70])
        return items
    return hostile(rng)


def row(rng: Random) -> Any:
    """A row of any format with up to four changes, or with columns of another one."""
    found: Any = rng.choice(ROWS)
    if rng.random() < 0.1:
        found = found | dict(list(rng.choice(ROWS).items())[: rng.randint(1, 3)])
    for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
        found = mutated(found, rng)
    return found


def layout(rng: Random) -> dict[str, Any]:
    """Settings of a layout, mostly sensible."""
    found: dict[str, Any] = {}
    if rng.random() < 0.1:
        found["columns"] = {rng.choice(_KEYS): rng.choice([rng.choice(_KEYS), [rng.choice(_KEYS), rng.choice(_KEYS)]])}
    if rng.random() < 0.1:
        found["label_map"] = {rng.choice(_WORDS): rng.choice(["A", "B", "tie"])}
    if rng.random() < 0.1:
        found["ignore"] = [rng.choice(_KEYS) for _ in range(3)]
    if rng.random() < 0.1:
        found["margin"] = rng.choice([0, 0.5, -1, math.nan, 1e308])
    return found


def scrambled(data: bytes, rng: Random) -> bytes:
    """Bytes with a few of them flipped, cut out, repeated or replaced; one in four stays whole."""
    found = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 3])):
        if not found:
            break
        place = rng.randrange(len(found))
        change = rng.random()
        if change < 0.4:
            found[place] ^= 1 << rng.randrange(8)
        elif change < 0.6:
            del found[place : place + rng.choice([1, 8, len(found)])]
        elif change < 0.8:
            found[place:place] = found[max(0, place - rng.choice([1, 9, 99])) : place] * rng.choice([1, 2, 500])
        else:
            found[place:place] = rng.choice(_BYTES)
    return bytes(found)


def data_file(rng: Random, folder: Path) -> Path:
    """A data file of any kind with up to five rows."""
    import gzip

    kind = rng.choice(["jsonl", "ndjson", "json", "csv", "tsv", "jsonl.gz", "csv.gz", "parquet"])
    rows = [rng.choice(ROWS) if rng.random() < 0.5 else row(rng) for _ in range(rng.randint(0, 5))]
    file = folder / f"data.{kind}"
    data = _parquet(rows, file) if kind == "parquet" else _text(rows, kind, rng)
    data = scrambled(data, rng)
    if kind.endswith(".gz"):
        data = gzip.compress(data, 1, mtime=0)
        data = scrambled(data, rng) if rng.random() < 0.3 else data
    file.write_bytes(data)
    return file


def _text(rows: list[Any], kind: str, rng: Random) -> bytes:
    if kind.startswith(("csv", "tsv")):
        cells = [each if isinstance(each, dict) else {"prompt": each} for each in rows]
        names = list(dict.fromkeys(str(key) for each in cells for key in each))
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t" if kind.startswith("tsv") else ",")
        writer.writerow(names)
        for each in cells:
            writer.writerow([_cell(each.get(name)) for name in names])
        return text.getvalue().encode("utf-8", "surrogatepass")
    if kind == "json":
        whole = rng.choice([rows, {"data": rows}, rows[0] if rows else {}, {"a": [1, 2], "b": rows[:2]}])
        return _dumped(whole).encode("utf-8", "surrogatepass")
    return "\n".join(map(_dumped, rows)).encode("utf-8", "surrogatepass")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else _dumped(value)


def _dumped(value: Any) -> str:
    # Lists that were repeated within lists that were repeated have no end.
    if _count(value, 100_000) >= 100_000:
        return "[" * 5000
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "1" * 5000


def _parquet(rows: list[Any], file: Path) -> bytes:
    import pyarrow
    import pyarrow.parquet

    # For 3000 levels, pyarrow takes minutes to find the type.
    flat = [each for each in rows if isinstance(each, dict) and not _deeper(each, 30)]
    try:
        table = pyarrow.Table.from_pylist(flat)
        pyarrow.parquet.write_table(table, file)
    except Exception:  # noqa: BLE001 - pyarrow refuses most hostile rows, each in its own way; then the rows are plain
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS[:2]), file)
    return file.read_bytes()


def _count(value: Any, most: int) -> int:
    """The number of values in a value, or ``most``."""
    found, left = 0, [value]
    while left and found < most:
        each = left.pop()
        found += 1
        left += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return min(found + len(left), most)


def _deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_deeper(each, levels - 1) for each in inner)


def config(rng: Random) -> bytes:
    """A run file: an example with changed values, lines or bytes."""
    import yaml

    text = rng.choice(CONFIGS)
    if rng.random() < 0.5:
        content = yaml.safe_load(text)
        for _ in range(rng.choice([0, 1, 1, 2])):
            content = mutated(content, rng)
        if _count(content, 20_000) >= 20_000:
            return b"a: " + b"[" * 5000
        try:
            return yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")
        except (yaml.YAMLError, ValueError, RecursionError):
            return b"? !"
    lines = text.splitlines()
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(lines))
        lines[place : place + rng.randint(0, 1)] = [rng.choice([*_LINES, rng.choice(lines), "  " + rng.choice(lines)])]
    return scrambled("\n".join(lines).encode(), rng)


_BYTES = [
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"\n", b"\r", b"\xe2\x80\xa8", b"{", b"[" * 5000, b"\\ud800"),
    *(b"1" * 5000, b"NaN", b"1e999", b",", b"\t"),
]
_LINES = [
    *("a: &x [*x]", "? [1]\n: 2", "seed: 2024-13-99", "seed: !!python/name:os.system", "<<: 3", "model: *y", "%YAML 9"),
    *(
        "seed: 1e999",
        "\tseed: 1",
        "--- 3",
        "seed: 0o9",
        "rounds: 1_0",
        "seed: .nan",
        "data: {seed: {path: a, limit: 0x}}",
    ),
]
_PIECES = [
    *(
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<answer>A</answer>",
        "<answer>tie</answer>",
        "<answer>7</answer>",
    ),
    *(
        "<score_A>",
        "</score_A>",
        "<score_B>3</score_B>",
        "<score_A>1e999</score_A>",
        "[[A]]",
        "[[B>>A]]",
        "[[ C ]]",
        "[[A",
    ),
    *(
        "=",
        ">>",
        "[[",
        "]]",
        r"\boxed{",
        r"\boxed{A}",
        r"\boxed{\text{B}}",
        "}",
        "{",
        '{"winner": "A"}',
        '{"score_a": 1,',
    ),
    *(
        '"score_b": NaN}',
        '{"verdict":',
        "1e400",
        '"label"',
        "Response A is better",
        "Assistant B",
        "10",
        "9",
        ".",
        ",",
        ":",
    ),
    *('"', "\\", "null", "\u202e", "\ud800", "é", "\x00", " ", "\n"),
]


def completion(rng: Random) -> str:
    """What a judge might write, and what it should not: pieces of every verdict, some of them very often."""
    pieces = [rng.choice(_PIECES) * rng.choice([1, 1, 1, 2, 50, 3000]) for _ in range(rng.randint(0, 12))]
    text = rng.choice(["", " ", "\n", " " * 3000]).join(pieces)
    return text[:100_000]


def gguf_file(base: bytes, rng: Random) -> bytes:
    """A GGUF file with a damaged header: its counts, lengths, types, or any bytes of it."""
    found = bytearray(scrambled(base[: len(base) // 2], rng) + base[len(base) // 2 :])
    for _ in range(rng.randint(0, 2)):
        place = rng.choice([4, 8, 16, rng.randrange(24, max(25, len(found) // 2))])
        size = rng.choice([4, 8])
        found[place : place + size] = rng.choice([0, 1, 2**31, 2**40, 2**63, 2**64 - 1]).to_bytes(8, "little")[:size]
    return bytes(found if rng.random() < 0.8 else found[: rng.randrange(len(found) + 1)])
