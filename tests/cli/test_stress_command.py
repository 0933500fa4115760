"""``gramr2 stress`` as a user meets it: figures, the file, the gate, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gramr2.judging import scripted

GOLD = ("-d", "starter:gold", "--limit", "12", "--only", "padding,header,swapped,identical")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr("gramr2.evaluation.stress.FOLDER", tmp_path / "stressed")
    return tmp_path / "stressed"


def test_figures_on_the_terminal_as_json_and_in_a_file(cli, tmp_path: Path) -> None:
    code, text, _ = cli("stress", "-m", "scripted:longer", *GOLD, "-o", tmp_path / "s.json")
    assert code == 0
    assert "decided 12 of 12 as they are" in text
    row = next(line.split() for line in text.splitlines() if "padding" in line)
    assert row == ["padding", "12", "100.0", "%", "(75.8–100.0)", "100.0", "%", "+0.0", "(-24.2…+24.2)", "+100.0"]
    code, text, _ = cli("stress", "-m", "scripted:longer", *GOLD, "-o", tmp_path / "s.json", "--json")
    told = json.loads(text)
    assert told.pop("out") == str(tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text()) == told
    assert list(told["attacks"]) == ["header", "padding", "identical", "swapped"]
    assert told["attacks"]["padding"]["difference"] == 0.0
    assert told["attacks"]["swapped"]["neutral"] is None
    assert (told["judged"], told["decided"], told["beyond"]) == (12, 12, None)
    assert [each.name for each in tmp_path.iterdir()] == ["s.json"]


def test_a_default_place_is_told_apart_by_what_is_asked(cli, folder: Path) -> None:
    for words in ((), ("--seed", "1"), ("--votes", "2")):
        assert cli("stress", "-m", "scripted:longer", *GOLD, *words)[0] == 0
    assert len(list(folder.iterdir())) == 3
    assert all(each.name.startswith("starter-gold-scripted-longer-") for each in folder.iterdir())


def test_the_gate(cli) -> None:
    code, _, err = cli("stress", "-m", "scripted:longer", *GOLD, "--max-rate", "0.5", "-q")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert (
        "scripted:longer is moved by padding on 100.0 % of 12 verdicts (75.8–100.0), more than --max-rate 50.0 %" in err
    )
    assert "swapped" not in err
    assert cli("stress", "-m", "scripted:always-a", *GOLD, "--max-rate", "0")[0] == 0
    code, text, err = cli("stress", "-m", "scripted:always-a", *GOLD, "--max-rate", "0", "--orders", "first", "--json")
    assert (code, json.loads(text)["beyond"]) == (1, ["identical", "swapped"])
    assert "moved by identical on 100.0 %" in err and "and also by swapped" in err


def test_unlabelled_data_and_a_baseline(cli) -> None:
    code, text, _ = cli(
        "stress", "-m", "longer", "-d", "starter:unlabeled", "--limit", "9", "--only", "empty", "--json"
    )
    assert code == 0
    assert json.loads(text)["attacks"]["empty"]["attacked"]["moved"] == 0


def test_the_gate_does_not_pass_what_was_not_measured(cli, write, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write({"prompt": "p", "responses": ["same", "same"]})
    words = ("stress", "-d", data, "--only", "swapped", "--max-rate", "1")
    code, text, err = cli(*words, "-m", "scripted:longer")
    assert code == 1
    assert "cannot be edited so: swapped 1" in text
    assert "nothing is known of swapped" in err
    monkeypatch.setitem(scripted.SCRIPTS, "longer", lambda request, seed: "no verdict")
    code, _, err = cli(*words, "-m", "scripted:longer")
    assert (code, "none of 1 comparisons was decided: 2 votes unparseable" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--only", "headers"), "there is no attack 'headers' (did you mean header?): take some of verdict_line, "),
        (("--only", ","), "there is no attack ''"),
        (("--max-rate", "nan"), "--max-rate"),
        (("--max-rate", "1.5"), "--max-rate"),
        (("-o", "."), "--out . is a folder"),
    ],
)
def test_mistakes(cli, words: tuple[str, ...], sentence: str) -> None:
    code, _, err = cli("stress", "-m", "scripted:longer", "-d", "starter:gold", "--limit", "2", *words)
    assert code == 2
    assert sentence in err


@pytest.mark.slow
def test_a_real_model_is_attacked_and_over_long_edits_are_counted(cli) -> None:
    words = ("stress", "-m", "lab-tiny", "--verdict", "direct", "-d", "lab:test", "--limit", "3", "--json")
    code, text, _ = cli(*words, "--only", "instruction,very_long,identical", "--max-rate", "1")
    told = json.loads(text)["attacks"]
    assert (told["very_long"]["over_long"], told["very_long"]["asked"], told["very_long"]["attacked"]) == (3, 0, None)
    assert (told["instruction"]["n"], told["instruction"]["coverage"]) == (3, 1.0)
    assert told["identical"]["attacked"]["moved"] == 0, "the same prompt in both orders"
    assert told["instruction"]["change"] != 0.0
    assert code == 0
