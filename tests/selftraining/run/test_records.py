"""Records of a run: what is written is read back, of older versions too, and what cannot be read is refused with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gramr2.config import parse_config
from gramr2.errors import RunError
from gramr2.reporting.run import read_run
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.records import VERSION, LabellingRecord, ReadingsRecord, Record, RoundRecord
from gramr2.testing import ScriptedEngine

CONFIG: dict[str, Any] = {
    "model": "none",
    "data": {"seed": "starter:labeled", "pool": {"path": "starter:unlabeled", "limit": 20}, "gold": "starter:gold"},
    "baselines": ["longer"],
    "guards": {"faithfulness": 5},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records") / "r"
    SelfTraining(parse_config(CONFIG), folder, engine=ScriptedEngine()).run()
    return folder


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("rounds/0/metrics.json", RoundRecord),
        ("rounds/1/metrics.json", RoundRecord),
        ("rounds/1/labelling.json", LabellingRecord),
        ("rounds/0/readings.json", ReadingsRecord),
    ],
)
def test_a_record_is_read_as_it_was_written(run: Path, file: str, kind: type[Record]) -> None:
    written = json.loads((run / file).read_text())
    assert kind.read(run / file).row() == written
    assert written.get("version", VERSION) == VERSION


def test_the_lines_of_a_run_are_its_records(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [RoundRecord.of(json.dumps(line), "line").row() for line in lines] == lines
    assert set(lines[-1]) - set(json.loads((run / "rounds/1/metrics.json").read_text())) == {
        "against_baselines",
        "warnings",
    }


def test_a_record_of_an_older_version_has_defaults_for_what_it_lacks(run: Path, tmp_path: Path) -> None:
    written = json.loads((run / "rounds/1/metrics.json").read_text())
    for key in ("version", "verdict_read", "faithfulness", "alarms"):
        written.pop(key, None)
    written["gold"] = {key: written["gold"][key] for key in written["gold"] if key not in ("readings", "tie_rate")}
    (tmp_path / "metrics.json").write_text(json.dumps(written | {"forgotten": 1}))
    found = RoundRecord.read(tmp_path / "metrics.json")
    assert (found.alarms, found.verdict_read, found.gold.readings) == ([], None, {})
    assert found.row() == written


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": VERSION + 1}, "a newer gramr2 wrote it .* upgrade gramr2"),
        ({"gold": {"n": 3}}, r"cannot read it \(gold.accuracy: .*\): continue with the version that wrote it"),
        ({"stage": "prologue"}, r"cannot read it \(stage: "),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(run: Path, change: dict[str, Any], reason: str) -> None:
    file = run / "rounds/1/metrics.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | change))
    # Its manifest would say that the file is damaged.
    file.with_name("manifest.json").unlink(missing_ok=True)
    try:
        with pytest.raises(RunError, match=reason):
            SelfTraining(parse_config(CONFIG), run, engine=ScriptedEngine()).run()
        with pytest.raises(RunError, match=reason):
            read_run(run)
    finally:
        file.write_text(before)
