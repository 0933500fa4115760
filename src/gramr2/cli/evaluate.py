"""``gramr2 eval``: accuracy on labelled comparisons, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gramr2.backends.registry import cache_dir
from gramr2.cli.console import Bars, Grid, Json, Quiet, interval, say, say_json, set_up_logging, show
from gramr2.cli.judge import refuse_undecided
from gramr2.cli.opening import Model, answers, asks, journaled, open_model, require_answers
from gramr2.cli.reading import reads
from gramr2.comparison import LabeledComparison
from gramr2.config.data import Layout
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError
from gramr2.journal import address
from gramr2.judging.judge import Judge, compare_with
from gramr2.judgment import Decision
from gramr2.loading import JudgeOptions
from gramr2.text import percent

if TYPE_CHECKING:
    from gramr2.evaluation.audit import Audit
    from gramr2.evaluation.faithfulness import Probe

VERSION = "1"


@asks
@reads
def evaluate(
    model: Model,
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark", "-b", help="Labelled comparisons: a file, a folder, a hub data set, or starter:gold."
        ),
    ],
    how: JudgeOptions,
    layout: Layout,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use N comparisons, drawn with --seed.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the votes and of --limit.")] = 0,
    probes: Annotated[
        bool, typer.Option("--probe", help="Also measure how far the verdict follows a changed rationale.")
    ] = False,
    on_bad_row: Annotated[OnBadRow, typer.Option("--on-bad-row")] = OnBadRow.FAIL,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure a judge on labelled comparisons."""
    set_up_logging(quiet or as_json)
    from gramr2.data import load_labeled, subset
    from gramr2.evaluation import metrics
    from gramr2.evaluation.metrics import length_baseline
    from gramr2.judging.budget import overlong, refuse

    items, report = load_labeled(benchmark, on_bad_row=on_bad_row, layout=layout)
    if limit is not None:
        items = subset(items, limit, seed, key=lambda item: item.comparison.id)
    opened = open_model(model, how, ["--probe"] if probes else [])
    comparisons = [item.comparison for item in items]
    found = None
    if isinstance(opened, Judge):
        pairs = [(c, "") for c in comparisons]
        refuse(
            overlong(opened.backend, opened.template, pairs, new_tokens=how.max_new_tokens), len(comparisons), benchmark
        )
    bars = Bars(quiet or as_json)
    name = opened.id
    key = address(name, benchmark, [item.id for item in comparisons], asdict(how), seed)
    with answers(cache_dir() / "eval" / f"{key}.journal", bars) as journal:
        judge = journaled(opened, journal)
        with bars.task(f"judge {len(items)} comparisons") as progress:
            decisions = compare_with(judge, comparisons, seed=seed, progress=progress)
        require_answers(judge)
        if isinstance(judge, Judge) and probes:
            found = _probed(judge, items, decisions, quiet or as_json)
    result = metrics.evaluate(items, decisions, seed)
    checked = _checked(items, decisions) if probes else None
    if as_json:
        values = asdict(result)
        if found is not None:
            values["probes"] = {name: asdict(each) for name, each in found.items()}
            values["derivations"] = checked.shares() if checked else None
        first = {"benchmark": benchmark, "version": VERSION} | result.headline()
        extra = {"skipped": list(report.skipped), "model": name, "longer_response_accuracy": length_baseline(items)}
        say_json(first | values | extra)
        refuse_undecided(decisions)
        return
    grid = Grid(title=f"{benchmark}: {name}")
    for column in ("category", "n", "accuracy", "95 % interval"):
        grid.add_column(column, justify="left" if column == "category" else "right")
    for category, row in result.by_category.items():
        grid.add_row(category, str(row["n"]), percent(row["accuracy"]), interval(row["low"], row["high"]))
    grid.add_row("all", str(result.n), percent(result.accuracy), interval(result.low, result.high), style="bold")
    show(grid)
    if found is not None:
        show(_probe_table(found))
    if checked is not None:
        shares = checked.shares()
        say(
            f"of {checked.reasoned} rationales, checked by a program: derivation right {percent(shares['derivation_correct'])}, "
            f"all right {percent(shares['rationale_correct'])}; of right verdicts, "
            f"{percent(shares['right_label_wrong_derivation'])} come with a wrong derivation"
        )
    say(
        f"decided {result.decided} of {result.n}, order flips {percent(result.order_flip_rate)}, "
        f"ties {percent(result.tie_rate)}, interval: {result.interval}; "
        f"always the longer response: {percent(length_baseline(items))}"
        f"{f', {len(report.skipped)} bad rows skipped' if report.skipped else ''}"
    )
    refuse_undecided(decisions)


def _probed(
    judge: Judge, items: Sequence[LabeledComparison], decisions: Sequence[Decision], quiet: bool
) -> dict[str, Probe]:
    from gramr2.evaluation.faithfulness import probe

    pairs = [(item.comparison, decision) for item, decision in zip(items, decisions, strict=True)]
    with Bars(quiet).task("probe the rationales") as progress:
        found = probe(judge.backend, judge.template, pairs, [item.label for item in items])
        progress(1, 1)
    if not found:
        raise ConfigError(
            "--probe needs two rationales, and this judge wrote fewer: use --verdict reasoned, or a judge that reasons"
        )
    return found


def _checked(items: Sequence[LabeledComparison], decisions: Sequence[Decision]) -> Audit | None:
    """The rationales checked against the truth, where a program knows it."""
    from gramr2.evaluation.audit import audit
    from gramr2.judging.records import comparison_row, decision_row

    return audit(
        comparison_row(item.comparison) | decision_row(decision)
        for item, decision in zip(items, decisions, strict=True)
    )


def _probe_table(found: dict[str, Probe]) -> Grid:
    from gramr2.evaluation.probes import titles

    named = titles()
    grid = Grid(title="The verdict when the rationale is changed")
    for name in ("rationale", "n", "right", "95 % interval", "verdict changed", "95 % interval ", "verdict follows it"):
        grid.add_column(name, justify="left" if name == "rationale" else "right")
    for name, each in found.items():
        right = (percent(each.accuracy), interval(each.accuracy_low, each.accuracy_high))
        moved = (percent(each.changed), interval(each.low, each.high))
        grid.add_row(named[name], str(each.n), *right, *moved, percent(each.followed))
    return grid
