"""``gramr2 eval`` leaves a folder, goes on in it, and ``gramr2 view`` shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.evaluation.log import ANSWERS, ITEMS, SUMMARY, read_log
from gramr2.judging import scripted
from gramr2.judgment import FinishReason

GOLD = ("eval", "-m", "scripted:longer", "-b", "starter:gold", "--limit", "6")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the votes that the scripted judge was asked for."""
    seeds: list[int] = []
    real = scripted.SCRIPTS["longer"]

    def answer(request: GenerationRequest, seed: int) -> Completion | str:
        seeds.append(seed)
        return real(request, seed)

    monkeypatch.setitem(scripted.SCRIPTS, "longer", answer)
    return seeds


def test_a_folder_and_nothing_is_judged_twice(cli, tmp_path: Path, asked: list[int]) -> None:
    folder = tmp_path / "e"
    code, text, _ = cli(*GOLD, "--out", folder)
    assert code == 0
    assert f"gramr2 view {folder}" in text
    assert sorted(each.name for each in folder.iterdir()) == [SUMMARY, ITEMS]
    assert len(read_log(folder).items) == 6
    before = len(asked)
    assert before == 12
    code, again, err = cli(*GOLD, "--out", folder)
    assert (code, again, len(asked)) == (0, text, before)
    assert "nothing is judged again" in err
    code, _, err = cli(*GOLD, "--out", folder, "--seed", "3")
    assert (code, "with other items or options" in err) == (2, True)


def test_json_says_where_it_is(cli, tmp_path: Path, asked: list[int]) -> None:
    code, text, _ = cli(*GOLD, "--json")
    first = json.loads(text)
    assert code == 0
    assert list(first)[:7] == ["benchmark", "version", "n", "accuracy", "low", "high", "order_flip_rate"]
    folder = Path(first["out"])
    assert folder.parent == tmp_path / "evaluations"
    assert folder.name.startswith("starter-gold-scripted-longer-")
    assert first["measures"]["calibration"]["n"] == 6
    assert json.loads(cli(*GOLD, "--json")[1]) == first
    assert len(asked) == 12


def test_failed_answers_are_asked_for_again_and_others_are_not(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[int]
) -> None:
    folder, working = tmp_path / "e", scripted.SCRIPTS["longer"]

    def failing(request: GenerationRequest, seed: int) -> Completion | str:
        if len(asked) == 4:
            asked.append(seed)
            return Completion("", FinishReason.ERROR, error="the server is gone")
        return working(request, seed)

    monkeypatch.setitem(scripted.SCRIPTS, "longer", failing)
    code, text, _ = cli(*GOLD, "--out", folder)
    assert code == 0
    assert "1 error" in text
    assert (folder / ANSWERS).is_file()
    asked.clear()
    code, text, _ = cli(*GOLD, "--out", folder)
    assert (code, len(asked)) == (0, 1)
    assert "error" not in text.replace("calibration error", "")
    assert not (folder / ANSWERS).exists()


def test_view_writes_a_page(cli, tmp_path: Path) -> None:
    folder = tmp_path / "e"
    assert cli(*GOLD, "-o", folder)[0] == 0
    code, text, _ = cli("view", folder)
    assert (code, text.strip()) == (0, str(folder / "view.html"))
    page = (folder / "view.html").read_text()
    assert "Accuracy <b>" in page and "http" not in page.partition("<script type")[0].replace("-//W3C", "")
    assert cli(*GOLD, "-o", folder)[0] == 0
    code, _, err = cli("view", tmp_path)
    assert (code != 0, "has no eval.json" in err) == (True, True)


def test_a_stop_between_the_files_blocks_nothing(cli, tmp_path: Path, asked: list[int]) -> None:
    folder = tmp_path / "e"
    assert cli(*GOLD, "-o", folder)[0] == 0
    (folder / SUMMARY).unlink()
    code, _, err = cli(*GOLD, "-o", folder)
    assert (code, err.count("other files")) == (0, 0)
    assert (folder / SUMMARY).is_file()


def test_what_cannot_be_saved_keeps_its_answers(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[int]
) -> None:
    folder = tmp_path / "e"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gramr2.evaluation.log.write_log", full)
        code, text, err = cli(*GOLD, "-o", folder)
    assert (code, "cannot be saved: No space left" in err, "accuracy" in text) == (0, True, True)
    assert len(asked) == 12
    assert cli(*GOLD, "-o", folder)[0] == 0
    assert len(asked) == 12


def test_another_prompt_is_another_evaluation(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "e"
    assert cli(*GOLD, "-o", folder)[0] == 0
    monkeypatch.setattr("gramr2.judging.template._TASK", "Which is better?")
    code, _, err = cli(*GOLD, "-o", folder)
    assert (code, "with other items or options" in err) == (2, True)


def test_a_page_needs_a_file_name(cli, tmp_path: Path) -> None:
    folder = tmp_path / "e"
    assert cli(*GOLD, "-o", folder)[0] == 0
    for out in (".", tmp_path):
        code, _, err = cli("view", folder, "--out", out)
        assert (code, "is a folder: name the file" in err) == (2, True)
