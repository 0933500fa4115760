"""``gramr2 eval``: accuracy on labelled comparisons, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramr2.cli.benchmark import is_named, named
from gramr2.cli.console import Bars, Grid, Json, Quiet, interval, say, say_json, set_up_logging, show
from gramr2.cli.evaluation_tables import lines, tables
from gramr2.cli.judge import refuse_undecided
from gramr2.cli.opening import (
    Model,
    answers,
    asks,
    journaled,
    measured_again,
    open_model,
    require_answers,
    saved,
    too_long,
)
from gramr2.cli.reading import reads
from gramr2.comparison import LabeledComparison
from gramr2.config.data import Layout
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError
from gramr2.evaluation.agreement.alternative import EPSILON
from gramr2.judging.judge import Judge
from gramr2.judging.saved import own_prompt
from gramr2.judgment import Decision
from gramr2.loading import JudgeOptions
from gramr2.text import percent

if TYPE_CHECKING:
    from gramr2.evaluation.audit import Audit
    from gramr2.evaluation.faithfulness import Probe

VERSION = "1"
Bar = Annotated[
    float,
    typer.Option(
        "--bar", help="An accuracy between 0 and 1: also tell how many more labels show whether the judge is above it."
    ),
]
Epsilon = Annotated[
    float,
    typer.Option(
        "--epsilon",
        help="What the judge may agree less with the annotators than one of them does; 0.1 to 0.2 is usual.",
    ),
]
HEADLINE = ("n", "accuracy", "low", "high", "order_flip_rate", "coverage")


@asks
@reads
def evaluate(
    model: Model,
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark",
            "-b",
            help="Labelled comparisons: a file, a folder, a hub data set, or starter:gold; or the name of a benchmark.",
        ),
    ],
    how: JudgeOptions,
    layout: Layout,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="Use N comparisons, drawn with --seed; of a named benchmark N items, or groups that are scored together.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the votes and of --limit.")] = 0,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="A local copy of a named benchmark, as published or in gramr2's form; default: the hub."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the evaluation; default: a new one under runs/eval."),
    ] = None,
    probes: Annotated[
        bool, typer.Option("--probe", help="Also measure how far the verdict follows a changed rationale.")
    ] = False,
    without: Annotated[
        Path | None,
        typer.Option("--without", help="Also tell the accuracy without these items: --out of gramr2 contamination."),
    ] = None,
    bar: Bar = 0.5,
    epsilon: Epsilon = EPSILON,
    on_bad_row: Annotated[OnBadRow, typer.Option("--on-bad-row")] = OnBadRow.FAIL,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure a judge on labelled comparisons, and keep every item in a folder."""
    set_up_logging(quiet or as_json)
    if not 0 < bar < 1:
        raise ConfigError(f"--bar {bar:g}: give a share between 0 and 1, such as 0.5")
    if not 0 <= epsilon < 1:
        raise ConfigError(f"--epsilon {epsilon:g}: give a share from 0 to 1, such as 0.1")
    if is_named(benchmark, source):
        if probes or without or epsilon != EPSILON:
            flag = "--probe" if probes else "--without" if without else "--epsilon"
            raise ConfigError(f"{flag} is for a file of comparisons: leave it out, or name a file")
        if layout != Layout() or on_bad_row is not OnBadRow.FAIL:
            raise ConfigError(
                f"{benchmark} has a layout of its own: leave out --columns, --label-map, --split and --on-bad-row, or name a file"
            )
        named(model, benchmark, source, how, limit=limit, seed=seed, out=out, bar=bar, quiet=quiet, as_json=as_json)
        return
    from gramr2.data import load_labeled, subset
    from gramr2.data.annotations import annotated
    from gramr2.evaluation import evaluating
    from gramr2.evaluation.evaluating import finished
    from gramr2.evaluation.leaving_out import LeftOut
    from gramr2.evaluation.log import ANSWERS, read_log
    from gramr2.judging.budget import refuse
    from gramr2.selftraining.run.observer import reading

    left_out = LeftOut.read(without) if without else None
    early = Bars(quiet or as_json, brief=True)
    with reading(early):
        rows, report = load_labeled(benchmark, on_bad_row=on_bad_row, layout=layout)
    people = annotated(rows)
    items = people.items
    if limit is not None:
        items = subset(items, limit, seed, key=lambda item: item.comparison.id)
    if probes and how.prompt and own_prompt(how.prompt) is None:
        raise ConfigError("--probe reads verdicts in gramr2's own form: leave --prompt out")
    opened = open_model(model, how, ["--probe"] if probes else [])
    labels = {name: people.labels[name] for each in items if (name := each.comparison.id) in people.labels}
    asked = evaluating.Asked(
        benchmark,
        model,
        items,
        how.settings,
        seed,
        limit,
        report.skipped,
        labels=labels,
        notes=people.notes,
        bar=bar,
        epsilon=epsilon,
    )
    folder = out or asked.folder(opened)
    summary = evaluating.there(folder, asked.key(opened))
    bars = Bars(quiet or as_json)
    decisions: Sequence[Decision] = ()
    found, checked = None, None
    if summary is None or probes:
        comparisons = [item.comparison for item in items]
        refuse(too_long(opened, comparisons, early), len(comparisons), benchmark)
        if summary is not None:
            bars.note("--probe needs the rationales: the answers are asked for again")
        whole = True
        with answers(folder / ANSWERS, bars, lambda: not whole) as journal:
            judge = journaled(opened, journal)
            with bars.task(f"judge {len(items)} comparisons") as progress:
                judged = evaluating.judge_items(judge, asked, progress)
            require_answers(judge)
            decisions = judged.decisions
            if isinstance(judge, Judge) and probes:
                found = _probed(judge, items, decisions, quiet or as_json)
            summary, told = evaluating.summarised(asked, opened, judged)
            whole = saved(folder, summary, told, bars) and finished(summary)
        checked = _checked(items, decisions) if probes else None
    else:
        bars.note(f"{folder} has this evaluation: nothing is judged again")
        summary = measured_again(folder, summary, asked, bars)
    others = left_out.accuracy(items, decisions or read_log(folder).items, seed) if left_out else None
    if as_json:
        values: dict[str, Any] = dict(summary.result)
        if found is not None:
            values["probes"] = {name: asdict(each) for name, each in found.items()}
            values["derivations"] = checked.shares() if checked else None
        if others is not None:
            values["without"] = others
        first = {"benchmark": benchmark, "version": VERSION} | {key: summary.result[key] for key in HEADLINE}
        extra = {
            "skipped": list(summary.skipped),
            "model": summary.judge,
            "longer_response_accuracy": summary.longer,
            "measures": summary.measures,
            "agreement": asdict(summary.agreement) if summary.agreement else None,
            "out": str(folder),
        }
        say_json(first | values | extra)
    else:
        for table in tables(summary, others):
            show(table)
        if found is not None:
            show(_probe_table(found))
        if checked is not None:
            say(_derivations(checked))
        for line in (*lines(summary), f"every item: {folder} (gramr2 view {folder})"):
            say(line)
    refuse_undecided(decisions)


def _derivations(checked: Audit) -> str:
    shares = checked.shares()
    return (
        f"of {checked.reasoned} rationales, checked by a program: derivation right {percent(shares['derivation_correct'])}, "
        f"all right {percent(shares['rationale_correct'])}; of right verdicts, "
        f"{percent(shares['right_label_wrong_derivation'])} come with a wrong derivation"
    )


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
