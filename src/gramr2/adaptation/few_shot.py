"""Few-shot examples for a judge's prompt: adapting without training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gramr2.baselines.view import FOLDER as SECOND_VIEW
from gramr2.comparison import Label, LabeledComparison
from gramr2.errors import ConfigError
from gramr2.judging.saved import PROMPT_FILE, load_options, save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.randomness import fraction


def choose_shots(items: Sequence[LabeledComparison], count: int, seed: int) -> tuple[LabeledComparison, ...]:
    """``count`` examples with alternating labels, so that the end of the prompt does not favour one label."""
    drawn = sorted(items, key=lambda item: (fraction(seed, "shots", item.comparison.id), item.comparison.id))
    groups = [[item for item in drawn if item.label is label] for label in Label]
    longest = max(map(len, groups), default=0)
    mixed = [group[place] for place in range(longest) for group in groups if place < len(group)]
    return tuple(mixed[:count])


def with_shots(template: JudgeTemplate, items: Sequence[LabeledComparison], count: int, seed: int) -> JudgeTemplate:
    """The template with examples; for a reasoning judge, only examples with a rationale.

    Raises:
        ConfigError: there are fewer than ``count``.
    """
    reasons = template.mode is JudgeMode.REASON
    usable = [item for item in items if item.rationale is not None] if reasons else list(items)
    if len(usable) < count:
        what = "comparisons with a rationale (which a reasoning judge needs)" if reasons else "comparisons"
        raise ConfigError(f"--few-shot {count}: there are {len(usable)} {what} to show")
    return replace(template, shots=choose_shots(usable, count, seed))


def save_few_shot(model: Path, template: JudgeTemplate, into: Path) -> None:
    """Write a judge folder with the model's own weights and chat template's variables, and this prompt; it appears when it is
    complete. A second view stays behind: it was fitted for another task."""
    scratch = into.with_name(into.name + ".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(model, scratch, copy_function=_copy, ignore=shutil.ignore_patterns(SECOND_VIEW))
    (scratch / PROMPT_FILE).unlink(missing_ok=True)
    save_template(template, scratch, load_options(model))
    shutil.rmtree(into, ignore_errors=True)
    scratch.rename(into)


def _copy(source: str, target: str) -> None:
    """Copy a file, or hard-link it if it has weights and the file system allows: they are large and never edited in place."""
    if source.endswith(".safetensors"):
        try:
            os.link(os.path.realpath(source), target)
        except OSError:
            pass
        else:
            return
    shutil.copy2(source, target)
