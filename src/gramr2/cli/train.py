"""``gramr2 train``: the self-training run; the same command resumes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from gramr2.cli.console import Bars, Json, Quiet, interval, say, set_up_logging, show, stdout
from gramr2.config import RunConfig, load_config
from gramr2.text import p_value, percent


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
    """Run or resume, write the report, and print what came out."""
    set_up_logging(quiet or as_json)
    from gramr2.reporting.report import write_report
    from gramr2.reporting.run import read_run
    from gramr2.selftraining.loop import SelfTraining

    metrics = SelfTraining(config, folder, observer=Bars(quiet or as_json)).run()
    report = write_report(folder)
    baselines = read_run(folder).baselines
    if as_json:
        paths = {"run": str(folder), "judge": str(folder / "judge"), "report": str(report)}
        stdout.print_json(data=paths | {"rounds": metrics, "baselines": baselines})
        return
    if not quiet:
        show(table(metrics))
        measured = {name: each for name, each in baselines.items() if "gold" in each}
        if measured:
            show(baseline_table(measured, metrics[-1]["against_baselines"]))
    last = metrics[-1].get("since_seed")
    if last and not quiet:
        say(
            f"The last judge against the seed judge: {100 * last['difference']:+.1f} points "
            f"(95 % interval {100 * last['low']:+.1f} to {100 * last['high']:+.1f}, McNemar {p_value(last['p_value'])})."
        )
    for warning in () if quiet else metrics[-1]["warnings"]:
        say(f"Warning: {warning}")
    say(f"run    {folder}\njudge  {folder / 'judge'}\nreport {report}")


def table(metrics: list[dict[str, Any]]) -> Table:
    """One line a round: how the judge did on gold, and what it kept of the pool."""
    title = f"Accuracy on {metrics[0]['gold']['n']} gold comparisons, 95 % intervals"
    grid = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("round", "accuracy", "interval", "flips", "coverage", "kept", "verdict"):
        grid.add_column(name, justify="right", no_wrap=True)
    for row in metrics:
        gold, pool = row["gold"], row["pool"]
        grid.add_row(
            str(row["round"]) if row["stage"] == "round" else f"{row['round']} ({row['stage']})",
            percent(gold["accuracy"]),
            interval(gold["low"], gold["high"]),
            percent(gold["order_flip_rate"]),
            percent(gold["coverage"]),
            f"{pool['kept']} of {pool['judged']}" if pool["judged"] else "–",
            row.get("verdict", "–"),
        )
    return grid


def baseline_table(baselines: dict[str, Any], against: dict[str, Any]) -> Table:
    """One line a baseline: how it did on gold, and how many points the final judge is above it."""
    grid = Table(
        title="What it has to beat, and by how many points the final judge does",
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
            f"{100 * test['difference']:+.1f}",
            f"{100 * test['low']:+.1f} to {100 * test['high']:+.1f}",
            p_value(test["p_value"]),
        )
    return grid
