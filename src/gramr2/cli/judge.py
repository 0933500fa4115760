"""``gramr2 judge``: comparisons in, decisions out, one JSON object per line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
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
from gramr2.errors import ConfigError, NoVerdictError
from gramr2.judging.judge import Judge, compare_with
from gramr2.judging.scalar import ScalarJudge
from gramr2.judgment import Decision, Outcome
from gramr2.loading import JudgeOptions, kind_of
from gramr2.text import percent


def failures(decisions: Sequence[Decision]) -> str:
    """How votes failed on comparisons without a decision, in one sentence that says what to change."""
    votes = [vote for decision in decisions if decision.label is None for vote in decision.judgments]
    counts = Counter(vote.outcome for vote in votes if vote.outcome.label is None)
    told = ", ".join(
        f"{count} {'vote' if count == 1 else 'votes'} {outcome.value}" for outcome, count in counts.most_common()
    )
    remedies = {
        Outcome.TRUNCATED: "raise --max-new-tokens, read the verdict of truncated votes with --close, or use --verdict direct",
        Outcome.UNPARSEABLE: "no verdict was written: use a trained judge, or --verdict direct",
        Outcome.ERROR: next((vote.error for vote in votes if vote.error), None) or "the model failed",
    }
    return f"{told}; {remedies[counts.most_common(1)[0][0]]}" if counts else "an order gave no verdict"


def refuse_undecided(decisions: Sequence[Decision]) -> None:
    """Refuse to call a command finished that decided nothing at all.

    Raises:
        NoVerdictError: with how the votes failed, and what to change.
    """
    if decisions and all(decision.label is None for decision in decisions):
        raise NoVerdictError(f"none of {len(decisions)} comparisons was decided: {failures(decisions)}")


class OnOverlong(StrEnum):
    """What to do with a comparison that does not fit the model: stop, or drop and count it."""

    REFUSE = "refuse"
    DROP = "drop"


@asks
@reads
def judge(
    model: Model,
    data: Annotated[str, typer.Option("--data", "-d", help="Comparisons: a file, a folder or a hub data set.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON lines to write.")],
    how: JudgeOptions,
    layout: Layout,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Judge the first N only.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the votes.")] = 0,
    on_bad_row: Annotated[OnBadRow, typer.Option("--on-bad-row")] = OnBadRow.FAIL,
    on_overlong: Annotated[OnOverlong, typer.Option("--on-overlong")] = OnOverlong.REFUSE,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Judge comparisons and write label, confidence, rationale and votes for each."""
    set_up_logging(quiet or as_json)
    require_free({"--out": out}, {"--data": data})
    from gramr2.data import load_unlabeled
    from gramr2.files import write_jsonl
    from gramr2.judging.budget import refuse
    from gramr2.judging.records import decision_row
    from gramr2.selftraining.run.observer import reading

    early = Bars(quiet or as_json, brief=True)
    with reading(early):
        comparisons, report = load_unlabeled(data, limit=limit, on_bad_row=on_bad_row, layout=layout)
    opened = open_model(model, how)
    if on_overlong is not OnOverlong.REFUSE and not isinstance(opened, Judge | ScalarJudge):
        raise ConfigError(f"--on-overlong does not apply to the {kind_of(model)} {model}: leave it out")
    found = too_long(opened, comparisons, early)
    if on_overlong is OnOverlong.REFUSE:
        refuse(found, len(comparisons), data)
    names = {each.id for each in found}
    kept = [c for c in comparisons if c.id not in names]
    bars = Bars(quiet or as_json)
    with answers(journal_of(out), bars) as journal:
        asked = journaled(opened, journal)
        with bars.task(f"judge {len(kept)} comparisons") as progress:
            decisions = compare_with(asked, kept, seed=seed, progress=progress)
        write_jsonl(out, map(decision_row, decisions))
        require_answers(asked)
    decided = [d for d in decisions if d.label is not None]
    flips = [d.order_flip for d in decided if d.order_flip is not None]
    summary = {
        "judged": len(decisions),
        "decided": len(decided),
        "order_flip_rate": sum(flips) / len(flips) if flips else None,
        "overlong": sorted(names),
        "skipped": list(report.skipped),
        "out": str(out),
    }
    if as_json:
        say_json(summary)
    elif not quiet:
        if len(decided) < len(decisions):
            say(f"undecided: {failures(decisions)}")
        say(
            f"{len(decided)} of {len(decisions)} decided, order flips {percent(summary['order_flip_rate'])}"  # type: ignore[arg-type]
            f"{f', {len(names)} over-long dropped' if names else ''}"
            f"{f', {len(report.skipped)} bad rows skipped' if report.skipped else ''} → {out}"
        )
    refuse_undecided(decisions)
