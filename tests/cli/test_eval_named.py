"""``gramr2 eval`` on benchmarks by name: the official score beside our columns, in a folder like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.evaluation.log import ANSWERS, ITEMS, SUMMARY, read_log
from gramr2.judging import scripted
from gramr2.judgment import FinishReason

PAIRS = [
    {
        "id": f"hhh:{i}",
        "prompt": f"Question {i}?",
        "responses": ["a longer answer", "short"],
        "category": "hhh-honest",
        "label": "A" if i % 4 else "B",
    }
    for i in range(12)
]
SETS = [
    {
        "id": str(i),
        "prompt": f"Question {i}?",
        "chosen": ["the longest answer of all"],
        "rejected": ["a", "bb", "ccc"],
        "num_correct": 1,
        "num_rejected": 3,
        "total_completions": 4,
        "models": ["m"] * 4,
        "subset": "Math",
        "additional_metadata": {},
    }
    for i in range(6)
]


def copy(folder: Path, rows: list[dict[str, object]]) -> Path:
    file = folder / "copy.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_pairs(cli, tmp_path: Path) -> None:
    words = ("eval", "-m", "scripted:longer", "-b", "hhh", "--from", copy(tmp_path, PAIRS), "-o", tmp_path / "e")
    code, text, err = cli(*words)
    assert code == 0, err
    assert "wrong (public)" in text and "honest" in text
    assert "12 of 12 items, local copy copy.jsonl, digest" in text
    log = read_log(tmp_path / "e")
    assert (len(log.items), log.summary.result["accuracy"]) == (12, 0.75)
    assert log.summary.official is not None
    assert log.summary.official["official"]["overall"] == 0.75  # type: ignore[index, call-overload]
    code, again, err = cli(*words)
    assert (code, again, "nothing is judged again" in err) == (0, text, True)
    told = json.loads(cli(*words, "--json")[1])
    assert [*told][:8] == ["benchmark", "version", "n", "accuracy", "low", "high", "order_flip_rate", "coverage"]
    assert (told["official"]["overall"], told["by_category"]["honest"]["n"]) == (0.75, 12)


def test_sets_are_ranked(cli, tmp_path: Path) -> None:
    folder = tmp_path / "e"
    words = ("eval", "-m", "scripted:longer", "-b", "rewardbench2", "--from", copy(tmp_path, SETS), "-o", folder)
    code, text, err = cli(*words)
    assert code == 0, err
    assert "first places: 100.0 % of 6 ranked sets" in text
    rows = [json.loads(line) for line in (folder / "sets.jsonl").read_text().splitlines()]
    assert all(row["ranks"][row["chosen"][0]] == 1 and len(row["games"]) == 6 for row in rows)
    assert sorted(each.name for each in folder.iterdir()) == [SUMMARY, ITEMS, "sets.jsonl"]
    assert "nothing is judged again" in cli(*words)[2]
    assert cli("view", folder)[0] == 0
    assert "Official score <b>100.0 %</b>" in (folder / "view.html").read_text()
    # A part of the benchmark is another evaluation.
    code, _, err = cli(*words, "--limit", "2")
    assert (code, "with other items or options" in err) == (2, True)


def test_the_tokens_of_sets_and_pairs_are_counted(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    working = scripted.SCRIPTS["longer"]

    def answer(request: GenerationRequest, seed: int) -> Completion | str:
        return Completion(str(working(request, seed)), FinishReason.STOP, prompt_tokens=7, completion_tokens=3)

    monkeypatch.setitem(scripted.SCRIPTS, "longer", answer)
    folder = tmp_path / "e"
    words = ("-m", "scripted:longer", "-b", "rewardbench2", "--from", copy(tmp_path, SETS), "-o", folder)
    assert cli("eval", *words)[0] == 0
    log = read_log(folder)
    # Six comparisons of a set, each in both orders.
    assert [(each.prompt_tokens, each.completion_tokens) for each in log.sets] == [(84, 36)] * 6
    assert (log.summary.prompt_tokens, log.summary.completion_tokens) == (504, 216)
    words = ("-m", "scripted:longer", "-b", "hhh", "--from", copy(tmp_path, PAIRS), "-o", tmp_path / "p")
    assert cli("eval", *words)[0] == 0
    assert read_log(tmp_path / "p").summary.prompt_tokens == 12 * 2 * 7


def test_sets_are_compared(cli, tmp_path: Path) -> None:
    source = copy(tmp_path, SETS)
    for judge in ("longer", "always-a"):
        words = ("-m", f"scripted:{judge}", "-b", "rewardbench2", "--from", source, "-o", tmp_path / judge)
        assert cli("eval", *words)[0] == 0
    code, text, err = cli("compare", tmp_path / "longer", tmp_path / "always-a")
    assert code == 0, err
    # Always A is a tie of all four in both orders, and one of them is right.
    assert "scripted:longer is better than scripted:always-a: +75.0 points" in text
    assert "Different first places: 6 of 6" in text
    told = json.loads(cli("compare", tmp_path / "longer", tmp_path / "always-a", "--json")[1])
    assert (told["n"], told["sets"]["n"], told["sets"]["standings"][1]["strict"]) == (0, 6, 0.25)


def test_a_file_comes_first(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy(tmp_path, PAIRS).rename("hhh")
    code, _, err = cli("eval", "-m", "scripted:longer", "-b", "hhh")
    # A file without an ending is refused as any other, not taken for the benchmark.
    assert (code != 0, "hhh" in err) == (True, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-b", "some.jsonl", "--from", "copy.jsonl"), "--from is the copy of a named benchmark"),
        (("-b", "hhh", "--from", "no-such.jsonl"), "no-such.jsonl"),
        (("-b", "hhh", "--from", "no-such.jsonl", "--probe"), "--probe is for a file"),
        (("-b", "hhh", "--from", "no-such.jsonl", "--on-bad-row", "skip"), "has a layout of its own"),
    ],
)
def test_bad_words(cli, words: tuple[str, ...], told: str) -> None:
    code, _, err = cli("eval", "-m", "scripted:longer", *words)
    assert (code != 0, told in err, "Traceback" in err) == (True, True, False)


def test_failed_answers_of_sets_are_asked_for_again(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, working, asked = tmp_path / "e", scripted.SCRIPTS["longer"], []

    def answer(request: GenerationRequest, seed: int) -> Completion | str:
        asked.append(seed)
        failed = Completion("", FinishReason.ERROR, error="the server is gone")
        return failed if len(asked) == 5 else working(request, seed)

    monkeypatch.setitem(scripted.SCRIPTS, "longer", answer)
    words = ("eval", "-m", "scripted:longer", "-b", "rewardbench2", "--from", copy(tmp_path, SETS), "-o", folder)
    assert cli(*words)[0] == 0
    assert (folder / ANSWERS).is_file()
    whole = len(asked)
    assert cli(*words)[0] == 0
    assert len(asked) == whole + 1
    assert not (folder / ANSWERS).exists()
