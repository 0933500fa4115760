"""``gramr2 contamination``: which items of a benchmark are in the training data?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from gramr2.cli.console import Bars, Grid, Json, Quiet, say, say_json, set_up_logging, show
from gramr2.cli.opening import require_free
from gramr2.cli.reading import reads
from gramr2.comparison import Comparison
from gramr2.config.data import Layout
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError, ContaminatedError, DataError
from gramr2.text import percent

if TYPE_CHECKING:
    from gramr2.evaluation.benchmarks import LoadedBenchmark
    from gramr2.evaluation.contamination import Contamination
    from gramr2.evaluation.overlaps import Limits

WORST = 5
EVERY = 500
"""training comparisons between two reports"""


class Which(StrEnum):
    """Which texts of an item count."""

    ANY = "any"
    PROMPT = "prompt"
    RESPONSE = "response"


class SeveralAgainst(TyperCommand):
    """Takes all names that follow ``--against`` as benchmarks, as a shell writes out ``--against eval/*.jsonl``.

    Otherwise all but the first would count as training data, and a benchmark be compared with itself.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click: the option is given once for each name."""
        told: list[str] = []
        follows = False
        for each in args:
            if each.startswith("-"):
                follows = each.partition("=")[0] == "--against"
                begun = "=" in each
            elif follows and begun:
                told.append("--against")
            else:
                begun = True
            told.append(each)
        return super().parse_args(ctx, told)


@reads
def contamination(
    train: Annotated[
        list[str], typer.Argument(metavar="TRAIN…", help="What was trained on: files, hub data sets, or run folders.")
    ],
    against: Annotated[
        list[str],
        typer.Option("--against", help="Benchmarks, one or several: files, labelled or not, or NAME=COPY."),
    ],
    layout: Layout,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0.01, max=1, help="Share of a text's 13-grams from which it counts.")
    ] = 0.5,
    similarity: Annotated[
        float, typer.Option("--similarity", min=0.1, max=1, help="Jaccard overlap of 3-grams from which it counts.")
    ] = 0.8,
    common: Annotated[
        int, typer.Option("--common", min=1, help="What stands under more different prompts is a common phrase.")
    ] = 10,
    field: Annotated[Which, typer.Option("--field", help="Texts of an item that count.")] = Which.ANY,
    out: Annotated[
        Path | None, typer.Option("--out", help="File for the items found, a JSON line each; for eval --without.")
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option("--max-rate", min=0, max=1, help="Fail if more than this share of a benchmark is found."),
    ] = None,
    on_bad_row: Annotated[OnBadRow, typer.Option("--on-bad-row")] = OnBadRow.FAIL,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find the items of benchmarks whose prompt or responses are in the training data."""
    set_up_logging(quiet or as_json)
    from gramr2.data import placed
    from gramr2.evaluation.contamination import contamination as found_in
    from gramr2.evaluation.contamination import placed_items
    from gramr2.evaluation.overlaps import FIELDS, PROMPT, RESPONSES, Limits
    from gramr2.files import write_jsonl

    require_free({"--out": out}, {"TRAIN": train, "--against": against})
    if twice := {each for each in against if against.count(each) > 1}:
        raise ConfigError(f"--against {min(twice)} is given twice")
    fields = {Which.ANY: FIELDS, Which.PROMPT: (PROMPT,), Which.RESPONSE: RESPONSES}[field]
    skipped: list[str] = []

    def rows(source: str) -> Iterator[tuple[str, Comparison]]:
        return placed(source, on_bad_row=on_bad_row, layout=layout, skipped=skipped)

    bars = Bars(quiet or as_json)
    benchmarks: dict[str, Sequence[tuple[str, Comparison]]] = {}
    versions: dict[str, dict[str, str]] = {}
    for each in against:
        name, loaded = _named(each)
        if loaded is None:
            benchmarks[each] = list(rows(each))
            continue
        key = each if name in benchmarks else name
        benchmarks[key] = placed_items(loaded)
        versions[key] = {"version": loaded.version, "digest": loaded.digest}
        bars.note(f"{key}: {len(loaded.items)} items, {loaded.version}, digest {loaded.digest}")
    passed = 0

    def training() -> Iterator[tuple[str, Comparison]]:
        nonlocal passed
        # How many rows a file has is not known before it is read.
        with bars.task("look through the training data") as progress:
            for source in train:
                for each in _of_run(source) or rows(source):
                    passed += 1
                    yield each
                    if passed % EVERY == 0:
                        progress(passed, 0)
            progress(passed, passed)

    limits = Limits(threshold, similarity, common, fields)
    found = found_in(training(), benchmarks, limits)
    if out is not None:
        write_jsonl(out, ({"benchmark": name} | item.row() for name, each in found.items() for item in each.found))
    if as_json:
        worst = [{"benchmark": name} | item.row() for name, each in found.items() for item in each.found[:WORST]]
        say_json(
            {
                "benchmarks": {name: each.summary() for name, each in found.items()},
                "versions": versions,
                "train": {"sources": train, "n": passed},
                "limits": {"threshold": threshold, "similarity": similarity, "common": common, "field": field.value},
                "worst": worst,
                "skipped": skipped,
            }
        )
    else:
        _tell(found, limits, passed)
        if skipped:
            say(f"{len(skipped)} bad rows skipped; the first: {skipped[0]}")
    _refuse(found, max_rate)


def _named(against: str) -> tuple[str, LoadedBenchmark | None]:
    """The name of a public benchmark and its items, from a copy (``NAME=PATH``) or the hub; none for a file. A file of that name
    comes first.

    Raises:
        ConfigError: a copy is given of what is no benchmark.
        DataError: it cannot be read.
    """
    from gramr2.evaluation.benchmarks import benchmarks, load

    name, given, copy = against.partition("=")
    if Path(against).exists():
        return against, None
    if name in benchmarks():
        return name, load(name, copy if given else None)
    if given and "/" not in name and "." not in name:
        raise ConfigError(f"--against {against}: {name!r} is no benchmark: take one of {', '.join(benchmarks())}")
    return against, None


def _of_run(source: str) -> list[tuple[str, Comparison]]:
    """What a run learns from, if the source is a run's folder; else nothing."""
    path = Path(source)
    if not path.is_dir():
        return []
    from gramr2.selftraining.run.data import load_data
    from gramr2.selftraining.run.doubts import learnt_from
    from gramr2.selftraining.run.folder import config_of, record_of

    folder = record_of(path)
    if folder is None:
        return []
    if not (folder / "run.yaml").is_file():
        raise DataError(f"{source} is an adaptation and not a run: give the data that it was made from")
    return [(f"{source} {place}", each) for place, each in learnt_from(load_data(config_of(folder)))]


def _tell(found: dict[str, Contamination], limits: Limits, passed: int) -> None:
    grid = Grid(title=f"Found in {passed} training comparisons")
    keys = ("n", "overlapping", "grams", "near", "found", "by_prompt", "by_response", "short")
    for head in ("benchmark", "n", "any gram", "grams", "near", "found", "prompt", "response", "short"):
        grid.add_column(head, justify="left" if head == "benchmark" else "right")
    names = _short(list(found))
    for name, each in found.items():
        told = each.summary()
        grid.add_row(names[name], *(str(told[key]) for key in keys))
    show(grid)
    say(
        f"any gram: shares a 13-gram; grams: at least {limits.share:.0%} of a text's; near: a near duplicate, Jaccard of 3-grams "
        f"at least {limits.similarity:g}; prompt, response: by which they were found; short: both responses too short to "
        f"compare. What stands under more than {limits.common} different prompts does not count."
    )
    worst = sorted((item.rank, name, item) for name, each in found.items() for item in each.found[:WORST])
    if not worst:
        return
    grid = Grid(title="The worst")
    for head in ("item", "text", "13-grams", "Jaccard", "in", "begins"):
        grid.add_column(head, justify="right" if head in ("13-grams", "Jaccard") else "left", overflow="fold")
    for _, _, item in worst[:WORST]:
        field, match = item.worst
        source = f"{Path(match.best.where).name} {match.best.id}" if match.best else "–"
        near = "–" if match.similarity is None else f"{match.similarity:.2f}"
        grid.add_row(item.id, field, percent(match.share), near, source, item.text)
    show(grid)


def _short(names: Sequence[str]) -> dict[str, str]:
    """The names of files without their folder, where that tells them apart."""
    ends = {name: Path(name).name for name in names}
    return {name: end if list(ends.values()).count(end) == 1 else name for name, end in ends.items()}


def _refuse(found: dict[str, Contamination], max_rate: float | None) -> None:
    rates: Sequence[tuple[float, str]] = [(each.rate, name) for name, each in found.items()]
    if max_rate is not None and (worst := max(rates))[0] > max_rate:
        raise ContaminatedError(
            f"{worst[1]}: {len(found[worst[1]].found)} of {found[worst[1]].n} items ({percent(worst[0])}) are in the training "
            f"data, and --max-rate allows {percent(max_rate)}: take them out of the training data, or out of the evaluation "
            "with gramr2 eval --without"
        )
