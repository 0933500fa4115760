"""What an ablation compares: the full method, each of its parts changed or left out, and the baselines, on the same data.

A variant is a name, a sentence, and a change to the resolved run file. To add one, add an entry here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gramr2.baselines import BASELINES
from gramr2.config import RunConfig, parse_config
from gramr2.config.data import SourceConfig
from gramr2.data import load_labeled
from gramr2.errors import DataError
from gramr2.registry import filters

Raw = dict[str, Any]
FULL = "full"
SEED_ONLY = "seed-only"
ORACLE = "oracle"
SHOTS = 4


class Kind(StrEnum):
    """How a variant gets its judge."""

    RUN = "run"
    """a run of the loop, possibly with no rounds"""
    PROMPTED = "prompted"
    """the untrained model, prompted with ``shots`` examples"""
    BASELINE = "baseline"
    """a cheap preference model fitted on the seed, named by ``baseline`` or else by the variant's name"""


@dataclass(frozen=True, slots=True)
class Variant:
    """One configuration. ``change`` edits the resolved config in place and returns why that is impossible, or None."""

    name: str
    meaning: str
    change: Callable[[Raw], str | None]
    kind: Kind = Kind.RUN
    shots: int = 0
    baseline: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A variant's checked config for one seed."""

    variant: Variant
    seed: int
    config: RunConfig


def variants_for(base: RunConfig) -> list[Variant]:
    """All variants of this run: the fixed ones, and one for each filter of its stack."""
    dropped = [
        Variant(f"without-{each.kind}", f"the {each.kind} filter left out", _without(each.kind))
        for each in base.filters
    ]
    warm = [
        Variant(
            "without-warm-up",
            "training and the second view start from the pretrained model as it is",
            _without_warm_up,
        )
    ]
    return [
        Variant(FULL, "the full method", lambda raw: None),
        Variant(SEED_ONLY, "no self-training: the judge trained on the seed", _seed_only),
        Variant("label-only", "self-training on labels alone, no rationales", _label_only),
        Variant("no-filter", "every pseudo-label with a verdict is learnt", _no_filter),
        Variant("single-round", "one round on the data of all rounds, at the first round's thresholds", _single_round),
        Variant("no-curriculum", "the loosest thresholds from the start, pool in random order", _no_curriculum),
        Variant("proving", "rationales from a preference-proving model in place of the judge's own", _proving),
        Variant("one-order", "the pool judged in its stored order only, with twice the votes", _one_order),
        Variant("without-second-view", "pseudo-labels from the judge alone", _without_second_view),
        Variant("without-view-in-verdict", "the second view only helps to label", _without_view_in_verdict),
        Variant("without-rationale-loss", "rationales written, but only the verdict learnt", _without_rationale_loss),
        Variant("without-verdict-loss", "the verdict learnt as one token of the answer", _without_verdict_loss),
        Variant("init-previous", "each round continues the last judge instead of the pretrained model", _init_previous),
        *(warm if base.warmup else []),
        *dropped,
        Variant("label-only-seed", "generative label-only judge, trained on the seed", _label_only_seed),
        *(Variant(name, f"the baseline {name}, fitted on the seed", _seed_only, Kind.BASELINE) for name in BASELINES),
        Variant("zero-shot", "the pretrained model as it is", _seed_only, kind=Kind.PROMPTED),
        Variant("few-shot", f"the pretrained model with {SHOTS} seed examples shown", _seed_only, Kind.PROMPTED, SHOTS),
        Variant(
            ORACLE,
            "trained on the true labels and rationales of the seed and of those pool sources that have them",
            _oracle,
        ),
    ]


def prepare(base: RunConfig, variant: Variant, seed: int) -> Prepared | str:
    """The variant's config for one seed, or why there is none for this run.

    Raises:
        ConfigError: the change leads to an impossible config, which is a bug in this file.
    """
    raw = copy.deepcopy(base.model_dump(mode="json"))
    raw["seed"], raw["out"] = seed, None
    if base.calibrates:
        # No variant may train on what another calibrates on, or their seeds would differ in size.
        raw["data"]["hold_out"] = "always"
    before = copy.deepcopy(raw)
    reason = variant.change(raw)
    if reason is None and raw == before and variant.kind is Kind.RUN and variant.name != FULL:
        reason = "it is the same as the run itself"
    return reason or Prepared(variant, seed, parse_config(raw, f"{variant.name} (seed {seed})"))


def _seed_only(raw: Raw) -> None:
    raw["rounds"], raw["final"] = 0, None


def _label_only(raw: Raw) -> str | None:
    if raw["judge"]["mode"] == "label":
        return "the run itself is label-only"
    raw["judge"]["mode"], raw["rationale"]["source"], raw["final"] = "label", "none", None
    raw["rationale"]["own_for_seed"] = 0
    raw["filters"] = [each for each in raw["filters"] if not filters()[each["kind"]].needs_rationale]
    return None


def _label_only_seed(raw: Raw) -> str | None:
    _seed_only(raw)
    return _label_only(raw)


def _no_filter(raw: Raw) -> None:
    raw["filters"] = []


def _single_round(raw: Raw) -> str | None:
    if raw["rounds"] == 1:
        return "the run itself has a single round"
    if raw["curriculum"]["per_round"]:
        raw["curriculum"]["per_round"] *= raw["rounds"]
    raw["rounds"] = 1
    return None


def _no_curriculum(raw: Raw) -> str | None:
    changed = raw["curriculum"]["order"] != "random"
    raw["curriculum"]["order"] = "random"
    for each in raw["filters"]:
        for key, value in each.items():
            if isinstance(value, dict) and "schedule" in value:
                changed = True
                constant = value["schedule"] != "quantile"
                last = value["values"][-1] if "values" in value else value["end"]
                # The loosest quantile remains a quantile: it follows the scores of each round.
                each[key] = last if constant else value | {"start": last}
    return None if changed else "the run has no curriculum"


def _proving(raw: Raw) -> str | None:
    if raw["rationale"]["source"] != "joint":
        return "the run's rationales are not the judge's own"
    raw["rationale"]["source"], raw["rationale"]["own_for_seed"] = "proving", 0
    return None


def _one_order(raw: Raw) -> str | None:
    if raw["judge"]["mode"] == "label":
        return "a judge without rationales casts no votes"
    pool = raw["judge"]["pool"]
    if pool["orders"] == "both":
        pool["orders"], pool["votes"] = "first", 2 * pool["votes"]
        pool["temperature"] = pool["temperature"] or 0.75
    return None


def _without_second_view(raw: Raw) -> None:
    raw["second_view"] = None
    raw["filters"] = [each for each in raw["filters"] if not filters()[each["kind"]].needs_second_view]


def _without_view_in_verdict(raw: Raw) -> str | None:
    if not raw["second_view"] or not raw["second_view"]["verdict_weight"]:
        return "the judge's verdicts do not count a second view"
    raw["second_view"]["verdict_weight"] = 0.0
    return None


def _without_rationale_loss(raw: Raw) -> str | None:
    if raw["judge"]["mode"] == "label":
        return "the run itself has no rationales"
    if not raw["training"]["verdict"]["weight"]:
        return "the run has no verdict loss, so nothing would be learnt from a rationale"
    raw["training"]["rationale_weight"] = 0.0
    return None


def _without_verdict_loss(raw: Raw) -> None:
    raw["training"]["verdict"]["weight"], raw["judge"]["verdict"] = 0.0, "auto"


def _init_previous(raw: Raw) -> None:
    raw["init"] = "previous"


def _without_warm_up(raw: Raw) -> None:
    raw["warmup"] = None


def _without(kind: str) -> Callable[[Raw], None]:
    def change(raw: Raw) -> None:
        raw["filters"] = [each for each in raw["filters"] if each["kind"] != kind]

    return change


def _oracle(raw: Raw) -> str | None:
    _seed_only(raw)
    labelled = []
    for source in raw["data"]["pool"]:
        with suppress(DataError):
            load_labeled(source["path"], layout=SourceConfig.model_validate(source), limit=1)
            labelled.append(source)
    if not labelled:
        return f"no source of the pool has labels to learn (the first: {raw['data']['pool'][0]['path']})"
    # Drop seed sources that such a source contains: it has their labels too, and an id may occur in only one source.
    whole = [{**each, "limit": None} for each in labelled]
    seed = [each for each in raw["data"]["seed"] if {**each, "limit": None} not in whole]
    raw["data"]["seed"] = [*seed, *labelled]
    raw["data"]["held_out_share"] = 0.0
    return None
