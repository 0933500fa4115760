"""``gramr2 rank``: prompts with many responses in, ranked responses out; the first is best-of-n."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramr2.cli.console import Bars, Json, Quiet, say, say_json, set_up_logging
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
from gramr2.config.data import Layout
from gramr2.data import OnBadRow
from gramr2.errors import NoVerdictError
from gramr2.judging.judge import Judge
from gramr2.loading import JudgeOptions
from gramr2.rewards.aggregation import Aggregation
from gramr2.rewards.tournaments import TOURNAMENTS, tournament
from gramr2.text import duration, percent


@asks
@reads
def rank(
    model: Model,
    data: Annotated[str, typer.Option("--data", "-d", help="Rows with prompt and responses (2 to 64).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON lines to write.")],
    how: JudgeOptions,
    layout: Layout,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme",
            help=f"Which pairs are compared: {', '.join(TOURNAMENTS)}.",
            autocompletion=lambda: list(TOURNAMENTS),
        ),
    ] = "round-robin",
    budget: Annotated[
        int | None, typer.Option("--budget", min=1, help="Comparisons per prompt, the most informative first.")
    ] = None,
    aggregation: Annotated[
        Aggregation, typer.Option("--aggregation", help="How results become scores.")
    ] = Aggregation.BRADLEY_TERRY,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs", help="Also write best and worst as prompt, chosen, rejected: data for TRL's DPO trainer."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Rank the first N prompts only.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the votes and of random draws.")] = 0,
    on_bad_row: Annotated[OnBadRow, typer.Option("--on-bad-row")] = OnBadRow.FAIL,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Rank the responses to each prompt and write their order with scores and intervals."""
    set_up_logging(quiet or as_json)
    require_free({"--out": out, "--pairs": pairs}, {"--data": data})
    chosen = tournament(scheme, budget)
    from gramr2.data import load_sets
    from gramr2.files import write_jsonl
    from gramr2.judging.budget import refuse
    from gramr2.rewards import ranking
    from gramr2.rewards.pairs import preference_row
    from gramr2.rewards.ranking import comparisons_of, longest, ranking_row, seconds_per_comparison
    from gramr2.selftraining.run.observer import reading

    early = Bars(quiet or as_json, brief=True)
    with reading(early):
        sets, report = load_sets(data, limit=limit, on_bad_row=on_bad_row, layout=layout)
    judge = open_model(model, how)
    refuse(too_long(judge, [longest(each) for each in sets], early), len(sets), data)
    wanted = comparisons_of(sets, chosen)
    bars = Bars(quiet or as_json)
    with answers(journal_of(out), bars) as journal:
        kept, fresh = journaled(judge, journal), not len(journal)
        note = f"{wanted} comparisons of {len(sets)} prompts ({chosen.name})"
        if isinstance(judge, Judge):
            # Asked in any case, so that a call that goes on asks the same requests together.
            pace = seconds_per_comparison(kept, sets, seed)
            # With answers from an earlier call, it is how fast a file is read.
            note += f", about {duration(pace * wanted)}" if fresh else ""
        bars.note(note)
        with bars.task(f"rank {len(sets)} prompts") as progress:
            rankings = ranking.rank(kept, sets, chosen, aggregation=aggregation, seed=seed, progress=progress)
        write_jsonl(out, (ranking_row(each, ranking) for each, ranking in zip(sets, rankings, strict=True)))
        preferences = [preference_row(each, ranking) for each, ranking in zip(sets, rankings, strict=True)]
        preferred = [row for row in preferences if row is not None]
        if pairs is not None:
            write_jsonl(pairs, preferred)
        require_answers(kept)
    made = sum(len(ranking.matches) for ranking in rankings)
    decided = sum(match.result is not None for ranking in rankings for match in ranking.matches)
    triples = sum(ranking.triples for ranking in rankings)
    summary = {
        "prompts": len(sets),
        "comparisons": made,
        "coverage": decided / made if made else None,
        "cycles": sum(ranking.cycles for ranking in rankings) / triples if triples else None,
        "undecided": [ranking.id for ranking in rankings if ranking.best is None],
        "skipped": list(report.skipped),
        "out": str(out),
    }
    if pairs is not None:
        summary |= {"pairs": len(preferred), "pairs_out": str(pairs)}
    if as_json:
        say_json(summary)
    elif not quiet:
        say(
            f"{len(sets)} prompts ranked in {made} comparisons, {percent(summary['coverage'])} decided, "  # type: ignore[arg-type]
            f"{percent(summary['cycles'])} of triples circular → {out}"  # type: ignore[arg-type]
        )
        if pairs is not None:
            say(f"{len(preferred)} of {len(sets)} prompts have a preference → {pairs}")
    if made and not decided:
        raise NoVerdictError(
            f"none of {made} comparisons was decided, so nothing is ranked: gramr2 judge says why on pairs of these responses"
        )
