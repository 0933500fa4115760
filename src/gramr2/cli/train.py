"""``gramr2 train``: the self-training run; the same command resumes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box

from gramr2.cli.console import Bars, Grid, Json, Quiet, interval, say, say_json, set_up_logging, show
from gramr2.config import RunConfig, load_config
from gramr2.text import p_value, percent

if TYPE_CHECKING:
    from gramr2.evaluation.metrics import PairedTest
    from gramr2.selftraining.run.records import RoundRecord


def train(
    run: Annotated[Path, typer.Argument(metavar="RUN.yaml", help="The run file.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder; default: the file's out, else runs/NAME.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a judge: on the seed, then round by round on what it labels itself. The same command resumes."""
    config = load_config(run)
    run_and_show(config, out or Path(config.out or Path("runs") / run.stem), quiet, as_json)


def run_and_show(config: RunConfig, folder: Path, quiet: bool, as_json: bool) -> None:
    """Run or resume, write the report, and print the results."""
    set_up_logging(quiet or as_json)
    from gramr2.reporting.report import write_report
    from gramr2.reporting.run import read_run
    from gramr2.selftraining.loop import SelfTraining

    records = SelfTraining(config, folder, observer=Bars(quiet or as_json)).run()
    report = write_report(folder)
    baselines = read_run(folder).baselines
    if as_json:
        paths = {"run": str(folder), "judge": str(folder / "judge"), "report": str(report)}
        say_json(paths | {"rounds": [each.row() for each in records], "baselines": baselines})
        return
    if not quiet:
        show(table(records))
        measured = {name: each for name, each in baselines.items() if "gold" in each}
        if measured:
            show(baseline_table(measured, records[-1].against_baselines or {}))
    last = records[-1].since_seed
    if last and not quiet:
        say(
            f"The last judge against the seed judge: {100 * last.difference:+.1f} points "
            f"(95 % interval {100 * last.low:+.1f} to {100 * last.high:+.1f}, McNemar {p_value(last.p_value)})."
        )
    for warning in () if quiet else records[-1].warnings or ():
        say(f"Warning: {warning}")
    say(f"run    {folder}\njudge  {folder / 'judge'}\nreport {report}")


def table(records: Sequence[RoundRecord]) -> Grid:
    """One row per round: the judge's results on gold, and how much of the pool was kept."""
    title = f"Accuracy on {records[0].gold.n} gold comparisons, 95 % intervals"
    grid = Grid(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("round", "accuracy", "interval", "flips", "coverage", "kept", "verdict"):
        grid.add_column(name, justify="right", no_wrap=True)
    for each in records:
        gold, pool = each.gold, each.pool
        grid.add_row(
            str(each.round) if each.stage == "round" else f"{each.round} ({each.stage})",
            percent(gold.accuracy),
            interval(gold.low, gold.high),
            percent(gold.order_flip_rate),
            percent(gold.coverage),
            f"{pool.kept} of {pool.judged}" if pool.judged else "–",
            each.verdict or "–",
        )
    return grid


def baseline_table(baselines: dict[str, Any], against: Mapping[str, PairedTest]) -> Grid:
    """One row per baseline: its results on gold, and how many points the final judge is above it."""
    grid = Grid(
        title="Baselines, and by how many points the final judge beats them",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column in ("baseline", "accuracy", "interval", "points", "interval ", "McNemar"):
        grid.add_column(column, justify="left" if column == "baseline" else "right", no_wrap=True)
    for name, record in baselines.items():
        gold, test = record["gold"], against[name]
        grid.add_row(
            name,
            percent(gold["accuracy"]),
            interval(gold["low"], gold["high"]),
            f"{100 * test.difference:+.1f}",
            f"{100 * test.low:+.1f} to {100 * test.high:+.1f}",
            p_value(test.p_value),
        )
    return grid
