"""``gramr2 score``: single responses in, a score for each out."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramr2.backends.base import Backend
from gramr2.backends.journaled import JournaledBackend
from gramr2.cli.console import Bars, Json, Quiet, interval, say, say_json, set_up_logging
from gramr2.cli.opening import (
    Model,
    answers,
    asks,
    journal_of,
    journaled,
    open_judge,
    open_model,
    require_answers,
    require_free,
)
from gramr2.cli.reading import reads
from gramr2.config.data import Layout
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError, NoVerdictError
from gramr2.judging.judge import Judge, compare_with
from gramr2.judging.preference import PreferenceModel
from gramr2.loading import JudgeOptions
from gramr2.text import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gramr2.comparison import SingleResponse
    from gramr2.rewards.calibration import PairCalibration
    from gramr2.rewards.pointwise import Scored


class Way(StrEnum):
    """How a response is scored."""

    REFERENCE = "reference"
    RATIONALE = "rationale"


@asks
@reads
def score(
    model: Model,
    data: Annotated[
        str, typer.Option("--data", "-d", help="Rows with prompt and response, or responses; optionally a reference.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON lines to write.")],
    how: JudgeOptions,
    layout: Layout,
    by: Annotated[
        Way,
        typer.Option(
            "--by", help="reference: chance to beat a reference; rationale: a grade from 1 to 10 with reasons."
        ),
    ] = Way.REFERENCE,
    references: Annotated[
        str | None,
        typer.Option("--references", help="Bank of references: rows with prompt and response, or responses."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", help="Model whose greedy answers serve as references for rows without one."),
    ] = None,
    calibrate: Annotated[
        int,
        typer.Option(
            "--calibrate", min=0, help="Also compare N pairs, and write each score as log-odds of winning such pairs."
        ),
    ] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Score the first N only.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the votes.")] = 0,
    on_bad_row: Annotated[OnBadRow, typer.Option("--on-bad-row")] = OnBadRow.FAIL,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score responses one by one and write score, spread and rationale for each."""
    set_up_logging(quiet or as_json)
    require_free({"--out": out}, {"--data": data, "--references": references})
    from gramr2.data import load_responses
    from gramr2.files import write_jsonl
    from gramr2.rewards.pointwise import against_references, grade, greedy_references, references_from
    from gramr2.selftraining.run.observer import reading

    if by is Way.RATIONALE and how.verdict and not calibrate:
        raise ConfigError("--by rationale grades each response by itself: --verdict is for comparisons, leave it out")
    if by is Way.RATIONALE and how.prompt and not calibrate:
        raise ConfigError("--by rationale grades each response by itself: --prompt is for comparisons, leave it out")
    if by is Way.RATIONALE and (references or policy):
        raise ConfigError("--by rationale grades each response by itself: leave --references and --policy out")
    early = Bars(quiet or as_json, brief=True)
    with reading(early):
        items, report = load_responses(data, limit=limit, on_bad_row=on_bad_row, layout=layout)
    skipped = [*report.skipped]
    banks: dict[str, tuple[str, ...]] = {}
    if references is not None:
        bank, of_bank = load_responses(references, on_bad_row=on_bad_row)
        banks = references_from(bank, items, references)
        skipped += of_bank.skipped
    from_file = len(banks)
    # Options that the policy needs are not refused for a judge that cannot use them.
    of_policy = ("max_new_tokens", "backend", "dtype", "device", "trust_remote_code") if policy is not None else ()
    judge = open_judge(model, how) if by is Way.RATIONALE else open_model(model, how, shared=of_policy)
    bars = Bars(quiet or as_json)
    bare = [item for item in items if not item.references and item.id not in banks]
    with answers(journal_of(out), bars) as journal:
        kept = journaled(judge, journal)
        if policy is not None and bare:
            with bars.task(f"answer {len(bare)} prompts greedily") as progress:
                answering = JournaledBackend(_backend(policy, how), journal)
                banks |= greedy_references(answering, bare, max_new_tokens=how.budget, progress=progress)
        opponents = {item.id: len(banks.get(item.id, item.references)) for item in items}
        with bars.task(f"score {len(items)} responses") as progress:
            if isinstance(kept, Judge) and by is Way.RATIONALE:
                scored = grade(kept.backend, items, kept.sampling, seed=seed, progress=progress)
            else:
                scored = against_references(kept, items, banks, seed=seed, progress=progress)
        scale = _scale(kept, items, scored, calibrate, seed, bars) if calibrate else None
        write_jsonl(out, (_row(each, by, opponents[each.id], scale) for each in scored))
        require_answers(kept)
    values = [each.score for each in scored if each.score is not None]
    summary: dict[str, Any] = {
        "scored": len(values),
        "of": len(scored),
        "mean": fmean(values) if values else None,
        "skipped": skipped,
        "out": str(out),
    }
    if calibrate:
        summary["calibration"] = None if scale is None else asdict(scale)
    if as_json:
        say_json(summary)
    elif not quiet:
        mean = "–" if not values else f"{fmean(values):.2f}" if by is Way.RATIONALE else percent(fmean(values))
        say(f"{len(values)} of {len(scored)} scored, mean {mean} → {out}")
        if references is not None:
            say(f"{from_file} of {len(items)} against {references}")
        if calibrate:
            say(_told(scale))
    if scored and not values:
        raise NoVerdictError(
            f"none of {len(scored)} responses has a score ({scored[0].reason or 'no verdict'}): use a trained judge, raise "
            "--max-new-tokens, or read unfinished answers with --close"
        )


def _scale(
    judge: PreferenceModel, items: Sequence[SingleResponse], scored: Sequence[Scored], count: int, seed: int, bars: Bars
) -> PairCalibration | None:
    """Calibrate the scores on the judge's own verdicts on pairs of responses."""
    from gramr2.rewards.calibration import calibrate, comparison_of, draw_pairs

    pairs = draw_pairs(items, count, seed)
    with bars.task(f"compare {len(pairs)} pairs") as progress:
        decisions = compare_with(judge, [comparison_of(pair) for pair in pairs], seed=seed, progress=progress)
    return calibrate(pairs, decisions, {each.id: each.score for each in scored})


def _told(scale: PairCalibration | None) -> str:
    if scale is None:
        return "not calibrated: this needs 16 pairs of responses to the same prompts with scores and verdicts"
    agreement = f"{percent(scale.agreement)} (95 % interval {interval(scale.low, scale.high)})"
    return (
        f"calibrated on {scale.n} pairs: the higher score agrees with the pairwise verdict on {agreement} of {scale.compared} "
        f"that both decide; strength = {scale.slope:.3g} × score"
    )


def _row(each: Scored, by: str, references: int, scale: PairCalibration | None) -> dict[str, Any]:
    row = {"by": by} | _rounded(asdict(each))
    if scale is not None:
        row["strength"] = None if each.score is None else round(scale.strength(each.score), 4)
    return row | ({"references": references} if by == "reference" else {})


def _backend(model: str, how: JudgeOptions) -> Backend:
    from gramr2.backends.local import open_local

    return open_local(how.backend, model, dtype=how.dtype, device=how.device, trust_remote_code=how.trust_remote_code)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    grades = row["grades"] and [round(share, 4) for share in row["grades"]]
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} | {"grades": grades}
