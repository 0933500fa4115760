"""Each variant changes what its name says and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from gramr2.config import load_config, parse_config
from gramr2.research.ablation.variants import Kind, Prepared, prepare, variants_for
from gramr2.research.lab.comparisons import SIZES, Part
from gramr2.research.lab.run import run_file
from gramr2.selftraining.filters.consistency import Consistency
from gramr2.selftraining.run.data import load_data

LAB = load_config(run_file()).model_dump(mode="json")
# The laboratory's run, with the parts of the method that it does without.
BASE = parse_config(
    LAB
    | {
        "second_view": {"name": "bag-of-words", "verdict_weight": 1},
        "training": LAB["training"] | {"verdict": {"smoothing": 0.1}},
    }
)
VARIANTS = {each.name: each for each in variants_for(BASE)}


def changed(name: str) -> dict[str, Any]:
    """Top-level keys that differ from the full method's config."""
    prepared, full = prepare(BASE, VARIANTS[name], 3), prepare(BASE, VARIANTS["full"], 3)
    assert isinstance(prepared, Prepared)
    assert isinstance(full, Prepared)
    one, other = full.config.model_dump(mode="json"), prepared.config.model_dump(mode="json")
    return {key: other[key] for key in other if one[key] != other[key]}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("full", set()),
        ("seed-only", {"rounds"}),
        ("label-only", {"judge", "rationale", "filters"}),
        ("no-filter", {"filters"}),
        ("single-round", {"rounds", "curriculum"}),
        ("no-curriculum", {"filters"}),
        ("proving", {"rationale"}),
        ("one-order", {"judge"}),
        ("init-previous", {"init"}),
        ("without-second-view", {"second_view"}),
        ("without-view-in-verdict", {"second_view"}),
        ("without-rationale-loss", {"training"}),
        ("without-verdict-loss", {"training"}),
        ("bag-of-words", {"rounds"}),
        ("without-consistency", {"filters"}),
        ("oracle", {"rounds", "data"}),
        ("zero-shot", {"rounds"}),
    ],
)
def test_a_variant_changes_only_its_part(name: str, keys: set[str]) -> None:
    assert set(changed(name)) == keys


def test_what_the_changes_are() -> None:
    assert changed("single-round")["curriculum"]["per_round"] == 3 * (BASE.curriculum.per_round or 0)
    assert changed("no-filter")["filters"] == []
    pool = changed("one-order")["judge"]["pool"]
    assert (pool["orders"], pool["votes"]) == ("first", 2 * BASE.judge.pool.votes)
    labelled, unlabelled = ([source.path for source in part] for part in (BASE.data.seed, BASE.data.pool))
    assert [s["path"] for s in changed("oracle")["data"]["seed"]] == [*labelled, *unlabelled]
    loose = next(f for f in changed("no-curriculum")["filters"] if f["kind"] == "consistency")
    strict = next(f for f in BASE.filters if isinstance(f, Consistency))
    assert loose["min_agreement"] == strict.min_agreement.end  # type: ignore[union-attr]
    kinds = {*(each.kind for each in BASE.filters), "second-view", "rationale-loss", "verdict-loss", "view-in-verdict"}
    assert {name for name in VARIANTS if name.startswith("without-")} == {f"without-{kind}" for kind in kinds}
    baselines = {name for name, each in VARIANTS.items() if each.kind is Kind.BASELINE}
    assert baselines == {"longer", "bag-of-words", "frozen-features", "bradley-terry"}


@pytest.mark.parametrize(
    ("name", "section", "expected"),
    [
        ("without-second-view", "second_view", None),
        ("without-rationale-loss", "rationale_weight", 0),
        ("without-verdict-loss", "verdict", BASE.training.verdict.model_dump(mode="json") | {"weight": 0}),
    ],
)
def test_what_is_not_learnt(name: str, section: str, expected: Any) -> None:
    whole, part = BASE.model_dump(mode="json"), changed(name)
    if "training" in part:
        whole, part = whole["training"], part["training"]
    assert part[section] == expected
    assert {key for key, value in part.items() if value != whole[key]} == {section}


def test_the_second_view_goes_with_its_filter() -> None:
    raw = BASE.model_dump(mode="json")
    base = parse_config(raw | {"filters": [{"kind": "second_view"}, *raw["filters"]]})
    made = prepare(base, next(v for v in variants_for(base) if v.name == "without-second-view"), 1)
    assert isinstance(made, Prepared)
    assert made.config.second_view is None
    assert made.config.filters == BASE.filters


def test_all_variants_of_a_run_that_calibrates_learn_from_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each of two dozen runs reads its sources, and needs no more of them than this.
    for part, size in ((Part.LABELED, 200), (Part.UNLABELED, 500), (Part.GOLD, 300)):
        monkeypatch.setitem(SIZES, part, size)
    raw = BASE.model_dump(mode="json")
    raw["data"]["seed"] = [{"path": "lab:labeled", "limit": 128}]
    raw["filters"][0]["calibrate"] = True
    base = parse_config(raw)
    seeds = {}
    for each in variants_for(base):
        prepared = prepare(base, each, 1)
        assert isinstance(prepared, Prepared), each.name
        data = load_data(prepared.config)
        seeds[each.name] = (len(data.seed), len(data.held_out))
    assert seeds.pop("oracle") == (128 + 480, 0)
    assert set(seeds.values()) == {(109, 19)}


def test_what_makes_no_difference_is_left_out_with_its_reason() -> None:
    data = {"seed": "lab:labeled", "pool": "starter:unlabeled", "gold": "lab:gold"}
    plain = parse_config({"model": "lab-tiny", "data": data, "rounds": 1})
    variants = {each.name: each for each in variants_for(plain)}
    assert prepare(plain, variants["single-round"], 1) == "the run itself has a single round"
    assert prepare(plain, variants["no-curriculum"], 1) == "the run has no curriculum"
    assert "the first: starter:unlabeled" in str(prepare(plain, variants["oracle"], 1))
    mixed = parse_config({"model": "lab-tiny", "data": data | {"pool": ["starter:unlabeled", "lab:unlabeled"]}})
    found = prepare(mixed, variants["oracle"], 1)
    assert isinstance(found, Prepared) and [s.path for s in found.config.data.seed] == ["lab:labeled", "lab:unlabeled"]
    same = parse_config(plain.model_dump(mode="json") | {"init": "previous", "filters": []})
    for name in ("init-previous", "no-filter", "without-second-view"):
        assert prepare(same, variants[name], 1) == "it is the same as the run itself"
    untaught = parse_config(plain.model_dump(mode="json") | {"training": {"verdict": {"weight": 0}}})
    assert prepare(untaught, variants["without-verdict-loss"], 1) == "it is the same as the run itself"
    assert "no verdict loss" in str(prepare(untaught, variants["without-rationale-loss"], 1))
    labels = parse_config({"model": "lab-tiny", "data": data, "rounds": 1, "judge": {"mode": "label"}})
    assert prepare(labels, variants["without-rationale-loss"], 1) == "the run itself has no rationales"


def test_a_run_that_finds_rationales_for_its_seed_has_all_variants() -> None:
    base = parse_config(BASE.model_dump(mode="json") | {"rationale": {"own_for_seed": 2}})
    found = {variant.name: prepare(base, variant, 1) for variant in variants_for(base)}
    for name in ("label-only", "label-only-seed", "proving"):
        made = found[name]
        assert not isinstance(made, str) and made.config.rationale.own_for_seed == 0


def test_only_a_run_with_a_warm_up_is_varied_without_it() -> None:
    assert "without-warm-up" not in VARIANTS
    base = parse_config(BASE.model_dump(mode="json") | {"warmup": "pairs"})
    variants = {each.name: each for each in variants_for(base)}
    made = prepare(base, variants["without-warm-up"], 1)
    assert isinstance(made, Prepared)
    full = prepare(base, variants["full"], 1)
    assert isinstance(full, Prepared)
    assert full.config.warmup is not None
    assert made.config == full.config.model_copy(update={"warmup": None})


def test_the_oracle_of_a_pool_that_holds_the_seed_learns_each_comparison_once() -> None:
    data = {
        "seed": {"path": "starter:labeled", "part": [0, 0.5], "limit": 20},
        "pool": ["starter:unlabeled", {"path": "starter:labeled", "part": [0, 0.5]}],
        "gold": "starter:gold",
    }
    base = parse_config({"model": "none", "data": data})
    found = prepare(base, next(each for each in variants_for(base) if each.name == "oracle"), 1)
    assert isinstance(found, Prepared)
    learnt = load_data(found.config).seed
    assert len({item.comparison.id for item in learnt}) == len(learnt) > 200
