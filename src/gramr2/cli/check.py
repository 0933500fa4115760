"""``gramr2 check``: is this run file valid, and what would it do? Does not import torch, except for ``--cost``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramr2.cli.console import Bars, Json, Quiet, say, say_json
from gramr2.cli.cost import price, show_cost
from gramr2.config import dump_config, load_config
from gramr2.errors import ConfigError

if TYPE_CHECKING:
    from gramr2.evaluation.contamination import Contamination


def check(
    run: Annotated[Path, typer.Argument(metavar="RUN.yaml", help="The run file.")],
    cost: Annotated[
        bool, typer.Option("--cost", help="Also tokens, operations, memory, disk and time, from a probe of a minute.")
    ] = False,
    kept: Annotated[
        float | None,
        typer.Option("--kept", min=0, max=1, help="Share of judged comparisons to reckon as kept, with --cost."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check a run file: keys, types, files, models and combinations; data rows are read too."""
    from gramr2.backends.registry import is_here
    from gramr2.selftraining.run.data import load_data
    from gramr2.selftraining.run.doubts import MOST_OF_POOL, SIMILAR, gold_in_training, near_copies
    from gramr2.selftraining.run.observer import reading

    if kept is not None and not cost:
        raise ConfigError("--kept is for --cost: give both or neither")
    config = load_config(run)
    proving = config.rationale.proving.model if config.rationale.source == "proving" else None
    models = [each.name for each in (config.model, proving) if each is not None]
    # Such a model cannot be trained, but what its answers would cost can be told.
    behind_api = cost and config.model.name.startswith("openai:")
    remote = [name for name in (models[1:] if behind_api else models) if not is_here(name)]
    bars = Bars(quiet or as_json, brief=True)
    with reading(bars):
        data = load_data(config)
    with bars.task("look for near copies") as progress:
        near = near_copies(data, progress)
    with bars.task("look for gold in what is learnt from") as progress:
        leaked = gold_in_training(data, MOST_OF_POOL, progress)
    looked = min(len(data.pool), MOST_OF_POOL)
    priced = price(config, data, kept, quiet or as_json) if cost else None
    if as_json:
        found = {"valid": True, "config": config.model_dump(mode="json"), "data": data.summary}
        found |= {"near_copies": near, "contamination": leaked.summary() | {"of_pool": looked}}
        say_json(found | ({"cost": priced.as_json()} if priced else {}))
        return
    say(dump_config(config))
    gold = data.summary["gold"]
    held_out = f" (and {len(data.held_out)} held out to calibrate)" if data.held_out else ""
    say(
        f"{run}: valid. {len(data.seed)} seed{held_out}, {len(data.pool)} unlabelled, {len(data.gold)} gold comparisons; "
        f"always choosing the longer response is right on {100 * gold['longer_response_accuracy']:.1f} % of gold."
    )
    skipped = sum(len(reasons) for reasons in data.summary["skipped"].values())
    for part, found in data.summary["doubts"].items():
        say(f"data.{part}: {_told(found)}")
    for part, counts in near.items():
        if told := _copies(counts):
            say(f"data.{part}: of {counts['compared']} comparisons {told} (word 3-grams, Jaccard above {SIMILAR}).")
    if leaked.found:
        drawn = f" {looked} of {len(data.pool)} pool comparisons were looked at." if looked < len(data.pool) else ""
        say(f"data.gold: {_shared(leaked)}{drawn}")
    for name in remote:
        say(f"{name} is taken for a hub id; whether the hub has it is not checked here.")
    if skipped:
        say(f"{skipped} bad rows were skipped (on_bad_row: skip).")
    if priced:
        show_cost(config, priced)


def _told(found: dict[str, Any]) -> str:
    parts = []
    if found["repeated"]:
        names = {"alpha": "Krippendorff's α", "cohen_kappa": "Cohen's κ", "fleiss_kappa": "Fleiss' κ"}
        alpha = "".join(f", {name} {found[key]:.2f}" for key, name in names.items() if found[key] is not None)
        remedy = " (data.aggregate, data.on_conflict)" if found["conflicting"] else ""
        parts.append(
            f"{found['repeated']} comparisons occur more than once, {found['conflicting']} of them with different labels"
            f"{alpha}{remedy}"
        )
    if found["identical_responses"]:
        parts.append(f"{found['identical_responses']} have two identical responses")
    if found["rationale_says_otherwise"]:
        parts.append(f"{found['rationale_says_otherwise']} rationales conclude another label than their row's")
    return "; ".join(parts) + "."


def _shared(leaked: Contamination) -> str:
    """How much of gold is in what is learnt from."""
    first, told = leaked.found[0], leaked.summary()
    source = first.worst[1].best
    where = f" in {source.where}, {source.id!r}" if source else ""
    return (
        f"{told['found']} of {told['n']} comparisons share text with what is learnt from (13-grams or near duplicates), "
        f"{told['by_prompt']} by their prompt and {told['by_response']} by a response; the first: {first.id!r}{where}. "
        "gramr2 contamination names them."
    )


def _copies(counts: dict[str, int]) -> str:
    """What is nearly the same, or nothing."""
    said = {
        "copies": "are copies of another",
        "near": "nearly copies of another",
        "near_seed": "nearly copies of seed comparisons",
        "near_pool": "nearly copies of pool comparisons",
    }
    return ", ".join(f"{counts[key]} {words}" for key, words in said.items() if counts.get(key))
