"""Which source is learnt from, which is judged unlabelled, and which measures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config.data import SourceConfig
from gramr2.data import in_part, overlap, subset
from gramr2.data.split import prompt_key
from gramr2.errors import DataError
from gramr2.starting.seen import Source

_HELD_OUT = re.compile(r"(?<![a-z])(gold|test|eval|valid|validation|val|dev|held.?out)(?![a-z])", re.IGNORECASE)
"""names of files that people keep to measure on"""
FEWEST = 4
"""labelled comparisons that can be divided at all"""
HALF_BELOW, THIRD = 40, 1 / 3
"""with fewer labels half of them measure, with more a third, and never more than ``MOST_GOLD``"""
MOST_GOLD = 1000
"""gold comparisons: a difference of five points is seen from some 940 (``gramr2.evaluation.power``)"""
SHARES = tuple(each / 20 for each in range(1, 20))


@dataclass(frozen=True, slots=True)
class Parts:
    """Sources of a run file, the comparisons that they hold, and why they were divided so.

    ``cut`` is the place of the hash at which labelled sources were divided into seed and gold; None if gold has its own source.
    """

    seed: tuple[SourceConfig, ...]
    pool: tuple[SourceConfig, ...]
    gold: tuple[SourceConfig, ...]
    learnt: tuple[LabeledComparison, ...]
    unlabelled: tuple[Comparison, ...]
    measured: tuple[LabeledComparison, ...]
    cut: float | None
    skips: bool
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Most:
    """Comparisons of a first run on some machine: labelled ones that are learnt from, and unlabelled ones that are judged."""

    seed: int
    pool: int


def divide(sources: Sequence[Source], gold: Sequence[Source], most: Most) -> Parts:
    """Divide what there is.

    Args:
        sources: what was given; a labelled one whose name says that it is held out (gold, test …) measures if there is another.
        gold: sources that measure in any case.
        most: what is too much for this machine.

    Raises:
        DataError: there are no labels, or too few of them to be divided.
    """
    why: list[str] = []
    labelled = [each for each in sources if each.labelled]
    named = [each for each in labelled if _HELD_OUT.search(each.name) and not each.mixed]
    if not gold and named and len(named) < len(labelled):
        gold = named
        why.append(f"{_names(gold)} measures, as its name says")
    learnt = [each for each in labelled if each not in gold]
    if not learnt:
        raise DataError(
            f"{_names(sources)}: there is no label in it, and a judge begins with some: label a few comparisons "
            "(a column label with A, B or tie), or give a file that has them too"
        )
    if bare := [each for each in gold if not each.labelled]:
        raise DataError(f"{bare[0].name}: has no labels, and only labelled comparisons can measure")
    items = [item for each in learnt for item in each.labelled]
    cut = None if gold else _cut(items, _names(learnt))
    below, above = (None, None) if cut is None else ((0.0, cut), (cut, 1.0))
    seed = [_source(each, below) for each in learnt]
    measures = [_source(each, None) for each in gold] if gold else [_source(each, above) for each in learnt]
    if cut is not None:
        why.append(
            f"{_names(learnt)} is divided by a hash of the prompt, so that seed and gold share none: "
            f"[0, {cut:g}] is learnt from, [{cut:g}, 1] measures"
        )
    kept, seed = _learnt(learnt, seed, below, most.seed, why)
    held = [item for each in gold for item in each.labelled]
    if above is not None:
        held = [item for item in items if in_part(item.comparison, *above)]
    if len(held) > MOST_GOLD and gold:
        share = MOST_GOLD // len(measures)
        measures = [each.model_copy(update={"limit": share}) for each in measures]
        held = [item for each in gold for item in subset(each.labelled, share, 1, key=lambda item: item.comparison.id)]
        why.append(
            f"{len(held)} comparisons of {_names(gold)} measure: more make each measurement longer than it is worth"
        )
    pool, unlabelled = _pool(sources, held, below, most.pool, why)
    skips = any(each.skipped or each.mixed for each in (*sources, *gold))
    return Parts(
        tuple(seed), tuple(pool), tuple(measures), tuple(kept), tuple(unlabelled), tuple(held), cut, skips, tuple(why)
    )


def _learnt(
    sources: Sequence[Source],
    configs: list[SourceConfig],
    below: tuple[float, float] | None,
    most: int,
    why: list[str],
) -> tuple[list[LabeledComparison], list[SourceConfig]]:
    """The labelled comparisons that are learnt from, and their sources: a part of them if there are too many."""
    parts = [[item for item in each.labelled if below is None or in_part(item.comparison, *below)] for each in sources]
    total = sum(map(len, parts))
    if total <= most:
        return [item for part in parts for item in part], configs
    share = max(1, most // len(parts))
    drawn = [item for part in parts for item in subset(part, share, 1, key=lambda item: item.comparison.id)]
    why.append(
        f"{len(drawn)} of {total} labels are learnt from: on a processor more take long, and the first 1,000 teach most; remove "
        "limit on a GPU"
    )
    return drawn, [each.model_copy(update={"limit": share}) for each in configs]


def _pool(
    sources: Sequence[Source],
    held: Sequence[LabeledComparison],
    below: tuple[float, float] | None,
    most: int,
    why: list[str],
) -> tuple[list[SourceConfig], list[Comparison]]:
    """The unlabelled sources, without the prompts that measure."""
    found: list[SourceConfig] = []
    parts: list[list[Comparison]] = []
    gold = [item.comparison for item in held]
    for each in (source for source in sources if source.unlabelled):
        own = list(each.unlabelled)
        part = below if each.mixed or overlap(gold, own) else None
        if part is not None:
            own = [item for item in own if in_part(item, *part)]
            why.append(f"of {each.name} only the prompts that do not measure are judged unlabelled")
        if own:
            found.append(_source(each, part, only_unlabeled=each.mixed))
            parts.append(own)
    total = sum(map(len, parts))
    if total <= most:
        return found, [item for part in parts for item in part]
    share = max(1, most // len(parts))
    drawn = [item for part in parts for item in subset(part, share, 1)]
    why.append(f"{len(drawn)} of {total} unlabelled comparisons are judged: raise limit where the machine is fast")
    return [each.model_copy(update={"limit": share}) for each in found], drawn


def _cut(items: Sequence[LabeledComparison], names: str) -> float:
    """Where the prompts' hash is divided so that about the wanted share measures.

    Raises:
        DataError: there are too few comparisons, or too few prompts, for two parts.
    """
    wanted = min(len(items) * (0.5 if len(items) < HALF_BELOW else THIRD), MOST_GOLD)
    sizes = {cut: sum(in_part(item.comparison, cut, 1.0) for item in items) for cut in SHARES}
    possible = [cut for cut, size in sizes.items() if 0 < size < len(items)]
    if len(items) < FEWEST or not possible:
        prompts = len({prompt_key(item.comparison) for item in items})
        raise DataError(
            f"{names}: {len(items)} labelled comparisons of {prompts} prompts cannot be divided into a seed and a gold set: "
            "label more prompts, or give labelled comparisons to measure on with --gold"
        )
    return min(possible, key=lambda cut: (abs(sizes[cut] - wanted), cut))


def _source(source: Source, part: tuple[float, float] | None, *, only_unlabeled: bool = False) -> SourceConfig:
    own = {"path": source.path, "part": part, "only_unlabeled": only_unlabeled}
    return SourceConfig.model_validate({**source.layout.model_dump(), **own})


def _names(sources: Sequence[Source]) -> str:
    return ", ".join(each.name for each in sources)
