"""Small runs on the scripted engine, for cases in which something happens to a run folder or to its inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gramr2.backends.scripted import Script
from gramr2.comparison import Label
from gramr2.config import parse_config
from gramr2.config.training import ModelConfig
from gramr2.selftraining.loop import SelfTraining
from gramr2.testing import ScriptedEngine, longer

ROWS = [
    {
        "id": f"i{k}",
        "prompt": f"What is {k}+{k + 1}?",
        "responses": [
            f"It is {2 * k + 1}, as is known to anybody who has counted {k} sheep and then one sheep more.",
            "No. " * (1 if k % 3 else 20),
        ],
        "label": "A" if k % 2 else "B",
    }
    for k in range(60)
]
PARTS = {"seed": (0, 12), "pool": (12, 24), "gold": (24, 40)}


class Notes:
    """An observer that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def task(self, title: str) -> Any:
        from contextlib import nullcontext

        return nullcontext(lambda done, total: None)

    def note(self, text: str) -> None:
        self.notes.append(text)


class Case:
    """A place with three data files, a model folder and a run of two rounds."""

    def __init__(self, base: Path) -> None:
        self.base, self.run, self.model = base, base / "run", base / "mdl"
        self.model.mkdir()
        for name in ("config.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"):
            (self.model / name).write_text(f"{{}} {name}")
        for part, (low, high) in PARTS.items():
            self.write(part, ROWS[low:high])

    def write(self, part: str, rows: list[dict[str, Any]]) -> None:
        (self.base / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def train(self, script: Script = longer, **changes: Any) -> Notes:
        case, notes = self, Notes()

        class Engine(ScriptedEngine):
            def backbone(self, model: ModelConfig) -> Path:
                return case.model

        raw = {
            "model": "none",
            "data": {part: str(self.base / f"{part}.jsonl") for part in PARTS},
            "baselines": [],
            "filters": [{"kind": "confidence", "threshold": 0.7}],
            "curriculum": {"per_round": 6},
            "guards": {"on_worse": "accept"},
            "rounds": 2,
        }
        self.engine = Engine(script)
        SelfTraining(parse_config(raw | changes), self.run, engine=self.engine, observer=notes).run()
        return notes

    def outcome(self) -> dict[str, bytes]:
        return {
            str(file.relative_to(self.run)): file.read_bytes()
            for file in sorted(self.run.rglob("*"))
            if file.is_file() and file.name not in (".lock", "history.jsonl")
        }

    def made_by_an_older_version(self) -> None:
        for name in ("inputs.json", "manifest.json"):
            for file in self.run.rglob(name):
                file.unlink()


def other_label(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"label": Label(row["label"]).swap().value}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = Case(tmp_path)
    made.train()
    return made
