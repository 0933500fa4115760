"""A command that was stopped goes on with what it was answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.errors import DataError
from gramr2.journal import Journal
from gramr2.judging import scripted

ROWS = [{"id": str(i), "prompt": f"p{i}", "responses": ["a" * i, "bb", "cccc"]} for i in range(1, 6)]
COMMANDS: dict[str, tuple[str, ...]] = {
    "judge": ("-d", "starter:gold", "--limit", "5"),
    "rank": ("-d", "sets.jsonl"),
    "score": ("-d", "single.jsonl"),
    "stress": ("-d", "starter:gold", "--limit", "5", "--only", "padding,empty"),
    "eval": ("-b", "starter:gold", "--limit", "5", "--json"),
}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAMR2_CACHE", str(tmp_path / "cache"))
    (tmp_path / "sets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    single = [
        {"id": row["id"], "prompt": row["prompt"], "response": row["responses"][0], "reference": "bb"} for row in ROWS
    ]  # type: ignore[index]
    (tmp_path / "single.jsonl").write_text("".join(json.dumps(row) + "\n" for row in single))
    return tmp_path


@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_same_command_goes_on_from_there(
    cli: Callable[..., tuple[int, str, str]], command: str, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = scripted.SCRIPTS["longer"]

    def script(stop: int) -> Callable[[GenerationRequest, int], Completion | str]:
        def answer(request: GenerationRequest, seed: int) -> Completion | str:
            if len(asked) == stop:
                raise KeyboardInterrupt
            asked.append(seed)
            return real(request, seed)

        return answer

    def run(stop: int, name: str) -> tuple[int, str, str, int]:
        asked.clear()
        monkeypatch.setitem(scripted.SCRIPTS, "longer", script(stop))
        return *cli(command, "-m", "scripted:longer", *COMMANDS[command], "-o", name), len(asked)

    code, text, _, whole = run(-1, "whole")
    assert code == 0
    code, _, err, before = run(4, "stopped")
    assert (code, before) == (130, 4)
    assert "the same command resumes from here" in err
    assert not (there / "stopped" / "eval.json" if command == "eval" else there / "stopped").exists()
    code, again, err, after = run(-1, "stopped")
    assert code == 0
    assert after == whole - 4
    assert "4 answers are reused from an earlier call" in (
        err if command != "eval" else "4 answers are reused from an earlier call"
    )
    if command == "eval":
        assert again == text.replace("whole", "stopped")
    else:
        assert (there / "stopped").read_text() == (there / "whole").read_text()
    assert not [*there.rglob("*.journal")]


def test_two_at_the_same_work_do_not_mix(there: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
    with Journal(there / "o.journal", alone=True):
        code, _, err = cli("judge", "-m", "scripted:longer", *COMMANDS["judge"], "-o", "o")
    assert (code, "another process is doing the same work" in err) == (1, True)
    assert cli("judge", "-m", "scripted:longer", *COMMANDS["judge"], "-o", "o")[0] == 0


def test_a_place_that_cannot_be_written_keeps_nothing_and_judges(
    there: Path, cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (there / "file").touch()
    monkeypatch.setattr("gramr2.evaluation.evaluating.FOLDER", there / "file")
    code, text, _ = cli("eval", "-m", "scripted:longer", *COMMANDS["eval"])
    assert code == 0
    assert json.loads(text)["n"] == 5


def test_a_policys_flags_are_not_refused_for_a_baseline(there: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
    words = ("score", "-m", "longer", "-d", "single.jsonl", "-o", "o")
    assert "--max-new-tokens does not apply" in cli(*words, "--max-new-tokens", "9")[2]
    assert cli(*words, "--max-new-tokens", "9", "--policy", "tiny-random")[0] == 0
    assert "--votes does not apply" in cli(*words, "--votes", "2", "--policy", "tiny-random")[2]


@pytest.mark.parametrize("command", ["judge", "rank", "score"])
def test_what_is_read_is_never_written_over(
    cli: Callable[..., tuple[int, str, str]], command: str, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(scripted.SCRIPTS, "longer", lambda request, seed: pytest.fail("it was asked"))
    data = there / ("single.jsonl" if command == "score" else "sets.jsonl")
    before = data.read_text()
    (there / "soft.jsonl").symlink_to(data)
    (there / "hard.jsonl").hardlink_to(data)
    words = (command, "-m", "scripted:longer", "-q")
    for source, out in ((data, data.name), (data, "soft.jsonl"), ("soft.jsonl", data), (data, "hard.jsonl")):
        code, _, err = cli(*words, "-d", source, "-o", out)
        assert (code, err) == (
            2,
            f"gramr2: --out {out} is the file of --data, which it would overwrite: give another name\n",
        )
    assert data.read_text() == before
    assert not list(there.glob("*.journal"))


@pytest.mark.parametrize(
    "words",
    [
        ("stress", "-m", "scripted:longer", "-d", "sets.jsonl"),
        ("contamination", "single.jsonl", "sets.jsonl", "--against", "single.jsonl"),
        ("contamination", "single.jsonl", "--against", "sets.jsonl"),
        ("review", ".", "--take", "sets.jsonl"),
    ],
)
def test_nor_what_other_commands_read(
    cli: Callable[..., tuple[int, str, str]], words: tuple[str, ...], there: Path
) -> None:
    before = (there / "sets.jsonl").read_text()
    code, _, err = cli(*words, "--out", there / "sets.jsonl")
    assert (code, "which it would overwrite: give another name" in err) == (2, True), err
    assert (there / "sets.jsonl").read_text() == before


def test_nor_are_two_results_in_one_file(cli: Callable[..., tuple[int, str, str]], there: Path) -> None:
    ranking = ("rank", "-m", "scripted:longer", "-d", "sets.jsonl", "-o", "ranked.jsonl", "-q", "--pairs")
    for pairs, told in (
        (there / "ranked.jsonl", "is the file of --out"),
        ("sets.jsonl", "is the file of --data"),
        (there, "is a folder: name the file to write"),
    ):
        code, _, err = cli(*ranking, pairs)
        assert (code, f"--pairs {pairs} {told}" in err) == (2, True), err
    scoring = ("score", "-m", "scripted:longer", "-d", "single.jsonl", "--references", "sets.jsonl", "-o", "sets.jsonl")
    assert "--out sets.jsonl is the file of --references" in cli(*scoring)[2]
    assert sorted(each.name for each in there.iterdir() if each.is_file()) == ["sets.jsonl", "single.jsonl"]


def test_answers_are_kept_until_the_pairs_are_written(
    cli: Callable[..., tuple[int, str, str]], there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gramr2.rewards import pairs

    def broken(*_: object) -> None:
        raise DataError("no space left")

    monkeypatch.setattr(pairs, "preference_row", broken)
    code, _, _ = cli("rank", "-m", "scripted:longer", "-d", "sets.jsonl", "-o", "r.jsonl", "--pairs", "p.jsonl")
    assert code != 0
    assert (there / "r.jsonl.journal").stat().st_size
