"""``gramr2 stress``: how often attacks move a judge, beside neutral edits of the same length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box

from gramr2.cli.console import Bars, Grid, Json, Quiet, interval, say, say_json, set_up_logging, show, stderr
from gramr2.cli.judge import refuse_undecided
from gramr2.cli.opening import (
    Model,
    answers,
    asks,
    journal_of,
    journaled,
    open_model,
    require_answers,
    require_free,
    too_long,
)
from gramr2.cli.reading import reads
from gramr2.comparison import Comparison
from gramr2.config.data import Layout
from gramr2.data import OnBadRow
from gramr2.judging.judge import Judge
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.scalar import ScalarJudge
from gramr2.loading import JudgeOptions
from gramr2.text import percent

if TYPE_CHECKING:
    from gramr2.evaluation.moves import Finding
    from gramr2.evaluation.stress import Fits, Stressed


@asks
@reads
def stress(
    model: Model,
    data: Annotated[
        str, typer.Option("--data", "-d", help="Comparisons, labelled or not: a file, a folder or a hub data set.")
    ],
    how: JudgeOptions,
    layout: Layout,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use N comparisons, drawn with --seed.")] = None,
    only: Annotated[
        str | None, typer.Option("--only", help="Names of attacks, with commas between them; default: all.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the votes, of --limit and of drawn edits.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON file with the figures; default: a new one in runs/stress.")
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option(
            "--max-rate",
            min=0,
            max=1,
            help="Exit with 1 if an attack moves more than this share of verdicts, such as 0.1.",
        ),
    ] = None,
    on_bad_row: Annotated[OnBadRow, typer.Option("--on-bad-row")] = OnBadRow.FAIL,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Attack a judge, and measure how often its verdict moves towards the attacked response."""
    set_up_logging(quiet or as_json)
    require_free({"--out": out}, {"--data": data})
    from gramr2.backends.versions import versions
    from gramr2.data import load_unlabeled, subset
    from gramr2.evaluation import stress as stressing
    from gramr2.evaluation.attacks import chosen
    from gramr2.files import write_json

    attacks = chosen(None if only is None else [name.strip() for name in only.split(",") if name.strip()])
    comparisons, report = load_unlabeled(data, on_bad_row=on_bad_row, layout=layout)
    if limit is not None:
        comparisons = subset(comparisons, limit, seed)
    opened = open_model(model, how)
    bars, again = Bars(quiet or as_json), False
    fits = _fitting(opened, comparisons, data, bars)
    place = out or stressing.default_out(data, model, opened, comparisons, how.settings, seed, attacks)
    with answers(journal_of(place), bars, lambda: again) as journal:
        judge = journaled(opened, journal)
        with bars.task(f"{len(attacks)} attacks on {len(comparisons)} comparisons") as progress:
            found = stressing.stress(judge, comparisons, attacks, seed=seed, fits=fits, progress=progress)
        require_answers(judge)
        again = found.errors > 0
        result = {
            "model": opened.id,
            "data": data,
            "seed": seed,
            "judged": len(found.originals),
            "decided": found.decided,
            "errors": found.errors,
            "skipped": list(report.skipped),
            "attacks": {each.attack: asdict(each) for each in found.findings},
            "max_rate": max_rate,
            "beyond": None if max_rate is None else [each.attack for each in found.beyond(max_rate)],
            "with": versions(),
        }
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_json(place, result)
        except OSError as error:
            bars.note(f"{place}: the figures cannot be saved: {error.strerror}")
    if as_json:
        say_json(result | {"out": str(place)})
    else:
        show(_table(f"{opened.id} on {data}", found.findings))
        for line in _lines(found):
            say(line)
        say(f"figures: {place}")
    refuse_undecided(found.originals)
    if max_rate is not None and (beyond := found.beyond(max_rate)):
        say(f"gramr2: {_failed(opened.id, beyond, max_rate)}", to=stderr, style="red")
        raise typer.Exit(1)


def _fitting(model: PreferenceModel, comparisons: Sequence[Comparison], data: str, bars: Bars) -> Fits | None:
    """Whether an edited comparison fits the judge; None for a model to which nothing is too long.

    Raises:
        PromptTooLongError: a comparison does not fit as it is.
    """
    from gramr2.judging.budget import refuse

    if not isinstance(model, Judge | ScalarJudge):
        return None
    refuse(too_long(model, comparisons, bars), len(comparisons), data)
    silent = Bars(True)
    return lambda edited: not too_long(model, [edited], silent)


def _table(title: str, findings: Sequence[Finding]) -> Grid:
    grid = Grid(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("attack", "n", "moved", "neutral", "difference", "P"):
        grid.add_column(name, justify="left" if name == "attack" else "right")
    for each in findings:
        moved, bounds = each.attacked, "–"
        if each.low is not None and each.high is not None:
            bounds = f"{_points(each.difference)} ({_points(each.low)}…{_points(each.high)})"
        grid.add_row(
            each.attack,
            str(each.n),
            "–" if moved is None else f"{percent(moved.rate)} ({interval(moved.low, moved.high)})",
            percent(None if each.neutral is None else each.neutral.rate),
            bounds,
            _points(each.change),
        )
    return grid


def _points(value: float | None) -> str:
    """“+3.1”, in percentage points."""
    return "–" if value is None else f"{round(100 * value, 1) + 0.0:+.1f}"


def _lines(found: Stressed) -> Iterator[str]:
    yield (
        f"decided {found.decided} of {len(found.originals)} as they are; moved: towards the attacked response, which had lost; "
        "intervals 95 %, differences and the mean change of P (the attacked one is better) in points"
    )
    findings = found.findings
    left = {
        "over-long with the edit, and not asked": [(each.attack, each.over_long) for each in findings],
        "cannot be edited so": [(each.attack, each.not_applicable) for each in findings],
        "asked, but left out without a verdict": [(each.attack, each.asked - each.n) for each in findings],
    }
    for what, numbers in left.items():
        if told := ", ".join(f"{name} {count}" for name, count in numbers if count):
            yield f"{what}: {told}"
    if found.errors:
        yield f"{found.errors} votes failed: the same command asks for them again"


def _failed(model: str, beyond: Sequence[Finding], rate: float) -> str:
    """One sentence on the attacks beyond the gate: the worst with its figures, the others by name."""
    told = []
    moved = [each for each in beyond if each.attacked is not None]
    for each in moved[:1]:
        assert each.attacked is not None
        share = (
            f"{percent(each.attacked.rate)} of {each.n} verdicts ({interval(each.attacked.low, each.attacked.high)})"
        )
        others = ", ".join(other.attack for other in moved[1:])
        also = f", and also by {others}" if others else ""
        told.append(f"{model} is moved by {each.attack} on {share}, more than --max-rate {percent(rate)}{also}")
    if unknown := ", ".join(each.attack for each in beyond if each.attacked is None):
        told.append(f"nothing is known of {unknown}, since no comparison could be asked or none has a verdict")
    return "; ".join(told)
