"""``gramr2 eval`` on a benchmark that is known by its name: the official score beside our columns."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gramr2.backends.journaled import JournaledBackend
from gramr2.cli.console import Bars, Grid, interval, say, say_json, show
from gramr2.cli.evaluation_tables import lines, tables
from gramr2.cli.opening import answers, journaled, measured_again, open_model, require_answers, saved, too_long
from gramr2.errors import ConfigError, NoVerdictError
from gramr2.judging.judge import Judge
from gramr2.judging.preference import PreferenceModel
from gramr2.loading import JudgeOptions
from gramr2.text import closest, hint, percent

PUBLISHED = (
    "the benchmark has one label of each comparison, not one of each annotator, so that how far people agree is unknown"
)


def is_named(benchmark: str, source: str | None) -> bool:
    """Whether ``--benchmark`` names one of the registry; a file or folder of that name comes first.

    Raises:
        ConfigError: a copy is given of what has no name, or a name is misspelt.
    """
    from gramr2.evaluation.benchmarks import benchmarks

    known = benchmarks()
    if source is not None and benchmark not in known:
        raise ConfigError(
            f"--from is the copy of a named benchmark, and {benchmark!r} is none{hint(benchmark, known)}: {', '.join(known)}"
        )
    here = Path(benchmark).exists()
    # A file has an ending, a hub id a slash, and a built-in source a colon.
    if not here and re.fullmatch(r"[\w-]+", benchmark) and benchmark not in known and closest(benchmark, known):
        raise ConfigError(
            f"{benchmark}: no such file, and no benchmark of that name{hint(benchmark, known)}: there are {', '.join(known)}"
        )
    return benchmark in known and (source is not None or not here)


def named(
    model: str,
    benchmark: str,
    source: str | None,
    how: JudgeOptions,
    *,
    limit: int | None,
    seed: int,
    out: Path | None,
    bar: float,
    quiet: bool,
    as_json: bool,
) -> None:
    """Evaluate, keep and show; see ``gramr2.cli.evaluate``."""
    from gramr2.evaluation import evaluating
    from gramr2.evaluation.benchmarks import load
    from gramr2.evaluation.benchmarks.loading import digest_of_items
    from gramr2.evaluation.log import ANSWERS
    from gramr2.judging.budget import refuse
    from gramr2.rewards import benchmarks

    bars = Bars(quiet or as_json)
    loaded = load(benchmark, source, seed=seed, limit=limit)
    bars.note(f"{benchmark}: {len(loaded.items)} of {loaded.total} items, {loaded.version}, digest {loaded.digest}")
    opened = open_model(model, how)
    options = how.settings | {"benchmark": digest_of_items(loaded.items)}
    asked = evaluating.Asked(benchmark, model, loaded.labeled, options, seed, limit, notes=(PUBLISHED,), bar=bar)
    folder = out or asked.folder(opened)
    summary = evaluating.there(folder, asked.key(opened))
    if summary is None:
        longest = benchmarks.longest_pairs(loaded.items)
        refuse(too_long(opened, longest, Bars(quiet or as_json, brief=True)), len(longest), benchmark)
        whole = True
        with answers(folder / ANSWERS, bars, lambda: not whole) as journal:
            judge = journaled(opened, journal)
            with bars.task(f"{benchmark}: {benchmarks.work(loaded.items)} comparisons") as progress:
                start = time.monotonic()
                given = benchmarks.answer(loaded.items, judge, seed=seed, progress=progress)
                seconds = round(time.monotonic() - start, 3)
            require_answers(judge)
            summary, items, sets = benchmarks.summarised(loaded, asked, opened, given)
            official = (summary.official or {}) | {"failed": failures(judge)}
            summary = summary.model_copy(update={"official": official, "seconds": seconds})
            whole = saved(folder, summary, items, bars, sets) and evaluating.finished(summary)
    else:
        bars.note(f"{folder} has this evaluation: nothing is judged again")
        summary = measured_again(folder, summary, asked, bars)
    assert summary.official is not None
    report: Mapping[str, Any] = summary.official
    if as_json:
        extra = {"model": summary.judge, "measures": summary.measures, "by_category": summary.result["by_category"]}
        extra["agreement"] = asdict(summary.agreement) if summary.agreement else None
        say_json(dict(report) | extra | {"out": str(folder)})
    else:
        show(_official(report))
        if summary.result["n"]:
            for table in tables(summary):
                show(table)
        for line in (*_told(report), *(lines(summary) if summary.result["n"] else ()), f"every item: {folder}"):
            say(line)
    if not report["coverage"] and not report["official_coverage"]:
        raise NoVerdictError(f"none of the {report['items']} items of {benchmark} was decided")


def failures(model: PreferenceModel) -> int:
    """How many answers of a journaled model failed, and are worth to be asked for again."""
    backend = model.backend if isinstance(model, Judge) else None
    return backend.failed if isinstance(backend, JournaledBackend) else 0


def _official(report: Mapping[str, Any]) -> Grid:
    """The official score of every section, under each policy that applies."""
    policies: Mapping[str, Mapping[str, float | None]] = report["policies"]
    public = report["policy"]
    order = [public, *(name for name in policies if name != public)]
    grid = Grid(title=f"{report['benchmark']}: {report['metric']}")
    grid.add_column("section")
    for name in order:
        grid.add_column(f"{name} (public)" if name == public else name, justify="right")
    for section in policies[public]:
        cells = [percent(policies[name].get(section)) for name in order]
        grid.add_row(section, *cells, style="bold" if section == "overall" else None)
    return grid


def _told(report: Mapping[str, Any]) -> Iterator[str]:
    if report["official_low"] is not None:
        bounds = interval(report["official_low"], report["official_high"])
        yield f"official score {percent(report['official']['overall'])}, 95 % interval {bounds}"
    yield (
        f"{report['items']} of {report['of']} items, {report['version']}, digest {report['digest']}; verdicts "
        f"{percent(report['official_coverage'])}, of them ties {percent(report['official_ties'])}"
    )
    if report["missing"]:
        yield f"not in this copy: {', '.join(report['missing'])}"
    if report["untold"]:
        yield f"{report['untold']} verdicts came without those of each order, and stand for both"
    sets = report["sets"]
    if sets:
        yield (
            f"first places: {percent(sets['accuracy'])} of {sets['ranked']} ranked sets ({interval(sets['low'], sets['high'])}), "
            f"by chance {percent(sets['chance'])}, the longest {percent(sets['longer'])}"
        )
