"""What a person is asked to label, and what comes back from a spreadsheet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from gramr2.data import load_labeled
from gramr2.errors import DataError
from gramr2.files import write_json, write_jsonl
from gramr2.reporting.review import as_csv, as_table, read_back, worth_a_look
from gramr2.reporting.run import RunView, read_run


def row(name: str, confidence: float, *, kept: bool, prompt: str | None = None, **more: Any) -> dict[str, Any]:
    base = {
        "id": name,
        "prompt": prompt or f"Prompt {name}",
        "responses": [f"first {name}", f"second {name}"],
        "label": "A",
        "rationale": None,
        "confidence": confidence,
        "agreement": 1.0,
        "order_flip": False,
        "votes": [],
    }
    why = {"filter": "confidence", "reason": "too low", "value": confidence, "threshold": None}
    return base | ({"swapped": False} if kept else why | {"rationale_order": "ab"}) | more


KEPT = [
    row("weak", 0.81, kept=True),
    row("strong", 0.99, kept=True, swapped=True, rationale="Response A is right."),
]
DROPPED = [
    row("flip", 0.9, kept=False, order_flip=True, rationale="Response A is short.", rationale_order="ba"),
    row("split", 0.6, kept=False, agreement=0.5),
    row("even", 0.34, kept=False),
    row("again", 0.35, kept=False, prompt="Prompt even"),
    row("=formula", 0.4, kept=False, prompt="=1+1", responses=["+x", "-y"]),
]


@pytest.fixture
def run(tmp_path: Path) -> RunView:
    folder = tmp_path / "run"
    (folder / "journal").mkdir(parents=True)
    (folder / "run.yaml").write_text("model: {name: x}\nseed: 0\n")
    write_jsonl(folder / "rounds/1/kept.jsonl", KEPT)
    write_jsonl(folder / "rounds/1/dropped.jsonl", DROPPED)
    return read_run(folder)


def test_reasons_take_turns_and_a_prompt_comes_again_last(run: RunView) -> None:
    found = worth_a_look(run.rounds[0], 10)
    assert [(each.row["id"], each.why.value) for each in found] == [
        ("flip", "contradictory"),
        ("even", "uncertain"),
        ("weak", "learnt"),
        ("split", "contradictory"),
        ("strong", "learnt"),
        ("=formula", "uncertain"),
        ("again", "uncertain"),
    ]
    assert worth_a_look(run.rounds[0], 2) == found[:2]


def test_everything_is_shown_in_the_stored_order(run: RunView) -> None:
    table = {each["id"]: each for each in as_table(worth_a_look(run.rounds[0], 10))}
    strong = table["strong"]
    assert (strong["response_a"], strong["response_b"]) == ("second strong", "first strong")
    assert (strong["judge"], strong["rationale"]) == ("B", "Response B is right.")
    assert table["flip"]["rationale"] == "Response B is short."
    assert {each["label"] for each in table.values()} == {""}


def test_a_spreadsheet_runs_no_text_and_finds_its_way_back(run: RunView, tmp_path: Path) -> None:
    text = as_csv(as_table(worth_a_look(run.rounds[0], 10)))
    rows = list(csv.DictReader(text.splitlines()))
    cells = {value for each in rows for value in each.values()}
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    edited = tmp_path / "edited.csv"
    with edited.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        for each in rows:
            label = {"'=formula": "b", "strong": "A", "flip": " Tie "}.get(each["id"], "")
            # A spreadsheet may change the texts; they are not read.
            writer.writerow(each | {"label": label, "prompt": "changed"})
    found = {each["id"]: each for each in read_back(edited, run)}
    assert set(found) == {"=formula", "strong", "flip"}
    assert found["=formula"]["responses"] == ["+x", "-y"]
    assert (found["=formula"]["label"], found["=formula"]["prompt"]) == ("B", "=1+1")
    # The judge said B, because of its rationale.
    assert (found["strong"]["label"], found["strong"]["rationale"]) == ("A", None)
    assert (found["flip"]["label"], found["flip"]["rationale"]) == ("tie", None)


def test_a_rationale_stays_with_the_label_it_is_for(run: RunView, tmp_path: Path) -> None:
    edited = tmp_path / "edited.jsonl"
    write_jsonl(
        edited,
        [
            {"id": "strong", "label": "B", "rationale": "Response B is right."},
            {"id": "flip", "label": "B", "rationale": "Response B is polite."},
            {"id": "even", "label": None},
        ],
    )
    out = tmp_path / "seed.jsonl"
    write_jsonl(out, read_back(edited, run))
    items, _ = load_labeled(str(out))
    told = {item.comparison.id: (item.label.value, item.rationale) for item in items}
    assert told == {"strong": ("B", "Response B is right."), "flip": ("B", "Response B is polite.")}


def test_a_rationale_of_any_round_is_stale_beside_another_label(run: RunView, tmp_path: Path) -> None:
    again = row("strong", 0.9, kept=False, label="A", rationale="Response A is polite.", rationale_order="ab")
    write_jsonl(run.path / "rounds/2/dropped.jsonl", [again])
    gold = dict.fromkeys(("accuracy", "low", "high", "order_flip_rate")) | {"n": 0, "coverage": 0}
    pool = {"judged": 7, "kept": 2, "dropped": {"confidence": 5}}
    ended = {"round": 1, "stage": "round", "verdict": "skipped", "gold": gold, "pool": pool}
    write_json(run.path / "rounds/1/metrics.json", ended)
    edited = tmp_path / "edited.jsonl"
    # The table is of round 1, where the judge said B.
    write_jsonl(edited, [{"id": "strong", "label": "A", "rationale": "Response B is right."}])
    assert read_back(edited, read_run(run.path))[0]["rationale"] is None


def test_separators_within_a_text_and_long_cells_come_back(run: RunView, tmp_path: Path) -> None:
    odd = "one\u2028two\u0085three"
    edited = tmp_path / "edited.jsonl"
    write_jsonl(edited, [{"id": "even", "label": "A", "rationale": odd}])
    assert read_back(edited, run)[0]["rationale"] == odd
    table = tmp_path / "edited.csv"
    table.write_text(f"id,label,rationale\neven,B,{200_000 * 'x'}\n")
    assert len(read_back(table, run)[0]["rationale"]) == 200_000


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "nobody", "label": "A"}], "1: the id 'nobody' is none that"),
        ([{"id": "flip", "label": "A"}, {"id": "flip", "label": "A"}], "2: the id 'flip' occurs a second time"),
        ([{"id": "flip", "label": "C"}], "'C' is not a label"),
        ([{"id": "flip", "label": ""}], "no row has a label"),
        ([["flip", "A"]], "not a row"),
    ],
)
def test_what_is_no_label_of_this_run_is_refused(run: RunView, tmp_path: Path, rows: list[Any], said: str) -> None:
    edited = tmp_path / "edited.jsonl"
    edited.write_text("".join(json.dumps(each) + "\n" for each in rows))
    with pytest.raises(DataError, match=said):
        read_back(edited, run)


def test_the_command_writes_a_table_and_takes_it_back(cli, run: RunView, tmp_path: Path) -> None:
    table, seed = tmp_path / "look.csv", tmp_path / "seed.jsonl"
    code, text, _ = cli("review", run.path, "-o", table, "--limit", 2)
    assert (code, "2 comparisons (1 contradictory, 1 uncertain)" in text) == (0, True)
    code, _, error = cli("review", run.path, "-o", seed, "--take", table)
    assert (code, "no row has a label" in error) == (2, True)
    assert not seed.exists()
    table.write_text(table.read_text().replace(",0.9,,", ",0.9,A,"))
    code, text, _ = cli("review", run.path, "-o", seed, "--take", table)
    assert (code, "1 labels (A 1)" in text) == (0, True)
    assert [item.comparison.id for item in load_labeled(str(seed))[0]] == ["flip"]
    assert cli("review", run.path, "-o", tmp_path / "x.txt")[0] == 2
    assert "rounds that have labelled the pool: 1" in cli("review", run.path, "-o", table, "--round", 3)[2]
