"""What rounded label logits cost: direct verdicts of a judge in bf16, with label logits as its output layer rounds them and
in fp32.

    python benchmarks/rounded_labels.py RUN/rounds/0/model [--data starter:gold] [--backend vllm] [--limit N]

A verdict counts as level where both orders together give A and B the same probability.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from gramr2.backends.hardware import versions
from gramr2.backends.label_logits import LabelLogits
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Label, LabeledComparison
from gramr2.data import load_labeled
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.saved import load_template
from gramr2.judgment import Decision

LEVEL = 1e-9


class Rounded(LabelLogits):
    """Label logits as the output layer gives them."""

    def __init__(self, model: object) -> None:
        super().__init__(model)
        self._head = None


def main() -> int:
    """Judge twice and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a judge")
    parser.add_argument("--data", default="starter:gold", help="labelled comparisons")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--backend", choices=["transformers", "vllm"], default="transformers")
    given = parser.parse_args()
    items = load_labeled(given.data)[0][: given.limit]
    for rounded in (True, False):
        found = judged(given.model, given.backend, items, rounded=rounded)
        level = sum(map(_is_level, found))
        right = sum(each.label is item.label for each, item in zip(found, items, strict=True))
        how = "rounded" if rounded else "in fp32"
        print(f"{given.backend}, label logits {how}: {right} of {len(items)} right, {level} level")
    print(versions())
    return 0


def judged(model: Path, backend: str, items: tuple[LabeledComparison, ...], *, rounded: bool) -> list[Decision]:
    """The judge's decisions, in both orders."""
    saved, sampling = load_template(model), Sampling(votes=1, temperature=0.0)
    template = replace(saved, readings=replace(saved.readings, direct=1.0, reasoned=0.0))
    comparisons = [item.comparison for item in items]
    if backend == "transformers":
        local = TransformersBackend(model, dtype="bfloat16")
        if rounded:
            local._labels = Rounded(local.model)
        return Judge(local, template, sampling).judge(comparisons)
    from gramr2.backends.vllm import VLLMBackend

    options = {"hf_overrides": {"head_dtype": "model"}} if rounded else None
    engine = VLLMBackend(model, dtype="bfloat16", engine_options=options)
    try:
        return Judge(engine, template, sampling).judge(comparisons)
    finally:
        engine.close()


def _is_level(decision: Decision) -> bool:
    probabilities = decision.probabilities
    return probabilities is not None and abs(probabilities[Label.A] - probabilities[Label.B]) < LEVEL


if __name__ == "__main__":
    sys.exit(main())
