"""``gramr2 adapt``: a judge and some labelled comparisons of a task in, a judge for that task out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any

import typer

from gramr2.adaptation.task import OnRegression, Rationales
from gramr2.cli.console import Bars, Grid, Json, Quiet, interval, say, say_json, set_up_logging, show
from gramr2.cli.opening import Close, Tokens
from gramr2.cli.reading import reads
from gramr2.config.data import Layout
from gramr2.errors import ConfigError
from gramr2.text import p_value, percent


@reads
def adapt(
    model: Annotated[
        str, typer.Option("--model", "-m", help="The judge: run or model folder, hub id, .gguf or named model.")
    ],
    data: Annotated[str, typer.Option("--data", "-d", help="Labelled comparisons of the task, 8 to 1,000 or so.")],
    layout: Layout,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; the same command resumes in it.")],
    test: Annotated[
        str | None, typer.Option("--test", help="Labelled comparisons to measure on; default: a part of --data.")
    ] = None,
    general: Annotated[
        str | None, typer.Option("--general", help="Labelled comparisons on which the judge must not get worse.")
    ] = None,
    on_regression: Annotated[
        OnRegression,
        typer.Option("--on-regression", help="What to do if the judge is significantly worse on --general."),
    ] = OnRegression.REFUSE,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay", help="Labelled comparisons of what it could do before, to train on along with the task's."
        ),
    ] = None,
    replay_limit: Annotated[
        int | None,
        typer.Option("--replay-limit", min=1, help="How many of them; default: as many as there are of the task."),
    ] = None,
    rationales: Annotated[
        Rationales | None,
        typer.Option("--rationales", help="Default: the rows' own, or the judge's where missing."),
    ] = None,
    few_shot: Annotated[int, typer.Option("--few-shot", min=0, help="Show N examples in the prompt; no training.")] = 0,
    curve: Annotated[
        str | None, typer.Option("--curve", help="Also train on these numbers of comparisons, like 16,64,256.")
    ] = None,
    held_out: Annotated[
        float,
        typer.Option("--held-out", min=0.01, max=0.9, help="Share of --data to measure on if there is no --test."),
    ] = 0.2,
    epochs: Annotated[float, typer.Option("--epochs", min=0.01, help="Maximum number of passes over the data.")] = 10,
    min_steps: Annotated[int, typer.Option("--min-steps", min=0, help="Minimum number of steps; adds passes.")] = 0,
    learning_rate: Annotated[float, typer.Option("--learning-rate", min=1e-12, help="Peak learning rate.")] = 2e-4,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Examples per step.")] = 8,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Rank of the LoRA update.")] = 16,
    patience: Annotated[
        int, typer.Option("--patience", min=0, help="Stop after N epochs without a lower held-out loss; 0: never.")
    ] = 2,
    max_new_tokens: Tokens = 256,
    close: Close = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of all random draws.")] = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Adapt a judge to a task from a few labelled comparisons; measures before and after, and guards against regressions."""
    set_up_logging(quiet or as_json)
    from gramr2.adaptation.adapt import Adaptation
    from gramr2.adaptation.task import Task
    from gramr2.config.training import EarlyStopConfig, LoraConfig, TrainingConfig

    sizes = _sizes(curve)
    task = Task(
        model=model,
        data=data,
        layout=layout,
        test=test,
        general=general,
        held_out=held_out,
        sizes=sizes,
        shots=few_shot,
        replay=replay,
        replay_limit=replay_limit,
        rationales=rationales,
        training=TrainingConfig(
            method="lora",
            lora=LoraConfig(rank=rank, alpha=2 * rank),
            epochs=epochs,
            min_steps=min_steps,
            learning_rate=learning_rate,
            batch_size=batch_size,
            early_stop=EarlyStopConfig(patience=patience) if patience else None,
        ),
        max_new_tokens=max_new_tokens,
        close_on_budget=close,
        on_regression=on_regression,
        seed=seed,
    )
    result = Adaptation(task, out, observer=Bars(quiet or as_json)).run()
    files = _write_curve(out, result["points"])
    if as_json:
        say_json(result | {"judge": str(out / "judge")})
        return
    show(_table(result))
    say("Accuracy is over decided comparisons; a change counts undecided ones as wrong.")
    say(_on_general(result))
    say("\n".join([f"judge  {out / 'judge'}", f"figures {out / 'adaptation.json'}", *map(str, files)]))


def _sizes(curve: str | None) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({int(each) for each in curve.split(",")})) if curve else ()
    except ValueError:
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise ConfigError(f"--curve {curve!r} is not a list of numbers of comparisons: write it like 16,64,256")
    return sizes


def _name(point: dict[str, Any]) -> str:
    if "shots" in point:
        return f"{point['shots']} shown"
    replayed = f" + {point['replayed']} old" if point.get("replayed") else ""
    return f"{point['trained_on']}{replayed}" if point["trained_on"] else "none"


def _table(result: dict[str, Any]) -> Grid:
    grid = Grid(title=f"Accuracy on {result['points'][0]['n']} comparisons ({result['measured_on']})")
    for name in (
        "learnt from",
        "accuracy",
        "95 % interval",
        "flips",
        "coverage",
        "change, points",
        "95 % interval ",
        "McNemar",
    ):
        grid.add_column(name, justify="right", no_wrap=True)
    for point in result["points"]:
        change = point["change"]
        against = (
            f"{100 * change['difference']:+.1f}",
            f"{100 * change['low']:+.1f} to {100 * change['high']:+.1f}",
            p_value(change["p_value"]),
        )
        grid.add_row(
            _name(point),
            percent(point["accuracy"]),
            interval(point["low"], point["high"]),
            percent(point["order_flip_rate"]),
            percent(point["coverage"]),
            *(against if point is not result["points"][0] else ("", "", "")),
        )
    return grid


def _on_general(result: dict[str, Any]) -> str:
    found = result["general"]
    if found is None:
        return "It was not measured whether the judge got worse elsewhere: name a general set with --general."
    change = found["change"]
    return (
        f"{found['set']}: {percent(found['before']['accuracy'])} before, {percent(found['after']['accuracy'])} after "
        f"({100 * change['difference']:+.1f} points, 95 % interval {100 * change['low']:+.1f} to {100 * change['high']:+.1f}, "
        f"McNemar {p_value(change['p_value'])}, n = {found['after']['n']})"
        + (": significantly worse, but published." if found["fell"] else ".")
    )


def _write_curve(out: Path, points: list[dict[str, Any]]) -> list[Path]:
    """The learning curve as a table and a figure, if there is one."""
    if len(points) < 3:
        return []
    from gramr2.reporting.plots import accuracy

    table, figure = out / "curve.csv", out / "curve.svg"
    keys = ("trained_on", "n", "accuracy", "low", "high", "coverage", "order_flip_rate")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(points)
    values = [None if p["accuracy"] is None else (p["accuracy"], p["low"], p["high"]) for p in points]
    names = [_name(point) for point in points]
    title = "Accuracy by comparisons learnt from"
    figure.write_text(
        accuracy(names, values, [True] * len(points), ylabel="accuracy, %", title=title, page="white"),
        encoding="utf-8",
    )
    return [table, figure]
