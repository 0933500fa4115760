"""One cell of an ablation, a variant with a seed, in a process of its own: train, judge the test set, write the result.

``python -m gramr2.research.ablation.cell FOLDER`` runs or resumes the cell in FOLDER; ``result.json`` appears when it is
finished.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gramr2.adaptation.few_shot import choose_shots
from gramr2.comparison import LabeledComparison
from gramr2.config import RunConfig, parse_config
from gramr2.data import load_labeled, subset
from gramr2.errors import GramrError
from gramr2.evaluation.metrics import evaluate
from gramr2.files import write_json, write_jsonl
from gramr2.judging.judge import Judge
from gramr2.judging.records import comparison_row, decision_row
from gramr2.judging.saved import PROMPT_FILE, load_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import Decision
from gramr2.randomness import derive_seed
from gramr2.reporting.run import read_run
from gramr2.research.ablation.variants import Kind
from gramr2.research.lab.audit import audit
from gramr2.selftraining.readings import ties_in
from gramr2.selftraining.run.context import sampling_of
from gramr2.selftraining.run.data import RunData, fit_to_budget, load_data
from gramr2.selftraining.run.records import GateResult

SPEC, RESULT, TEST, FAILURE = "cell.json", "result.json", "test.jsonl", "failure.txt"
SEED_JUDGES = "seed-judges"
"""folder next to the cells' folder: what cells with the same start share"""


def run_cell(folder: Path) -> dict[str, Any]:
    """Run the cell that ``cell.json`` describes and return its result."""
    spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    config, kind = parse_config(spec["config"]), Kind(spec["kind"])
    test, shots = test_set(spec["test"], spec["limit"]), spec["shots"]
    started = time.monotonic()
    if kind is Kind.BASELINE:
        decisions = _baseline(spec.get("baseline") or spec["variant"], folder, config, test)
    elif kind is Kind.PROMPTED:
        data = data_of(config)
        shown = choose_shots(data.seed, shots, config.seed) if shots else ()
        decisions = _judged(config.model.name, config, test, shown, ties_in(config.judge.ties, data.seed))
    else:
        from gramr2.selftraining.loop import SelfTraining
        from gramr2.selftraining.run.sharing import SeedJudges

        SelfTraining(config, folder / "run", seed_judges=SeedJudges(folder.parent.parent / SEED_JUDGES)).run()
        decisions = _judged(str(folder / "run" / "judge"), config, test)
    rows = [
        comparison_row(item.comparison) | decision_row(decision) | {"truth": item.label.value}
        for item, decision in zip(test, decisions, strict=True)
    ]
    write_jsonl(folder / TEST, rows)
    accuracy = evaluate(test, decisions)
    checked = audit(rows)
    result = {
        "variant": spec["variant"],
        "seed": config.seed,
        "n": accuracy.n,
        "accuracy": accuracy.accuracy_strict,
        "coverage": accuracy.coverage,
        "order_flip_rate": accuracy.order_flip_rate,
        "rationale_correct": checked.shares()["rationale_correct"] if checked else None,
        "right_label_wrong_derivation": checked.shares()["right_label_wrong_derivation"] if checked else None,
        **(_pseudo_labels(folder / "run") if kind is Kind.RUN else {}),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(folder / RESULT, result)
    if not spec["keep"]:
        models = (folder / "run" / name for name in ("proving", "warmup/model", "views", "judge"))
        for model in [*folder.glob("run/rounds/*/model"), *models]:
            shutil.rmtree(model, ignore_errors=True)
    return result


def test_set(source: str, limit: int | None) -> tuple[LabeledComparison, ...]:
    """The comparisons that cells are measured on, the same for every cell."""
    items, _ = load_labeled(source)
    return items if limit is None else subset(items, limit, 0, key=lambda item: item.comparison.id)


def data_of(config: RunConfig) -> RunData:
    """The data that a run with this config would use, with over-long comparisons treated in the same way."""
    from gramr2.selftraining.run.engine import LocalEngine

    return fit_to_budget(load_data(config), config, template_of(config), LocalEngine(config).counter())


def template_of(config: RunConfig, shots: tuple[LabeledComparison, ...] = ()) -> JudgeTemplate:
    """The judge's prompt in a run with this config, with few-shot examples if there are any."""
    return JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles), shots)


def _judged(
    model: str,
    config: RunConfig,
    test: Sequence[LabeledComparison],
    shots: tuple[LabeledComparison, ...] = (),
    ties: bool = True,
) -> list[Decision]:
    from gramr2.backends.transformers import TransformersBackend
    from gramr2.baselines.view import load_view

    backend = TransformersBackend(
        model,
        revision=config.model.revision,
        dtype=config.model.dtype,
        device=config.model.device,
        trust_remote_code=config.model.trust_remote_code,
        chat_template_options=config.model.chat_template_options,
    )
    template = template_of(config, shots)
    template = replace(template, readings=replace(template.readings, ties=ties))
    if (backend.folder / PROMPT_FILE).is_file():
        template = replace(template, readings=load_template(backend.folder).readings)
    model_config = config.model
    view = load_view(
        backend.folder,
        dtype=model_config.dtype,
        device=model_config.device,
        trust_remote_code=model_config.trust_remote_code,
    )
    return Judge(backend, template, sampling_of(config.judge.gold), view).judge(
        [item.comparison for item in test], seed=derive_seed(config.seed, "test")
    )


def _baseline(name: str, folder: Path, config: RunConfig, test: Sequence[LabeledComparison]) -> list[Decision]:
    from gramr2 import baselines
    from gramr2.backends.registry import resolve

    data = data_of(config)
    backbone = resolve(config.model.name, revision=config.model.revision)
    setting = baselines.Setting(config.model, backbone, config.seed, config.training)
    fitted = baselines.fit(name, (*data.seed, *data.held_out), model=setting)
    return fitted.compare([item.comparison for item in test], config.seed)


def _pseudo_labels(run: Path) -> dict[str, Any]:
    """Counts of what the judge learnt from, the kept rows of accepted rounds, and in the lab how much of it is right."""
    rounds = [each for each in read_run(run).rounds if each.kept or each.dropped]
    accepted = [each for each in rounds if each.metrics and each.metrics.verdict is GateResult.ACCEPTED]
    kept = {row["id"]: row for each in accepted for row in each.kept}
    checked = audit(kept.values())
    shares = checked.shares() if checked else {}
    return {
        "accepted_rounds": len(accepted),
        "judged": sum(len(each.kept) + len(each.dropped) for each in rounds),
        "kept": len(kept),
        "kept_label_accuracy": shares.get("label_accuracy"),
        "kept_rationale_correct": shares.get("rationale_correct"),
    }


def main(folder: Path) -> int:
    """Run a cell; an expected error is written to ``failure.txt`` as one sentence."""
    try:
        run_cell(folder)
    except GramrError as error:
        (folder / FAILURE).write_text(f"{error}\n", encoding="utf-8")
        return error.exit_code
    except OSError as error:
        (folder / FAILURE).write_text(f"{error.filename or folder}: {error.strerror or error}\n", encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
