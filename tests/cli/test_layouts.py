"""``gramr2 view --parquet --rewardbench``: evaluations in the layouts of other tools."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from gramr2.evaluation.log import ITEMS, SUMMARY, Item, read_log

TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}]
PAIRS = [
    {"id": "1", "subset": "math-prm", "prompt": "Q1", "chosen": "a longer answer", "rejected": "short"},
    {"id": "2", "subset": "math-prm", "prompt": "Q2", "chosen": "short", "rejected": "a longer answer"},
    {"id": "3", "subset": "hep-go", "prompt": "Q3", "chosen": "equal", "rejected": "EQUAL"},
    {"id": "4", "subset": "hep-go", "prompt": "Q4", "chosen": "longest of both", "rejected": "short"},
]


def lines(file: Path, rows: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def rewardbench(cli, tmp_path: Path) -> Path:
    file = lines(tmp_path / "rb.jsonl", PAIRS)
    code, _, err = cli("eval", "-m", "scripted:longer", "-b", "rewardbench", "--from", file, "-o", tmp_path / "e")
    assert code == 0, err
    return tmp_path / "e"


def test_rewardbenchs_files_have_the_official_scores(cli, rewardbench: Path, tmp_path: Path) -> None:
    code, text, err = cli("view", rewardbench, "--rewardbench", tmp_path / "results")
    assert code == 0, err
    grouped, single = (tmp_path / "results" / part / "scripted-longer.json" for part in ("eval-set", "eval-set-scores"))
    assert str(grouped) in text and str(single) in text
    scores, items = json.loads(grouped.read_text()), json.loads(single.read_text())
    official = read_log(rewardbench).summary.official["official"]
    assert {name: scores[name] for name in ("math-prm", "hep-go")} == {
        name: official[name] for name in ("math-prm", "hep-go")
    }
    assert scores["math-prm"] == 0.5
    assert (scores["model"], scores["model_type"]) == ("scripted:longer", "Generative RM")
    assert items["results"] == [1, 0, 0, 1]  # a tie is a verdict, and wrong
    assert items["subset"] == ["math-prm", "math-prm", "hep-go", "hep-go"]
    asked = [PAIRS[int(name.rpartition(":")[2]) - 1] for name in items["id"]]
    assert [each[-1]["content"] for each in items["text_chosen"]] == [row["chosen"] for row in asked]
    assert [each[-1]["content"] for each in items["text_rejected"]] == [row["rejected"] for row in asked]
    assert [a > b for a, b in zip(items["scores_chosen"], items["scores_rejected"], strict=True)] == [1, 0, 0, 1]


def test_an_item_without_an_answer_counts_half_in_rewardbenchs_files(cli, rewardbench: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (rewardbench / ITEMS).read_text().splitlines()]
    for row in rows:
        del row["credit"]  # as an earlier version wrote it
        row |= {"right": None, "label": None}
    lines(rewardbench / ITEMS, rows)
    assert cli("view", rewardbench, "--rewardbench", tmp_path / "results")[0] == 0
    items = json.loads((tmp_path / "results" / "eval-set-scores" / "scripted-longer.json").read_text())
    assert items["results"] == [0.5] * 4


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({}, "Custom Classifier"),
        ({"rationale": "A is longer."}, "Generative RM"),
        ({"readings": {"direct": {"A": 1.0, "B": 0.0, "tie": 0.0}}}, "Generative RM"),
    ],
)
def test_a_judge_behind_an_address_is_generative_if_it_reads(
    cli, rewardbench: Path, tmp_path: Path, told: dict[str, object], kind: str
) -> None:
    summary = rewardbench / SUMMARY
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"prompt": None}))
    rows = [json.loads(line) for line in (rewardbench / ITEMS).read_text().splitlines()]
    lines(rewardbench / ITEMS, [row | {"rationale": None, "readings": {}} | told for row in rows])
    assert cli("view", rewardbench, "--rewardbench", tmp_path / "results")[0] == 0
    found = json.loads((tmp_path / "results" / "eval-set" / "scripted-longer.json").read_text())
    assert found["model_type"] == kind


def test_parquet_loads_with_datasets_and_has_the_same_columns_always(cli, rewardbench: Path, tmp_path: Path) -> None:
    file = lines(
        tmp_path / "turns.jsonl",
        [{"id": "x", "prompt": TURNS, "responses": ["a", "bb"], "label": "B", "category": "one"}],
    )
    assert cli("eval", "-m", "longer", "-b", file, "-o", tmp_path / "other")[0] == 0
    for folder, name in ((rewardbench, "one"), (tmp_path / "other", "two")):
        code, text, err = cli("view", folder, "--parquet", tmp_path / "out" / f"{name}.parquet")
        assert code == 0 and f"{name}.parquet" in text, err
    one, two = (
        datasets.Dataset.from_parquet(str(tmp_path / "out" / f"{name}.parquet"), cache_dir=str(tmp_path / "cache"))
        for name in ("one", "two")
    )
    both = datasets.concatenate_datasets([one, two])
    assert both.features == one.features
    assert both[4]["prompt"] == TURNS
    assert both[0]["prompt"][0]["role"] == "user"
    log = read_log(rewardbench)
    assert one["right"][:] == [item.right for item in log.items]
    assert one["probabilities"][0] == log.items[0].probabilities
    assert [vote["order"] for vote in one["votes"][0]] == ["ab", "ba"]
    assert [vote["rationale"] for vote in one["votes"][0]] == [vote["rationale"] for vote in log.items[0].votes]
    assert two["votes"][0] == []
    assert set(Item.model_fields) == set(one.column_names)


def test_no_file_where_a_folder_is(cli, rewardbench: Path, tmp_path: Path) -> None:
    code, _, err = cli("view", rewardbench, "--parquet", tmp_path)
    assert code == 2
    assert "name the file to write" in err
