"""A plan has the stages that the run then has, and counts what they ask."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from contexts import Notes

from gramr2.config import RunConfig, parse_config
from gramr2.selftraining.cost.estimate import Machine, estimate
from gramr2.selftraining.cost.parts import AT_MOST, Assumptions
from gramr2.selftraining.cost.plan import plan
from gramr2.selftraining.cost.rates import Rates
from gramr2.selftraining.cost.sizes import SAMPLE, Lengths, Sizes, pieces, sizes_of
from gramr2.selftraining.cost.stages import Kind, Stage
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.data import load_data
from gramr2.testing import ScriptedEngine

LABEL = {"judge": {"mode": "label"}, "filters": [{"kind": "confidence", "threshold": 0.6, "calibrate": False}]}
PROVING = {"rationale": "proving", "judge": {"verdict": "both", "pool": {"votes": 2}}, "rounds": 2}
EASY = {
    "judge": {"verdict": "reasoned"},
    "curriculum": {"per_round": 8, "order": "easy_first"},
    "rounds": 2,
    "filters": [],
    "data": {"hold_out": "always", "held_out_share": 0.5, "seed": {"path": "starter:labeled", "limit": 60}},
    "second_view": {"name": "bag-of-words", "verdict_weight": 1},
}
REASONED = {"training": {"verdict": {"weight": 0}}, "final": {}, "filters": [{"kind": "readback"}, {"kind": "pmi"}]}
DIRECT = {"judge": {"verdict": "direct"}, "warmup": {"limit": 10}, "rationale": {"source": "joint", "own_for_seed": 2}}


def config(**changes: Any) -> RunConfig:
    data = {
        "seed": {"path": "starter:labeled", "limit": 12},
        "pool": {"path": "starter:unlabeled", "limit": 20},
        "gold": {"path": "starter:gold", "limit": 10},
    }
    base = {"model": "none", "baselines": [], "filters": [{"kind": "confidence", "threshold": 0.5, "calibrate": False}]}
    return parse_config(base | changes | {"data": data | changes.get("data", {})})


def planned(given: RunConfig, assumed: Assumptions | None = None) -> tuple[list[Stage], Sizes]:
    sizes = sizes_of(given, load_data(given), pieces)
    return plan(given, sizes, assumed), sizes


def bare(title: str) -> str:
    return re.sub(r"\d+", "N", re.sub(r"(?<=round )\d+", lambda found: "abcdef"[int(found[0])], title))


@pytest.mark.parametrize(
    "changes", [LABEL, PROVING, EASY, REASONED, DIRECT], ids=["label", "proving", "easy", "reasoned", "direct"]
)
def test_a_plan_has_the_stages_of_the_run_in_their_order(tmp_path: Path, changes: dict[str, Any]) -> None:
    given, notes = config(**changes), Notes()
    SelfTraining(given, tmp_path / "r", engine=ScriptedEngine(), observer=notes).run()
    told = list(dict.fromkeys(bare(title) for title in notes.titles))
    # bag-of-words asks no model.
    told = [title for title in told if not title.startswith("bag-of-words")]
    stages = list(dict.fromkeys(bare(stage.name) for stage in planned(given)[0]))
    assert stages == told


def test_comparisons_are_those_of_the_run() -> None:
    stages, sizes = planned(config(**LABEL))
    judge = next(each for each in stages if each.name == "round 1 · judge 20 unlabelled comparisons")
    assert (judge.comparisons, judge.requests, judge.generated_tokens) == (20, 40, 0)
    assert judge.prompt_tokens == pytest.approx(40 * sizes.of("pool", "direct").mean)
    train = next(each for each in stages if each.name == "round 1 · train on 12 seed + 10 kept")
    assert (train.kind, train.trainings) == (Kind.TRAIN, 1)
    assert train.passes == pytest.approx(128 / 6), "the least steps, six of them a pass"
    per_pass = sum(each.count for each in train.learnt)
    assert per_pass == 2 * 22, "both orders of every comparison"


def test_votes_and_budgets_count() -> None:
    given = config(judge={"verdict": "reasoned", "pool": {"votes": 3, "max_new_tokens": 40}})
    (stages, sizes), most = planned(given), plan(given, planned(given)[1], AT_MOST)
    expected, top = (next(each for each in some if "unlabelled" in each.name) for some in (stages, most))
    written = min(40.0, sizes.rationale or 0) + sizes.bridge
    assert expected.generated_tokens == pytest.approx(20 * 2 * 3 * written)
    assert top.generated_tokens == pytest.approx(20 * 2 * 3 * (40 + sizes.bridge))
    short, _ = planned(given, Assumptions(rationale=10))
    assert next(each for each in short if "unlabelled" in each.name).generated_tokens == 20 * 2 * 3 * (
        10 + sizes.bridge
    )


@pytest.mark.parametrize(
    ("filters", "assumed", "kept"),
    [
        ([{"kind": "duplicates"}], None, [10, 10]),
        ([{"kind": "duplicates"}], Assumptions(kept=0.25), [5, 5]),
        (
            [
                {
                    "kind": "confidence",
                    "threshold": {"schedule": "quantile", "start": 0.8, "end": 0.4},
                    "calibrate": False,
                }
            ],
            None,
            [4, 12],
        ),
    ],
)
def test_what_a_round_keeps_is_what_is_assumed_or_what_a_quantile_says(
    filters: list[Any], assumed: Assumptions | None, kept: list[int]
) -> None:
    stages, _ = planned(config(filters=filters, rounds=2, judge={"mode": "label"}), assumed)
    names = [each.name for each in stages if "seed + " in each.name]
    assert names == [f"round {n} · train on 12 seed + {count} kept" for n, count in zip((1, 2), kept, strict=True)]


def test_slices_add_up() -> None:
    stages, _ = planned(config(**LABEL, rounds=3, curriculum={"per_round": 8}))
    names = [each.name for each in stages if each.kind is Kind.TRAIN]
    assert [name.rpartition(" · ")[2] for name in names] == [
        "train the seed judge",
        "train on 12 seed + 4 kept",
        "train on 12 seed + 8 kept",
        "train on 12 seed + 10 kept",
    ]


@pytest.mark.parametrize("slices", [{}, {"curriculum": {"per_round": 8}}])
@pytest.mark.parametrize("warmup", [None, {"limit": 10}])
def test_hidden_states_of_a_text_are_computed_once_for_each_model(slices: dict[str, Any], warmup: Any) -> None:
    view = {"name": "frozen-features", "verdict_weight": 1}
    changes = {**LABEL, **slices, "rounds": 3, "second_view": view, "baselines": ["frozen-features"], "warmup": warmup}
    stages = [each for each in planned(config(**changes))[0] if each.kind is Kind.FEATURES]
    texts = {model: sum(each.requests for each in stages if each.model == model) for model in ("backbone", "warm-up")}
    seed, pool, gold = 2 * 12, 2 * 20, 2 * 10
    assert texts == (
        {"backbone": seed + gold, "warm-up": seed + pool + gold}
        if warmup
        else {"backbone": seed + gold + pool, "warm-up": 0}
    )


def test_lengths_are_those_of_a_sample_and_state_its_size() -> None:
    assert Lengths.of(["abcx", "abcyz", "abc"]) == Lengths(4.0, (16 + 25 + 9) / 3, 2, 3)
    assert Lengths(4.0, 17.0, 2, 3).longer(2) == Lengths(6.0, 17 + 16 + 4, 2, 3)
    given = config(data={"pool": "starter:unlabeled"})
    sizes = sizes_of(given, load_data(given), pieces)
    assert sizes.count("pool") > SAMPLE == sizes.of("pool", "direct").n
    assert sizes.of("pool", "direct").shared > 20, "the rules"


RATES = Rates(
    prefill=100.0, training=50.0, opening=2.0, around=3.0, record=500.0, memory=1, seconds=1.0, machine="x", decode=10.0
)


def test_seconds_follow_from_the_rates(tiny_model: Path) -> None:
    from gramr2.selftraining.cost.arithmetic import Shape

    given = config(judge={"verdict": "reasoned"})
    sizes = sizes_of(given, load_data(given), pieces)
    machine = Machine(cpu=True, itemsize=4, bf16=False, free=1 << 34)
    found = estimate(given, sizes, Shape.of(tiny_model), machine, RATES)
    by_name = {each.stage.name: each for each in found.expected}
    train = by_name["round 0 · train the seed judge"]
    assert train.seconds == pytest.approx(3 + train.stage.trained_tokens / 50)
    gold, judge = (
        by_name["round 0 · measure on 10 gold comparisons"],
        by_name["round 1 · judge 20 unlabelled comparisons"],
    )
    for each, opening in ((gold, 2.0), (judge, 0.0)):
        computed = sum(asked.computed for asked in each.stage.asked)
        assert each.seconds == pytest.approx(opening + computed / 100 + each.stage.generated_tokens / 10)
    total, most = found.total(), found.total(most=True)
    assert total["seconds"] == pytest.approx(sum(each.seconds or 0 for each in found.expected))
    assert most["seconds"] > total["seconds"]
    assert found.memory["peak"] == max(found.memory["judging"], found.memory["training"])
    assert train.disk >= 4 * Shape.of(tiny_model).parameters


def test_adapters_cost_less_than_all_weights(tiny_model: Path) -> None:
    from gramr2.selftraining.cost.arithmetic import Shape

    shape, machine = Shape.of(tiny_model), Machine(cpu=True, itemsize=4, bf16=False, free=1 << 34)
    full, lora = (config(training={"method": method, "lora": {"rank": 2}}) for method in ("full", "lora"))
    whole, part = (
        estimate(each, sizes_of(each, load_data(each), pieces), shape, machine, RATES) for each in (full, lora)
    )
    assert part.total()["flops"] < whole.total()["flops"]
    assert part.memory["moments"] < whole.memory["moments"]
    assert part.disk_between < whole.disk_between


def test_a_model_behind_an_api_has_tokens_alone() -> None:
    from gramr2.selftraining.cost.price import cost_of

    given = config(model="openai:judge@http://127.0.0.1:1/v1", judge={"verdict": "reasoned"})
    found = cost_of(given, load_data(given))
    total = found.total()
    assert total["prompt_tokens"] > 0 < total["generated_tokens"]
    assert (total["flops"], total["seconds"], found.rates, dict(found.memory)) == (None, None, None, {})
