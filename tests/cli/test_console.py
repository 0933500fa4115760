"""What data can do to a terminal: nothing."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from rich.progress import Progress

from gramr2.cli import console
from gramr2.cli.console import Bars, Grid, Lines, RateColumn, rate_of, set_up_logging, show

HOSTILE = "\x1b]0;title\x07\x1b[2J[bold red]x[/nope]"


def test_a_table_shows_its_texts_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid(title=HOSTILE)
    grid.add_column("name")
    grid.add_row(HOSTILE)
    show(grid)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count("\\u001b]0;title\\u0007\\u001b[2J[bold red]x[/nope]") == 2


def test_a_message_shows_the_values_in_it(caplog: pytest.LogCaptureFixture) -> None:
    set_up_logging(False)
    handler = logging.getLogger("gramr2").handlers[0]
    record = logging.LogRecord("gramr2", logging.INFO, "", 0, "row %s", (HOSTILE,), None)
    assert handler.filter(record)
    assert handler.format(record).endswith("row \\u001b]0;title\\u0007\\u001b[2J[bold red]x[/nope]")


def test_no_command_sends_an_escape_sequence_of_the_data(cli, tmp_path: Path) -> None:
    data, out = tmp_path / "d.jsonl", tmp_path / "o.jsonl"
    row = {"id": "1", "prompt": "q", "responses": ["a", "bb"], "label": "B", "category": HOSTILE}
    data.write_text(json.dumps(row) + "\n")
    told = cli("eval", "-m", "scripted:longer", "-b", str(data))
    assert told[0] == 0
    data.write_text(json.dumps({HOSTILE: 1}) + "\n")
    refused = cli("judge", "-m", "scripted:longer", "-d", str(data), "-o", str(out))
    assert refused[0] == 2
    data.write_text(2 * (json.dumps(row | {"id": HOSTILE}) + "\n"))
    twice = cli("judge", "-m", "scripted:longer", "-d", str(data), "-o", str(out))
    assert twice[0] == 2
    for code, text, error in (told, refused, twice):
        assert "\x1b" not in text + error, code
        assert "title" in text + error, code


def test_commands_have_one_way_to_print_json() -> None:
    folder = Path(console.__file__).parent
    assert [file.name for file in folder.glob("*.py") if "json.dump" in file.read_text(encoding="utf-8")] == []


def test_outside_a_terminal_a_long_stage_tells_its_rate_and_what_is_left_once_a_minute() -> None:
    now = [0.0]
    lines = Lines("judge", clock=lambda: now[0])

    def at(seconds: float, done: int) -> str | None:
        now[0] = seconds
        return lines.after(done, 400)

    assert [at(10, 10), at(59, 59)] == [None, None]
    assert at(100, 100) == "judge: 100 of 400, 1/s, 5 min left"
    assert at(120, 120) is None, "a minute has not passed since"
    assert at(400, 200) == "judge: 200 of 400, 30/min, 7 min left"
    assert at(999, 400) is None, "nothing is left"


def test_a_bar_shows_the_rate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert (rate_of(12.34), rate_of(0.075)) == ("12.3/s", "4.5/min")
    now = iter(range(100))
    progress = Progress(RateColumn(), get_time=lambda: float(next(now)))
    bar = progress.add_task("x", total=10)
    assert not RateColumn().render(progress.tasks[0]).plain, "nothing is done yet"
    for done in (2, 4, 6):
        progress.update(bar, completed=done)
    assert RateColumn().render(progress.tasks[0]).plain.endswith(("/s", "/min"))
    monkeypatch.setattr(console, "EVERY", 0.0)
    with Bars().task("stage") as report:
        report(1, 3)
    assert "stage: 1 of 3, " in capsys.readouterr().err


def test_a_total_that_is_not_known_and_a_part_that_begins_anew() -> None:
    now = [0.0]
    lines = Lines("read", clock=lambda: now[0])
    now[0] = 70.0
    assert lines.after(140, 0) == "read: 140, 2/s"
    now[0] = 200.0
    assert lines.after(1, 100) is None, "it has just begun"
    now[0] = 300.0
    assert lines.after(50, 100) == "read: 50 of 100, 30/min, 2 min left"


def test_stages_that_are_over_at_once_say_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = Bars(brief=True)
    assert list(bars.over("count", "abc")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(console, "PATIENCE", -1.0)
    list(bars.over("count", "abc"))
    assert capsys.readouterr().err == "count\n"


def test_a_large_file_is_read_with_a_rate(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gramr2.data.sources.TELLING", 1)
    monkeypatch.setattr(console, "PATIENCE", -1.0)
    monkeypatch.setattr(console, "EVERY", 0.0)
    out = tmp_path / "o.jsonl"
    code, _, err = cli("judge", "-m", "scripted:longer", "-d", "starter:gold", "-o", out)
    assert code == 0
    assert err.startswith("read starter:gold\nread starter:gold: 1, ")
    assert "count tokens\ncount tokens: 1 of 244, " in err
    assert cli("judge", "-m", "scripted:longer", "-d", "starter:gold", "-o", out, "-q")[2] == ""


def test_outside_a_terminal_a_table_has_its_natural_width(capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid()
    for _ in range(4):
        grid.add_column("name")
    grid.add_row(*("wide " * 10 for _ in range(4)))
    show(grid)
    assert ("wide " * 10).strip() in capsys.readouterr().out
