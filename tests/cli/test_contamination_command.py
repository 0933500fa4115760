"""``gramr2 contamination``, what ``check`` and a report say of it, and ``eval --without``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gramr2.cli.contamination import _named
from gramr2.config import parse_config
from gramr2.files import read_jsonl
from gramr2.reporting.report import render
from gramr2.reporting.run import read_run
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run import doubts
from gramr2.selftraining.run.doubts import told_of_gold
from gramr2.testing import ScriptedEngine

LAKE = "The lake of Garda, in the north of Italy, is the largest lake of the country and draws many people each summer."
RIVER = "The Po rises in the Alps, flows east across the whole of the north and ends in the sea south of Venice."
CLEAN = "A violin has four strings, which are tuned in fifths, and is played with a bow of horse hair and wood."


def row(name: str, prompt: str, a: str, b: str) -> dict[str, Any]:
    return {"id": name, "prompt": prompt, "responses": [a, b], "label": "A"}


GOLD = [
    row("g1", "Which lake of Italy is the largest?", LAKE, "I do not know."),
    row("g2", "Describe how a violin is made to sound.", CLEAN, "With a hammer, I think."),
    row("g3", "Where does the river Po begin and end?", "In the Alps, and in the sea.", "In Spain, and on the moon."),
    row("g4", "Name the capital of Portugal, please.", "Lisbon.", "Porto."),
]
TRAIN = [
    row("t1", "Write a sentence about any lake.", "Lakes are wet.", f"{LAKE} {RIVER}"),
    row("t2", "Where does the river Po begin and end?", RIVER, "Nobody knows where."),
    row("t3", "Say something else, whatever it may be.", "Something.", "Else."),
]


PAIRS = [
    {"pair_id": "j1", "source": "mmlu-pro-law", "question": "Which lake of Italy is the largest?", "response_model": "m",
     "response_A": LAKE, "response_B": "I do not know.", "label": "A>B"},
    {"pair_id": "j2", "source": "mmlu-pro-law", "question": "Name the capital of Portugal, please.", "response_model": "m",
     "response_A": "Lisbon.", "response_B": "Porto.", "label": "B>A"},
]  # fmt: skip
SETS = [
    {
        "id": "s1",
        "prompt": "How does a violin sound?",
        "chosen": [CLEAN],
        "rejected": ["With a hammer.", LAKE],
        "subset": "Math",
    },
]
"""a judgebench and a rewardbench2 as they are published"""


@pytest.fixture
def files(write) -> tuple[str, str]:
    return write(*TRAIN, name="train.jsonl"), write(*GOLD, name="gold.jsonl")


def test_the_table_and_the_file(cli, files: tuple[str, str], tmp_path: Path) -> None:
    train, gold = files
    out = tmp_path / "found.jsonl"
    code, text, error = cli("contamination", train, "--against", gold, "--out", out)
    assert code == 0, error
    assert "Found in 3 training comparisons" in text
    line = next(line for line in text.splitlines() if line.startswith("│ gold.jsonl"))
    assert [int(each) for each in line.split("│")[2:-1]] == [4, 2, 2, 1, 2, 1, 1, 2]
    assert "train.jsonl:1 t1" in text
    assert LAKE[:40] in text
    first, second = read_jsonl(out)
    assert (first["id"], first["matched"], first["where"], first["benchmark"]) == (
        "g1",
        ["response_a"],
        f"{gold}:1",
        gold,
    )
    assert first["fields"]["response_a"]["train"] == {"where": f"{train}:1", "id": "t1", "field": "response_b"}
    assert (second["id"], second["matched"], second["fields"]["prompt"]["similarity"]) == ("g3", ["prompt"], 1.0)


@pytest.mark.parametrize("flags", [["--against", "B", "C"], ["--against=B", "C"], ["--against", "B", "--against", "C"]])
def test_a_shell_may_write_out_the_benchmarks(cli, files: tuple[str, str], write, flags: list[str]) -> None:
    named = {"B": files[1], "C": write(GOLD[1], name="clean.jsonl")}
    told = json.loads(
        cli(
            "contamination",
            files[0],
            *[flag.replace("B", named["B"]).replace("C", named["C"]) for flag in flags],
            "--json",
        )[1]
    )
    assert (list(told["benchmarks"]), told["train"]["n"]) == ([named["B"], named["C"]], 3)
    told = json.loads(cli("contamination", "--against", files[1], "--json", files[0])[1])
    assert (list(told["benchmarks"]), told["train"]["sources"]) == ([files[1]], [files[0]])
    code, _, error = cli("contamination", "--against", files[1], files[0])
    assert (code, "Missing argument 'TRAIN" in error) == (2, True), error


def test_as_json(cli, files: tuple[str, str], write) -> None:
    clean = write(GOLD[1], name="clean.jsonl")
    code, text, _ = cli(
        "contamination", files[0], files[0], "--against", files[1], "--against", clean, "--json", "--field", "response"
    )
    told = json.loads(text)
    assert (code, text.count("\n")) == (0, 1)
    assert told["benchmarks"][files[1]] == {
        "n": 4, "overlapping": 2, "grams": 2, "near": 1, "short": 2, "found": 1, "by_prompt": 0, "by_response": 1, "rate": 0.25
    }  # fmt: skip
    assert told["benchmarks"][clean]["found"] == 0
    assert told["train"] == {"sources": [files[0]] * 2, "n": 6}
    assert told["limits"] == {"threshold": 0.5, "similarity": 0.8, "common": 10, "field": "response"}
    assert [each["id"] for each in told["worst"]] == ["g1"]


def test_a_rate_may_fail_a_build(cli, files: tuple[str, str]) -> None:
    train, gold = files
    assert cli("contamination", train, "--against", gold, "--max-rate", "0.5")[0] == 0
    code, text, error = cli("contamination", train, "--against", gold, "--max-rate", "0.49", "--json", "-q")
    assert code == 1
    assert json.loads(text)["benchmarks"][gold]["found"] == 2, "the result is told before"
    assert error == (
        f"gramr2: {gold}: 2 of 4 items (50.0 %) are in the training data, and --max-rate allows 49.0 %: take them out of the "
        "training data, or out of the evaluation with gramr2 eval --without\n"
    )


def test_bad_rows_are_refused_or_counted(cli, files: tuple[str, str], write) -> None:
    _, gold = files
    bad = write(*TRAIN, {"prompt": 3}, name="bad.jsonl")
    code, _, error = cli("contamination", bad, "--against", gold, "-q")
    assert (code, error.count("\n"), f"{bad}:4: " in error) == (2, 1, True)
    code, text, _ = cli("contamination", bad, "--against", gold, "--on-bad-row", "skip")
    assert (code, "1 bad rows skipped; the first: " in text) == (0, True)
    told = json.loads(cli("contamination", bad, "--against", gold, "--on-bad-row", "skip", "--json")[1])
    assert len(told["skipped"]) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["gone.jsonl", "--against", "starter:gold"], "gone.jsonl: no such file"),
        (["starter:labeled", "--against", "gone.jsonl"], "gone.jsonl: no such file"),
        (["starter:labeled", "--against", "starter:gold", "--against", "starter:gold"], "--against starter:gold is given twice"),
        (["starter:labeled"], "--against"),
        (["starter:labeled", "--against", "starter:gold", "--threshold", "2"], "--threshold"),
        (["starter:labeled", "--against", "starter:gold", "--columns", "q"], "write it as NAME=VALUE"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_a_sentence(cli, words: list[str], sentence: str) -> None:
    code, _, error = cli("contamination", *words, "-q")
    assert (code, sentence in error, "Traceback" in error) == (2, True, False), error


def test_columns_of_other_names(cli, write) -> None:
    given = write({"q": GOLD[0]["prompt"], "one": LAKE, "two": "No."}, name="t.jsonl")
    flags = ["--columns", "prompt=q", "--columns", "responses=one,two"]
    told = json.loads(cli("contamination", given, "--against", given, "--json", *flags)[1])
    assert told["benchmarks"][given]["found"] == 1


def test_eval_tells_both_figures(cli, files: tuple[str, str], tmp_path: Path) -> None:
    train, gold = files
    out = tmp_path / "found.jsonl"
    cli("contamination", train, "--against", gold, "--out", out)
    code, text, _ = cli("eval", "-m", "scripted:longer", "-b", gold, "--without", out)
    assert code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in text.splitlines() if line.startswith("│")]
    assert ["all", "4", "100.0 %"] in rows
    assert ["all but 2 (--without)", "2", "100.0 %"] in rows
    told = json.loads(cli("eval", "-m", "scripted:longer", "-b", gold, "--without", out, "--json")[1])
    assert (told["n"], told["without"]["n"], told["without"]["left_out"]) == (4, 2, 2)
    assert {"accuracy", "low", "high", "coverage", "order_flip_rate"} <= set(told["without"])
    assert "without" not in json.loads(cli("eval", "-m", "scripted:longer", "-b", gold, "--json")[1])
    code, _, error = cli("eval", "-m", "scripted:longer", "-b", "llmbar", "--without", out)
    assert (code, "--without is for a file of comparisons" in error) == (2, True)
    code, _, error = cli("eval", "-m", "scripted:longer", "-b", gold, "--without", tmp_path / "gone.jsonl")
    assert (code, "gone.jsonl: cannot be read" in error) == (2, True)


def settings(files: tuple[str, str]) -> dict[str, Any]:
    data = {"seed": files[0], "pool": {"path": "starter:unlabeled", "limit": 5}, "gold": files[1]}
    return {"model": "tiny-random", "data": data, "rounds": 0, "judge": {"mode": "label"}, "baselines": []}


def test_check_warns(cli, files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(settings(files)))
    code, text, _ = cli("check", file)
    assert code == 0
    (line,) = (line for line in text.splitlines() if "share text" in line)
    assert line == (
        "data.gold: 2 of 4 comparisons share text with what is learnt from (13-grams or near duplicates), 1 by their prompt and 1 "
        "by a response; the first: 'g1' in data.seed, 't1'. gramr2 contamination names them."
    )
    assert json.loads(cli("check", file, "--json")[1])["contamination"]["found"] == 2
    monkeypatch.setattr(doubts, "MOST_OF_POOL", 3)
    assert "gramr2 contamination names them. 3 of 5 pool comparisons were looked at." in cli("check", file)[1]
    told = json.loads(cli("check", file, "--json")[1])["contamination"]
    assert (told["found"], told["of_pool"]) == (2, 3)
    file.write_text(yaml.safe_dump(settings(files) | {"data": {"seed": files[0], "gold": "starter:gold"}}))
    assert "share text" not in cli("check", file)[1]


def test_a_run_records_it_and_its_report_says_it(cli, files: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    config = parse_config(settings(files))
    SelfTraining(config, folder, engine=ScriptedEngine()).run()
    facts = json.loads((folder / "data.json").read_text())
    assert (facts["contamination"]["found"], facts["contamination"]["n"]) == (2, 4)
    page = " ".join(render(read_run(folder)).split())
    assert (
        "Gold in the training data: 2 of 4 comparisons (1 by their prompt, 1 by a response), and 2 share a 13-gram with it."
        in page
    )
    told = json.loads(cli("contamination", folder, "--against", files[1], "--json")[1])
    assert told["benchmarks"][files[1]] == facts["contamination"]
    assert told["worst"][0]["fields"]["response_a"]["train"]["where"] == f"{folder} data.seed"
    (folder / "data.json").write_text(
        json.dumps({key: value for key, value in facts.items() if key != "contamination"})
    )
    assert "Gold in the training data" not in render(read_run(folder)), "an older run has no such number"
    SelfTraining(config, folder, engine=ScriptedEngine()).run()
    assert json.loads((folder / "data.json").read_text()) == facts


def test_a_resumed_run_does_not_count_again(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_text('{"contamination": {"n": 7}}')
    assert told_of_gold(None, file) == {"n": 7}  # type: ignore[arg-type]


def test_an_adaptation_is_not_a_run(cli, tmp_path: Path) -> None:
    (tmp_path / "adaptation.json").write_text("{}")
    (tmp_path / "plan.json").write_text("{}")
    code, _, error = cli("contamination", tmp_path, "--against", "starter:gold", "-q")
    assert (code, "is an adaptation and not a run: give the data" in error) == (2, True)


def test_no_torch() -> None:
    code = (
        "import sys; from gramr2.cli.main import app; "
        "app(['contamination', 'starter:labeled', '--against', 'starter:gold', '--json'], standalone_mode=False); "
        "assert not {'torch', 'transformers', 'trl'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_named_benchmark_is_looked_for_in_its_published_layout(cli, files: tuple[str, str], write) -> None:
    train, gold = files
    copy, sets = write(*PAIRS, name="judgebench.jsonl"), write(*SETS, name="rb2.jsonl")
    against = (f"judgebench={copy}", f"rewardbench2={sets}", gold)
    code, text, error = cli("contamination", train, "--against", *against, "--json")
    assert code == 0, error
    told = json.loads(text)
    assert list(told["benchmarks"]) == ["judgebench", "rewardbench2", gold]
    assert (told["benchmarks"]["judgebench"]["n"], told["benchmarks"]["judgebench"]["found"]) == (2, 1)
    # Three responses are two pairs, and the third is the one that was trained on.
    assert (told["benchmarks"]["rewardbench2"]["n"], told["benchmarks"]["rewardbench2"]["found"]) == (2, 1)
    assert told["versions"]["judgebench"]["version"] == "local copy judgebench.jsonl"
    assert {each["benchmark"]: each["id"] for each in told["worst"]}["rewardbench2"] == "Math:s1#2"
    code, text, error = cli("contamination", train, "--against", f"judgebench={copy}")
    assert (code, "judgebench: 2 items, local copy judgebench.jsonl, digest" in error) == (0, True)
    assert any(line.startswith("│ judgebench ") for line in text.splitlines())


def test_a_copy_of_what_is_no_benchmark_is_refused(cli, files: tuple[str, str], tmp_path: Path, monkeypatch) -> None:
    train, gold = files
    code, _, error = cli("contamination", train, "--against", f"judgebunch={gold}")
    assert (code, "'judgebunch' is no benchmark: take one of" in error) == (2, True)
    code, _, error = cli("contamination", train, "--against", f"judgebench={tmp_path / 'gone.jsonl'}")
    assert (code, "gone.jsonl" in error) == (2, True)
    # A file or folder of a benchmark's name comes first.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judgebench").mkdir()
    assert _named("judgebench") == ("judgebench", None)
