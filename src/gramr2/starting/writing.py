"""The run file as text: short, and a plain reason beside each choice.

The settings are those that were measured on people's text (docs/experiments.md, “Two views to the end” and “The verdict's own
loss”): verdicts alone, all weights, 1e-4, steps of 8 comparisons, one round over the surest part of the pool, and frozen features
as a second view that also counts in the verdict.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any

import yaml

from gramr2.comparison import LabeledComparison
from gramr2.config.data import SourceConfig
from gramr2.data.split import prompt_key
from gramr2.evaluation.power import comparisons_for, visible_difference
from gramr2.files import exists
from gramr2.starting.machine import Machine, suggestions
from gramr2.starting.parts import Parts

WIDTH = 118
DISAGREE = 0.3
"""share of gold of which exactly one of two judges is right, for saying what gold can show"""
FEW, SMALL_POOL = 100, 400
"""labels that 64 steps learn; unlabelled comparisons of which the surest fifth is too few to learn from"""
LITTLE_MEMORY = 4e9
"""bytes; a training of SmolLM2-135M takes 6 GB and can be cut to less (docs/scaling.md), adapters take a third"""


@dataclass(frozen=True, slots=True)
class Choices:
    """What was decided before the file is written.

    Args:
        model: its name.
        why: the reason for it.
        told: sentences on what the data show.
        aggregate: whether several labels of one comparison are made one.
        overlong: comparisons that do not fit the model, and are dropped.
        rationales: labels that come with a rationale.
    """

    model: str
    why: str
    told: tuple[str, ...]
    aggregate: bool
    overlong: int
    rationales: int


def run_file(parts: Parts, choices: Choices, machine: Machine, out: Path) -> str:
    """The text. Paths in it are relative to the file's folder."""
    lines = _comment("Written by gramr2 init; docs/self-training.md has every key. What the data show:")
    lines += [line for told in choices.told for line in _comment(told, "- ")]
    lines += ["", "seed: 1  # every draw follows from it", *_comment(choices.why)]
    lines += [f"model: {_flow({'name': _beside(choices.model, out), 'dtype': 'fast'})}"]
    if larger := suggestions(machine):
        lines += _comment(
            "Larger models, and the GPU memory that training them takes by a reckoning (gramr2 check --cost measures):"
        )
        lines += [line for each in larger for line in _comment(each, "- ")]
    lines += ["data:", *_data(parts, choices, out)]
    learns = f" {choices.rationales} labels have a rationale: mode: reason learns them too, for some three times the training."
    lines += _comment(
        "The judge writes the verdict alone: that rationales help a small model on text was not shown (docs/results.md)."
        + (learns if choices.rationales else "")
    )
    lines += ["judge: {mode: label, pool: {votes: 1, temperature: 0}}", *_training(parts, machine)]
    lines += ["", f"rounds: {1 if parts.pool else 0}", *_comment(_VIEW)]
    lines += ["second_view: {name: frozen-features, weight: 2, verdict_weight: 1}", *_filters(parts)]
    return "\n".join(lines) + "\n"


_VIEW = (
    "A cheap model on frozen features helps to label and counts in the verdict: +2 to +5 points with 64 to 200 labels; with 600 "
    "and more it hardly matters, and verdict_weight: 0 saves its two forward passes."
)


def sees(items: Sequence[LabeledComparison]) -> str:
    """What these gold comparisons can show."""
    n, prompts = len(items), len({prompt_key(item.comparison) for item in items})
    points = 100 * visible_difference(DISAGREE, n)
    more = f"; 5 points take {comparisons_for(0.05, DISAGREE)}" if points > 5 else ""
    of = f" of {prompts} prompts" if prompts < n else ""
    less = ", and less where several are of one prompt" if prompts < n else ""
    return (
        f"{n} comparisons{of} see a difference of {points:.0f} points{less}{more} (where exactly one of two judges is right on "
        f"{100 * DISAGREE:.0f} %)"
    )


def _data(parts: Parts, choices: Choices, out: Path) -> list[str]:
    lines = _comment(f"{len(parts.learnt)} labelled comparisons that the judge learns from.", indent=2)
    lines += _sources("seed", parts.seed, out)
    if parts.pool:
        lines += _comment(
            f"{len(parts.unlabelled)} comparisons that it labels itself; labels in them are not looked at.", indent=2
        )
        lines += _sources("pool", parts.pool, out)
    else:
        lines += _comment(
            "No unlabelled comparisons were given. With some, set rounds: 1 and name them here: pool: pairs.jsonl",
            indent=2,
        )
    lines += _comment(f"Measured on, never learnt from: {sees(parts.measured)}.", indent=2)
    lines += _sources("gold", parts.gold, out)
    if parts.skips:
        lines += _comment(
            "Rows that are not what their place needs are left out and counted; fail stops at the first.", indent=2
        )
        lines += ["  on_bad_row: skip"]
    if choices.aggregate:
        lines += _comment("Several labels of one comparison become the one that most have.", indent=2)
        lines += ["  aggregate: majority"]
    if choices.overlong:
        lines += _comment(f"{choices.overlong} comparisons do not fit the model; text is never cut.", indent=2)
        lines += ["  on_overlong: drop"]
    return lines


def _training(parts: Parts, machine: Machine) -> list[str]:
    n, sources = len(parts.learnt), len(parts.seed)
    steps, why = (
        (64, f"{n} labels are learnt in some 64 steps.")
        if n <= FEW
        else (128, "Few labels need some 128 steps to be learnt.")
    )
    if sources >= 4:
        steps, why = 192, "Labels of many sources are learnt late."
    little = machine.gpu is None and machine.free < LITTLE_MEMORY
    if little:
        why += f" {machine.free / 1e9:.1f} GB of memory are free: adapters are trained, not all weights."
    method = "method: lora, epochs: 2, min_steps: {}, batch_size: 8, micro_batch_size: 1" if little else _ALL
    return [
        *_comment(f"{why} If the report says that the labels were not learnt, raise min_steps."),
        f"training: {{{method.format(steps)}}}",
    ]


_ALL = "method: full, epochs: 2, min_steps: {}, learning_rate: 1.0e-4, batch_size: 8"


def _filters(parts: Parts) -> list[str]:
    if not parts.pool:
        return []
    share = 0.8 if len(parts.unlabelled) >= SMALL_POOL else 0.6
    told = {
        0.8: "The surest fifth of its own labels is learnt",
        0.6: "The surest two fifths of its own labels are learnt",
    }[share]
    return [
        "filters:",
        *_comment(f"{told}: see RUN/rounds/1/dropped.jsonl for what was not, and why.", indent=2),
        f"  - {{kind: confidence, threshold: {{schedule: quantile, start: {share}, end: {share}}}, calibrate: false}}",
        "  - {kind: duplicates}",
        "  - {kind: balance}",
    ]


def _sources(key: str, sources: Sequence[SourceConfig], out: Path) -> list[str]:
    told = [_flow(_shown(each, out)) for each in sources]
    return [f"  {key}: {told[0]}"] if len(told) == 1 else [f"  {key}:", *(f"    - {each}" for each in told)]


def _shown(source: SourceConfig, out: Path) -> Any:
    """The source without what is the default."""
    given = source.model_dump(mode="json", exclude_defaults=True)
    given["path"] = _beside(source.path, out)
    if part := given.get("part"):
        given["part"] = [int(each) if each == int(each) else each for each in part]
    return given["path"] if len(given) == 1 else {"path": given.pop("path"), **given}


def _beside(name: str, out: Path) -> str:
    """A name as the run file has it: a path is relative to its folder."""
    return relpath(Path(name).resolve(), out.resolve().parent) if exists(Path(name)) else name


def _flow(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text.removesuffix("...\n").strip()


def _comment(text: str, mark: str = "", indent: int = 0) -> list[str]:
    """A comment, wrapped. A line feed in a file's name must not end it."""
    room = " " * indent + "# "
    clean = " ".join(text.split())
    return textwrap.wrap(
        clean,
        WIDTH,
        initial_indent=room + mark,
        subsequent_indent=room + " " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
