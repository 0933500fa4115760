"""``gramr2 ablate``: the full method against ablated versions of it and against baselines, over several seeds."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gramr2.cli.console import Bars, Grid, Json, Quiet, say, say_json, set_up_logging, show
from gramr2.config import RunConfig, load_config
from gramr2.errors import ConfigError, RunError
from gramr2.text import hint


def ablate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the ablation; the same command resumes it.")],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds 1 to N.")] = 5,
    domain: Annotated[str, typer.Option("--domain", help="lab, or the run file to vary.")] = "lab",
    test: Annotated[
        str | None, typer.Option("--test", help="Labelled comparisons that no run sees; default in the lab: lab:test.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Number of test comparisons, the same for all cells.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            help="Configurations to run, separated by commas; name:N runs only the first N seeds of an expensive one.",
        ),
    ] = None,
    reference: Annotated[str, typer.Option("--reference", help="Configuration to compare the others with.")] = "full",
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Cells to run at once; default: what cores and memory allow.")
    ] = None,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep the weights of finished cells.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare the full method with ablated versions of it and with baselines; writes CSV, Markdown and HTML."""
    set_up_logging(quiet or as_json)
    from gramr2.research.ablation.marks import MARKS
    from gramr2.research.ablation.runner import AblationOutcome, AblationPlan, default_jobs, run_plan
    from gramr2.research.ablation.statistics import summarise
    from gramr2.research.ablation.tables import Account, account, cells, write_tables
    from gramr2.research.ablation.variants import FULL, variants_for

    base = _base(domain)
    test = test or ("lab:test" if domain == "lab" else None)
    if test is None:
        raise ConfigError("--test is needed with a run file: name labelled comparisons that are in none of its sources")
    refuse_seen(base, test)
    variants = variants_for(base)
    fewer: dict[str, int] = {}
    if only is not None:
        wanted, fewer = _wanted(only)
        unknown = sorted(set(wanted) - {each.name for each in variants})
        if unknown:
            known = [each.name for each in variants]
            raise ConfigError(
                f"--only {unknown[0]!r} is not known{hint(unknown[0], known)}: take some of {', '.join(known)}"
            )
        variants = [each for each in variants if each.name in wanted]
    names = [each.name for each in variants]
    # Without the full method there is nothing to compare with, unless a reference is named.
    if reference not in names and reference != FULL:
        raise ConfigError(
            f"--reference {reference!r} is not among the configurations{hint(reference, names)}: take one of {', '.join(names)}"
        )
    _refuse_overlong(base, test, limit)
    plan = AblationPlan(base, variants, range(1, seeds + 1), test, limit, keep_models, fewer)
    # A terminated ablation ends its cells too, as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    command = _command(domain=domain, seeds=seeds, test=test, limit=limit, only=only)
    command += f" --reference {reference}" if reference != FULL else ""

    def tabled(outcome: AblationOutcome) -> tuple[Account, list[Path]]:
        notes = [f"{name}: left out, {reason}." for name, reason in outcome.skipped.items()]
        notes += [f"{name}: no result, {reason}" for name, reason in outcome.failures.items()]
        if base.warmup and base.warmup.seed is not None and seeds > 1:
            notes.append("All seeds start from one warm-up, so the intervals do not cover other warm-ups.")
        if outcome.unfinished:
            notes.append(f"{outcome.unfinished} cells are not finished: the same command resumes them.")
        summaries = summarise(outcome.results, reference)
        title = f"Ablation on {domain}"
        told = account(title, summaries, variants, outcome.results, notes, command, reference)
        return told, write_tables(out, told, outcome.results)

    outcome = run_plan(plan, out, jobs or default_jobs(base), Bars(quiet or as_json), on_outcome=tabled)
    if not outcome.results:
        reasons = [*outcome.failures.values(), *outcome.skipped.values()]
        raise RunError(f"no cell has a result; the first reason: {reasons[0]}")
    told, paths = tabled(outcome)
    if as_json:
        results = [{key: value for key, value in each.items() if key != MARKS} for each in outcome.results]
        summaries = [asdict(each) for each in told.summaries]
        files = [str(path) for path in paths]
        say_json({"results": results, "summaries": summaries, "notes": list(told.notes), "files": files})
    else:
        grid = Grid(title=told.title)
        for name in told.headers:
            grid.add_column(name, justify="left" if name == told.headers[0] else "right")
        for each in told.summaries:
            grid.add_row(*cells(each))
        show(grid)
        for note in told.notes:
            say(note)
        say(told.provenance)
        say("\n".join(map(str, paths)))
    if outcome.failures:
        raise typer.Exit(1)


def _wanted(only: str) -> tuple[list[str], dict[str, int]]:
    """The names, and the number of seeds of those that state one."""
    names, fewer = [], {}
    for each in only.split(","):
        name, colon, seeds = each.strip().partition(":")
        names.append(name)
        if colon:
            if not seeds.isdecimal() or int(seeds) < 1:
                raise ConfigError(f"--only {each.strip()!r}: {seeds!r} is not a number of seeds: write {name}:3")
            fewer[name] = int(seeds)
    return names, fewer


def _command(**options: object) -> str:
    """The command that gives the same figures; the output folder and the number of cells at once do not change them."""
    given = [f"--{name} {value}" for name, value in options.items() if value is not None]
    return " ".join(["gramr2 ablate --out DIR", *given])


def _base(domain: str) -> RunConfig:
    if domain == "lab":
        from gramr2.research.lab.run import run_file

        return load_config(run_file())
    return load_config(Path(domain))


def refuse_seen(base: RunConfig, test: str) -> None:
    """Refuse a test set that a run sees, because it would measure nothing.

    Raises:
        DataError: some of its comparisons are in a source of the run.
    """
    from gramr2.data import OnBadRow, load_labeled, refuse_leaks
    from gramr2.selftraining.run.sources import read_unlabeled

    measured = load_labeled(test)[0]
    proving, final = base.rationale.proving.data, base.final.data if base.final else ()
    parts = {"data.seed": base.data.seed, "data.pool": base.data.pool, "data.gold": base.data.gold}
    for part, sources in (parts | {"rationale.proving.data": proving, "final.data": final}).items():
        for source in sources:
            seen = read_unlabeled(source, OnBadRow(base.data.on_bad_row))[0]
            refuse_leaks(measured, seen, of=f"--test {test}", where=part)


def _refuse_overlong(base: RunConfig, test: str, limit: int | None) -> None:
    """Fail early on over-long comparisons, before the first cell is trained."""
    from gramr2.judging.budget import overlong, refuse
    from gramr2.research.ablation.cell import template_of, test_set
    from gramr2.selftraining.run.engine import LocalEngine

    items = [(item.comparison, "") for item in test_set(test, limit)]
    room = base.judge.gold.max_new_tokens
    refuse(overlong(LocalEngine(base).counter(), template_of(base), items, new_tokens=room), len(items), test)
