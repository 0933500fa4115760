"""A training as a value that can be written to a folder: what other processes need to know to do it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gramr2.comparison import LabeledComparison
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.data.rows import read_row
from gramr2.files import read_jsonl, write_json, write_jsonl
from gramr2.judging.proving import ProvingTemplate
from gramr2.judging.records import labeled_row
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import ReadingWeights
from gramr2.training.examples import held_out_of, training_examples
from gramr2.training.parts import StepCallback
from gramr2.training.sft import TrainingReport
from gramr2.training.soup import fine_tune

FILE, ITEMS = "job.json", "items.jsonl"


@dataclass(frozen=True, slots=True)
class Job:
    """Fine-tune the model in ``start`` on labelled comparisons and save it in ``into``.

    Args:
        items: all of them; those for early stopping are held out by ``draw``.
        template: of a judge, or of a proving model.
        draw: seed of everything that is drawn from the comparisons: their orders, and what is held out.
        seed: seed of the training itself.
    """

    start: Path
    into: Path
    items: Sequence[LabeledComparison]
    template: JudgeTemplate | ProvingTemplate
    training: TrainingConfig
    model: ModelConfig
    draw: int
    seed: int

    def run(self, on_step: StepCallback | None = None) -> TrainingReport:
        """Do it, in this process or in all that were launched together. Raises as ``gramr2.training.sft.fine_tune`` does."""
        items, held_out = held_out_of(self.items, self.training.early_stop, self.draw)
        if not self.training.verdict.soft:
            items, held_out = ([replace(item, target=None) for item in some] for some in (items, held_out))
        judge = self.template if isinstance(self.template, JudgeTemplate) else None
        direct = judge is not None and self.training.verdict.weight > 0
        reasoned = judge is None or judge.mode is JudgeMode.REASON
        examples, held = (
            training_examples(some, self.training.orders, self.draw, direct=direct, reasoned=reasoned)
            for some in (items, held_out)
        )
        return fine_tune(
            self.start,
            self.into,
            examples,
            self.template,
            self.training,
            self.model,
            seed=self.seed,
            held_out=held,
            on_step=on_step,
        )

    def write(self, folder: Path) -> None:
        """Write it to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_jsonl(folder / ITEMS, map(labeled_row, self.items))
        write_json(
            folder / FILE,
            {
                "start": str(self.start.absolute()),
                "into": str(self.into.absolute()),
                "template": _template_row(self.template),
                "training": self.training.model_dump(mode="json"),
                "model": self.model.model_dump(mode="json"),
                "draw": self.draw,
                "seed": self.seed,
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Job:
        """The job that ``write`` wrote."""
        row = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return cls(
            Path(row["start"]),
            Path(row["into"]),
            [_item(each) for each in read_jsonl(folder / ITEMS)],
            _template(row["template"]),
            TrainingConfig.model_validate(row["training"]),
            ModelConfig.model_validate(row["model"]),
            row["draw"],
            row["seed"],
        )


def _template_row(template: JudgeTemplate | ProvingTemplate) -> dict[str, Any]:
    row: dict[str, Any] = {"principles": list(template.principles)}
    if isinstance(template, ProvingTemplate):
        return row | {"kind": "proving"}
    shots = [labeled_row(each) for each in template.shots]
    return row | {"kind": "judge", "mode": template.mode.value, "shots": shots, "readings": asdict(template.readings)}


def _template(row: dict[str, Any]) -> JudgeTemplate | ProvingTemplate:
    principles = tuple(row["principles"])
    if row["kind"] == "proving":
        return ProvingTemplate(principles)
    shots = tuple(_item(each) for each in row["shots"])
    return JudgeTemplate(JudgeMode(row["mode"]), principles, shots, ReadingWeights(**row["readings"]))


def _item(row: dict[str, Any]) -> LabeledComparison:
    (found,) = read_row(row, "a training job", default_id="")
    assert isinstance(found, LabeledComparison)
    return found
