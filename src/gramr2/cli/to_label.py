"""What ``gramr2 ui --label`` labels, and what a judge thinks of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gramr2.cli.console import Bars
from gramr2.cli.opening import answers, journal_of, journaled, require_answers, too_long
from gramr2.config.data import Layout
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError
from gramr2.judging.judge import compare_with
from gramr2.judging.preference import PreferenceModel
from gramr2.loading import JudgeOptions

if TYPE_CHECKING:
    from gramr2.comparison import Comparison, LabeledComparison
    from gramr2.web.labelling.opinions import Opinion


def to_label(
    source: str, runs: Sequence[Path], layout: Layout, limit: int | None, on_bad_row: OnBadRow, bars: Bars
) -> tuple[Sequence[LabeledComparison | Comparison], dict[str, Opinion], str | None]:
    """What is labelled, what is thought of it already, and by whom."""
    from gramr2.data import load
    from gramr2.reporting.run import read_run
    from gramr2.web.labelling.opening import of_run

    if runs:
        if len(runs) > 1:
            raise ConfigError(f"{source} holds {len(runs)} runs: name the one whose comparisons are to be labelled")
        if layout != Layout():
            raise ConfigError(
                f"{source} is a run, whose rows are gramr2's own: leave out the flags that say how data are read"
            )
        view = read_run(runs[0])
        comparisons, opinions = of_run(view)
        return comparisons[:limit], opinions, f"the judge of {view.path.resolve().name}"
    loaded = load(source, limit=limit, on_bad_row=on_bad_row, layout=layout)
    if loaded.report.skipped:
        bars.note(f"{source}: {len(loaded.report.skipped)} bad rows skipped, the first: {loaded.report.skipped[0]}")
    return loaded.comparisons, {}, None


def judged(
    opened: PreferenceModel,
    items: Sequence[LabeledComparison | Comparison],
    seed: int,
    label: Path,
    how: JudgeOptions,
    bars: Bars,
) -> dict[str, Opinion]:
    """The model's opinions. Its answers are kept beside the labels, so that the next start does not ask again."""
    from gramr2.comparison import LabeledComparison
    from gramr2.judging.records import decision_row
    from gramr2.web.labelling.opinions import opinion_of

    comparisons = [each.comparison if isinstance(each, LabeledComparison) else each for each in items]
    if names := {each.id for each in too_long(opened, comparisons, bars)}:
        bars.note(f"{len(names)} comparisons are too long for {opened.id}, and come without its opinion")
        comparisons = [each for each in comparisons if each.id not in names]
    with answers(journal_of(label), bars, lambda: True) as journal:
        asked = journaled(opened, journal)
        with bars.task(f"judge {len(comparisons)} comparisons") as progress:
            found = compare_with(asked, comparisons, seed=seed, progress=progress)
        require_answers(asked)
    return {each.id: opinion_of(decision_row(each)) for each in found}
