"""What data can do to a terminal: nothing."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from gramr2.cli import console
from gramr2.cli.console import Grid, set_up_logging, show

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
