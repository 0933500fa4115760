"""The prompt that a judge was trained with, as a file beside its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gramr2.comparison import LabeledComparison
from gramr2.data.rows import read_row
from gramr2.errors import DataError, ModelError
from gramr2.files import strict_json
from gramr2.judging.records import labeled_row
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import REASONED, ReadingWeights

PROMPT_FILE = "gramr2_judge.json"
"""mode, principles and examples of a judge's prompt, the weight of each reading of its verdict, and the variables of its chat
template"""
OPTIONS = "chat_template_options"


def save_template(template: JudgeTemplate, folder: Path, options: Mapping[str, Any] | None = None) -> None:
    """Write the prompt into a model folder.

    Args:
        template: the prompt.
        folder: of the model.
        options: variables for the chat template that the prompt is rendered with, as JSON has them.
    """
    settings: dict[str, Any] = {
        "mode": template.mode.value,
        "principles": list(template.principles),
        "shots": [labeled_row(shot) for shot in template.shots],
        "readings": asdict(template.readings),
    }
    if options:
        settings[OPTIONS] = dict(options)
    # An existing file may be a hard link that other runs share, so it is replaced, never written into.
    scratch = folder / f"{PROMPT_FILE}.tmp"
    scratch.write_text(strict_json(settings) + "\n", encoding="utf-8")
    scratch.replace(folder / PROMPT_FILE)


def own_prompt(name: str | None) -> Path | None:
    """The folder of a judge whose own prompt is meant, a run or what ``gramr2 export`` wrote; None if the name is not of one."""
    folder = Path(name).expanduser() if name else None
    for each in (folder, folder / "judge") if folder else ():
        if (each / PROMPT_FILE).is_file():
            return each
    return None


def load_template(folder: Path | None, mode: str | None = None) -> JudgeTemplate:
    """The prompt saved in a model folder, or the default one; ``mode`` overrides the folder's, and a different mode ignores
    the folder's weights of readings.

    Raises:
        ModelError: the file there is not one that ``save_template`` writes.
    """
    file = folder / PROMPT_FILE if folder else None
    if file is None or not file.is_file():
        return JudgeTemplate(JudgeMode(mode or JudgeMode.REASON))
    with _described(file) as settings:
        trained = JudgeMode(settings.get("mode", JudgeMode.REASON))
        weights = _weights(**settings["readings"]) if "readings" in settings else REASONED
        return JudgeTemplate(
            JudgeMode(mode or trained),
            tuple(settings.get("principles", ())),
            tuple(_shot(row, index, file) for index, row in enumerate(settings.get("shots", ()))),
            weights if mode in (None, trained) else replace(REASONED, ties=weights.ties),
        )


def load_options(folder: Path | None) -> dict[str, Any]:
    """The variables for the chat template that are saved in a model folder with its prompt; none in older folders.

    Raises:
        ModelError: the file there is not one that ``save_template`` writes.
    """
    file = folder / PROMPT_FILE if folder else None
    if file is None or not file.is_file():
        return {}
    with _described(file) as settings:
        options = settings.get(OPTIONS, {})
        if not isinstance(options, dict):
            raise ValueError(f"{OPTIONS} is not an object")
        return options


@contextmanager
def _described(file: Path) -> Iterator[dict[str, Any]]:
    """What a prompt's file holds; whatever is wrong with it is one sentence."""
    try:
        yield json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError, DataError) as error:
        raise ModelError(
            f"{file} does not describe a judge's prompt ({error}): remove it to use the default"
        ) from error


def _weights(direct: float, reasoned: float, ties: bool = True) -> ReadingWeights:
    weights = ReadingWeights(direct, reasoned, ties)
    if not all(math.isfinite(each) and each >= 0 for each in (direct, reasoned)) or not weights.asked:
        raise ValueError(
            f"the weights of the readings are {direct} and {reasoned}: both must be at least 0, and one above"
        )
    if not isinstance(ties, bool):
        raise ValueError(f"ties is {ties!r}, and must be true or false")
    return weights


def _shot(row: dict[str, object], index: int, file: Path) -> LabeledComparison:
    found = read_row(row, f"{file}: example {index + 1}", default_id=str(index))
    if len(found) != 1 or not isinstance(found[0], LabeledComparison):
        raise DataError(f"example {index + 1} is not one labelled comparison")
    return found[0]
