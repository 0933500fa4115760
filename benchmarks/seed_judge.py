"""What a few labels teach a judge of verdicts alone, and what frozen features and words make of the same labels.

    python benchmarks/seed_judge.py FILE --labels 64 --draw 1 \\
        --set epochs=8 --set batch_size=8 --set min_steps=64

The labels are drawn from the prompts of the file's part [0, 0.7], and everything is measured on those of [0.7, 1]: for
choosing settings, never for a figure to publish. Prints one JSON object a model: accuracy over decided labels, order
flips, and the accuracy of the surest 25, 50 and 80 %; of the judge also the training loss, means over eighths of the steps.

With ``--pretext POOL --pretext-steps 96`` the judge learns something that needs no label first: which of two responses belongs
to a prompt, the other one being a response to another prompt, of the pool and of the labelled part.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import yaml

from gramr2 import baselines
from gramr2.backends.hardware import versions
from gramr2.backends.registry import resolve
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.data import in_part, load_labeled, load_unlabeled, subset
from gramr2.judging.judge import Judge
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import Decision
from gramr2.training.examples import training_examples
from gramr2.training.sft import TrainingReport
from gramr2.training.soup import fine_tune

PRETEXT_SEED = 7


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--labels", type=int, default=64)
    parser.add_argument("--draw", type=int, default=1)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of training, in YAML"
    )
    parser.add_argument("--measure", type=int, help="the first N of what measures; default: all")
    parser.add_argument("--pretext", help="comparisons whose labels are not looked at")
    parser.add_argument("--pretext-steps", type=int, default=96)
    given = parser.parse_args(arguments)
    settings = {key: yaml.safe_load(value) for key, _, value in (each.partition("=") for each in given.set)}
    config = TrainingConfig(**({"method": "full", "learning_rate": 5e-5, "epochs": 8} | settings))
    items, _ = load_labeled(given.file)
    train = [i for i in items if in_part(i.comparison, 0, 0.7)]
    measured = [i for i in items if in_part(i.comparison, 0.7, 1)][: given.measure]
    drawn = subset(train, given.labels, given.draw, key=lambda item: item.comparison.id)
    comparisons = [item.comparison for item in measured]
    model = ModelConfig(name=given.model, dtype="bfloat16")
    for name in ("longer", "bag-of-words", "frozen-features"):
        fitted = baselines.fit(name, drawn, model=model)
        print(json.dumps({"model": name} | told(measured, fitted.compare(comparisons))), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        start = resolve(given.model)
        if given.pretext:
            texts = [*load_unlabeled(given.pretext)[0], *(item.comparison for item in train)]
            steps = given.pretext_steps
            matched = belongs(texts, steps * config.batch_size)
            once = config.model_copy(update={"epochs": 1, "min_steps": steps})
            start = show("pretext", start, Path(scratch) / "pretext", matched, once, model, PRETEXT_SEED, measured)
        show("judge", start, Path(scratch) / "m", drawn, config, model, given.draw, measured)


def show(
    name: str,
    start: Path,
    into: Path,
    learnt: Sequence[LabeledComparison],
    config: TrainingConfig,
    model: ModelConfig,
    seed: int,
    measured: Sequence[LabeledComparison],
) -> Path:
    """Train a judge of verdicts alone, print what came of it, and return its folder."""
    started, template, losses = time.monotonic(), JudgeTemplate(JudgeMode.LABEL), list[float]()
    examples = training_examples(learnt, config.orders, seed, direct=config.verdict.weight > 0, reasoned=False)

    def on_step(done: int, total: int, loss: float | None) -> None:
        losses.extend([] if loss is None else [loss])

    report: TrainingReport = fine_tune(start, into, examples, template, config, model, seed=seed, on_step=on_step)
    judge = Judge(TransformersBackend(into, dtype="bfloat16"), template).direct
    decisions = judge.judge([item.comparison for item in measured])
    row = {"model": name, "seconds": round(time.monotonic() - started), "steps": report.steps, "parts": report.parts}
    row["losses"] = [round(fmean(each), 3) for each in eighths(losses)]
    settings = config.model_dump(mode="json", exclude_defaults=True)
    print(json.dumps(row | told(measured, decisions) | {"training": settings, "with": versions()}), flush=True)
    return into


def belongs(texts: Sequence[Comparison], count: int) -> list[LabeledComparison]:
    """Up to ``count`` comparisons of a response to a prompt with a response to another prompt; the first is better."""
    rng, pool = random.Random(PRETEXT_SEED), list(texts)
    rng.shuffle(pool)
    made = []
    for number, each in enumerate(pool[:count]):
        own = each.responses[rng.random() < 0.5]
        while True:
            other = pool[rng.randrange(len(pool))]
            if other.prompt != each.prompt:
                break
        strange = other.responses[rng.random() < 0.5]
        first = rng.random() < 0.5
        pair = (own, strange) if first else (strange, own)
        made.append(LabeledComparison(Comparison(f"p{number}", each.prompt, pair), Label.A if first else Label.B))
    return made


def eighths(losses: Sequence[float]) -> list[Sequence[float]]:
    """As many equal stretches, a rest at the end left out."""
    size = max(1, len(losses) // 8)
    return [losses[at : at + size] for at in range(0, len(losses) - size + 1, size)]


def told(items: Sequence[LabeledComparison], decisions: Sequence[Decision]) -> dict[str, object]:
    """Accuracy over comparisons that people decided, of A against B, and of the surest of them."""
    rows = []
    for item, decision in zip(items, decisions, strict=True):
        belief = decision.probabilities
        if item.label is not Label.TIE and belief is not None:
            # Responses of one length are a certain tie to who takes the longer: of A and B it says neither, which is wrong.
            lead = (belief.a - belief.b) / (belief.a + belief.b or 1)
            right = lead > 0 if item.label is Label.A else lead < 0
            rows.append((abs(lead), right, bool(decision.order_flip)))
    rows.sort(key=lambda row: -row[0])
    rights = [each for _, each, _ in rows]
    surest = {
        f"surest {share} %": sum(rights[: (k := len(rights) * share // 100)]) / max(k, 1) for share in (25, 50, 80)
    }
    return {
        "n": len(rows),
        "accuracy": round(sum(rights) / len(rows), 4),
        "flips": round(sum(flip for *_, flip in rows) / len(rows), 3),
        **{name: round(value, 3) for name, value in surest.items()},
    }


if __name__ == "__main__":
    main()
