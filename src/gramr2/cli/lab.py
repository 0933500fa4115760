"""``gramr2 lab``: the laboratory, where a program knows every right answer and every right step."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gramr2.cli.console import Bars, Grid, Json, Quiet, say, say_json, set_up_logging, show
from gramr2.cli.train import run_and_show
from gramr2.config import load_config
from gramr2.errors import ConfigError
from gramr2.text import percent

app = typer.Typer(
    help="The laboratory: tasks whose answers and steps a program checks, and a tiny model that judges them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("train")
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder.")] = Path("runs/lab"),
    seed: Annotated[int | None, typer.Option("--seed", help="Seed to use instead of the run file's.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train the lab's judge: a seed judge, three rounds of self-training, a report. Takes minutes on two cores."""
    from gramr2.research.lab.run import run_file

    config = load_config(run_file())
    run_and_show(config if seed is None else config.model_copy(update={"seed": seed}), out, quiet, as_json)


@app.command("config")
def show_config() -> None:
    """Print the lab's run file, as a starting point for your own."""
    from gramr2.research.lab.run import run_file

    say(run_file().read_text(encoding="utf-8").rstrip())


@app.command("data")
def data(
    part: Annotated[str, typer.Argument(help="labeled, unlabeled, gold or test.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON lines to write.")],
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The first N only.")] = None,
) -> None:
    """Write one of the lab's data sets, with true labels and rationales."""
    from itertools import islice

    from gramr2.files import write_jsonl
    from gramr2.research.lab.comparisons import PREFIX, rows

    found = list(islice(rows(PREFIX + part), limit))
    write_jsonl(out, found)
    say(f"{len(found)} comparisons in {out}")


@app.command("audit")
def audit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run in the lab.")], as_json: Json = False
) -> None:
    """Check a run's pseudo-labels and rationales against the truth, round by round and filter by filter."""
    from gramr2.evaluation.audit import by_fate
    from gramr2.reporting.run import read_run

    view = read_run(run)
    found = {
        each.number: audits
        for each in view.rounds
        if (audits := by_fate(each.kept, each.dropped, each.filters(view.stack)))
    }
    if not found:
        raise ConfigError(f"{run}: no round has labelled comparisons of the lab, and only those can be checked")
    if as_json:
        say_json(
            {n: {name: asdict(each) | each.shares() for name, each in audits.items()} for n, audits in found.items()}
        )
        return
    grid = Grid(title="Pseudo-labels, checked by a program")
    for name in (
        "round",
        "comparisons",
        "n",
        "label right",
        "derivation right",
        "rationale right",
        "right label, wrong derivation",
    ):
        grid.add_column(name, justify="left" if name == "comparisons" else "right")
    for number, audits in found.items():
        for name, each in audits.items():
            shares = each.shares()
            keys = ("label_accuracy", "derivation_correct", "rationale_correct", "right_label_wrong_derivation")
            values = [shares[key] for key in keys]
            grid.add_row(str(number), name, str(each.n), *(percent(value) for value in values))
    show(grid)


@app.command("pretrain")
def pretrain(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the model.")],
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Default: the shipped model's.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Default: the shipped model's.")] = None,
    quiet: Quiet = False,
) -> None:
    """Train the tiny model that ships with gramr2 again, from scratch."""
    set_up_logging(quiet)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty: give a new folder with --out")
    from gramr2.research.lab.pretrain import SEED, STEPS
    from gramr2.research.lab.pretrain import pretrain as make

    with Bars(quiet).task("pretrain the tiny model") as progress:
        make(
            out,
            steps=steps or STEPS,
            seed=SEED if seed is None else seed,
            on_step=lambda done, total, loss: progress(done, total),
        )
    say(str(out))


@app.command("rlhf")
def rlhf(
    judge: Annotated[str, typer.Option("--judge", "-j", help="A judge of the lab: the run of gramr2 lab train.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; the same command resumes in it.")],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds 1 to N.")] = 3,
    steps: Annotated[int, typer.Option("--steps", min=2, help="Optimiser steps of the policy.")] = 100,
    test: Annotated[int, typer.Option("--test", min=1, help="Test prompts that measure the policy.")] = 400,
    only: Annotated[
        str | None, typer.Option("--only", help="judge, bradley-terry, verifier, separated by commas.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a careless policy with GRPO on rewards from a judge, a Bradley-Terry model and the verifier; is one hacked?"""
    set_up_logging(quiet or as_json)
    from gramr2.backends.hardware import versions
    from gramr2.loading import require
    from gramr2.research.rlhf.plan import run_all
    from gramr2.research.rlhf.report import HEADERS, rows, write
    from gramr2.research.rlhf.study import Settings, Source

    names = [each.strip() for each in only.split(",")] if only else list(Source)
    for name in names:
        require(name, tuple(Source), "--only")
    sources = [Source(name) for name in names]
    results = run_all(
        judge, out, sources, range(1, seeds + 1), Settings(steps=steps, test=test), Bars(quiet or as_json)
    )
    command = f"gramr2 lab rlhf --judge RUN --out DIR --seeds {seeds} --steps {steps} --test {test}"
    files = write(out, results, f"{command}{f' --only {only}' if only else ''}; {versions()}")
    if as_json:
        say_json({"results": results, "files": [str(file) for file in files]})
        return
    grid = Grid(title=f"Right answers of the policy on {test} test prompts")
    for name in HEADERS:
        grid.add_column(name, justify="left" if name == HEADERS[0] else "right")
    for row in rows(results):
        grid.add_row(*row)
    show(grid)
    say("\n".join(map(str, files)))
