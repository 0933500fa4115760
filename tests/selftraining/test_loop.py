"""The loop on scripted judges, and whole runs on a random model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.config import RunConfig, load_config, parse_config
from gramr2.data import load_labeled, load_unlabeled
from gramr2.errors import DataError, PromptTooLongError, RunError
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.data import load_data
from gramr2.selftraining.run.folder import RunFolder
from gramr2.testing import ScriptedEngine, longer

ROOT = Path(__file__).parents[2]


def config(**changes: Any) -> RunConfig:
    return parse_config(
        {
            "model": "none",
            "data": {
                "seed": {"path": "starter:labeled", "limit": 6},
                "pool": {"path": "starter:unlabeled", "limit": 20},
                "gold": {"path": "starter:gold", "limit": 10},
            },
            "judge": {"pool": {"votes": 2}},
            "filters": [{"kind": "confidence", "threshold": 0.7}, {"kind": "consistency"}, {"kind": "rationale"}],
        }
        | changes
    )


def run(path: Path, engine: ScriptedEngine | None = None, **changes: Any) -> list[dict[str, Any]]:
    records = SelfTraining(config(**changes), path, engine=engine or ScriptedEngine()).run()
    return [each.row() for each in records]


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_one_round(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    metrics = run(tmp_path / "r", engine)
    kept, dropped = rows(tmp_path / "r/rounds/1/kept.jsonl"), rows(tmp_path / "r/rounds/1/dropped.jsonl")
    assert len(kept) + len(dropped) == 20
    assert 0 < len(kept) < 20
    for row in kept:
        first, second = map(len, row["responses"])
        assert row["label"] == ("A" if first >= second else "B")
        assert abs(first - second) >= 40
        assert row["confidence"] >= 0.7
    assert {row["filter"] for row in dropped} <= {"confidence", "consistency", "abstained"}
    assert all(row["reason"] and "votes" in row for row in dropped)
    pool = metrics[1]["pool"]
    assert (pool["judged"], pool["kept"]) == (20, len(kept))
    assert sum(pool["dropped"].values()) == len(dropped)
    assert [m["round"] for m in metrics] == [0, 1]
    assert set(metrics[0]["gold"]) >= {"n", "accuracy", "low", "high", "order_flip_rate", "coverage"}
    assert rows(tmp_path / "r/metrics.jsonl") == metrics
    assert (tmp_path / "r/judge/config.json").exists()
    (start0, seed), (start1, both) = engine.trained
    assert start0 == start1 == Path("backbone/none")
    assert both[: len(seed)] == seed
    assert [item.comparison.id for item in both[6:]] == [row["id"] for row in kept]


def test_later_rounds_accumulate_and_can_go_on_from_the_last_judge(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    run(tmp_path / "r", engine, rounds=3, init="previous")
    sizes = [len(items) for _, items in engine.trained]
    assert len(sizes) == 4
    assert sizes[1] == sizes[2] == sizes[3] > sizes[0]
    assert [start.parent.name for start, _ in engine.trained[1:]] == ["0", "1", "2"]


def test_a_round_that_keeps_nothing_trains_nothing(tmp_path: Path) -> None:
    metrics = run(tmp_path / "r", ScriptedEngine(lambda request, seed: "no verdict"), rounds=2)
    assert [m["pool"]["kept"] for m in metrics] == [0, 0, 0]
    assert metrics[2]["pool"]["dropped"] == {"abstained": 20}
    assert metrics[0]["gold"]["accuracy"] is None
    assert metrics[0]["gold"]["coverage"] == 0
    assert not (tmp_path / "r/rounds/1/model").exists()
    assert (tmp_path / "r/judge/config.json").exists()


def test_the_same_command_on_a_finished_run_does_nothing_again(tmp_path: Path) -> None:
    first = run(tmp_path / "r")
    engine = ScriptedEngine()
    assert run(tmp_path / "r", engine) == first
    assert engine.trained == []
    assert engine.asked == 0


class CrashError(Exception):
    """A crash."""


@pytest.mark.parametrize("after", [0, 7, 20, 41, 75, 99, 110])
def test_an_interrupted_run_ends_like_an_undisturbed_one(tmp_path: Path, after: int) -> None:
    undisturbed = ScriptedEngine()
    expected = run(tmp_path / "whole", undisturbed)
    count = 0

    def crashing(request: GenerationRequest, seed: int) -> Completion:
        nonlocal count
        count += 1
        if count > after:
            raise CrashError
        return longer(request, seed)

    with pytest.raises(CrashError):
        run(tmp_path / "r", ScriptedEngine(crashing))
    engine = ScriptedEngine()
    assert run(tmp_path / "r", engine) == expected
    for name in ("rounds/1/kept.jsonl", "rounds/1/dropped.jsonl", "metrics.jsonl", "run.yaml"):
        assert (tmp_path / "r" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert engine.asked <= undisturbed.asked - after + 1


def test_a_folder_belongs_to_its_config_and_to_one_process(tmp_path: Path) -> None:
    run(tmp_path / "r")
    with pytest.raises(RunError, match="rounds: 1 became 2"):
        run(tmp_path / "r", rounds=2)
    with RunFolder(tmp_path / "r").locked(), pytest.raises(RunError, match="another process"):
        run(tmp_path / "r")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("mine")
    with pytest.raises(RunError, match="not a run"):
        run(tmp_path / "other")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be used"):
        run(tmp_path / "file")


def test_leaks_from_gold_are_refused(tmp_path: Path) -> None:
    leaky = {"seed": "starter:labeled", "pool": "starter:gold", "gold": "starter:gold"}
    with pytest.raises(
        DataError, match=f"{len(load_labeled('starter:gold')[0])} comparisons of data.gold are also in data.pool"
    ):
        run(tmp_path / "r", data=leaky)


def test_parts_of_one_file_are_a_seed_and_a_gold_set_without_a_prompt_in_common() -> None:
    def parts(border: float) -> RunConfig:
        seed, gold = ({"path": "starter:labeled", "part": part} for part in ([0, border], [border, 1]))
        return config(data={"seed": seed | {"limit": 40}, "pool": "starter:unlabeled", "gold": gold})

    data = load_data(parts(0.6))
    seed, gold = ({item.comparison.prompt_text for item in part} for part in (data.seed, data.gold))
    assert len(data.seed) == 40 and data.gold and not seed & gold
    count = len({item.comparison.id for item in load_labeled("starter:labeled")[0]})
    with pytest.raises(
        DataError, match=rf"starter:labeled: none of its {count} comparisons is in the part \[0, 1e-09\]"
    ):
        load_data(parts(1e-9))


def test_over_long_comparisons_are_refused_or_dropped_and_counted(tmp_path: Path) -> None:
    data = {"seed": "starter:labeled", "pool": "starter:unlabeled", "gold": "starter:gold", "max_prompt_tokens": 110}
    labelled = len(load_labeled("starter:labeled")[0])
    trained = labelled - round(0.15 * labelled)
    with pytest.raises(PromptTooLongError, match=rf"data\.seed: \d+ of {trained}\b"):
        run(tmp_path / "r", data=data)
    metrics = run(tmp_path / "s", data=data | {"on_overlong": "drop"})
    gone = json.loads((tmp_path / "s/data.json").read_text())["overlong"]
    assert metrics[1]["pool"]["judged"] == len(load_unlabeled("starter:unlabeled")[0]) - len(gone["pool"])
    assert metrics[0]["gold"]["n"] == len(load_labeled("starter:gold")[0]) - len(gone["gold"])
    assert gone["seed"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_whole_run_on_a_real_model(tmp_path: Path, method: str) -> None:
    from transformers import AutoModelForCausalLM

    raw = load_config(ROOT / "examples" / "tiny.yaml").model_dump(mode="json") | {"rounds": 1}
    raw["training"]["method"] = method
    for part, limit in (("seed", 8), ("pool", 6), ("gold", 6)):
        raw["data"][part][0]["limit"] = limit
    metrics = [each.row() for each in SelfTraining(parse_config(raw), tmp_path / "r").run()]
    assert metrics[1]["pool"]["judged"] == 6
    assert metrics[1]["trained_on"] == 8 + metrics[1]["pool"]["kept"]
    assert metrics[1]["pool"]["kept"] > 0
    assert metrics[1]["gold"]["coverage"] == 1
    AutoModelForCausalLM.from_pretrained(tmp_path / "r/judge")
    weights = [
        hashlib.sha256((tmp_path / f"r/{p}/model.safetensors").read_bytes()).digest()
        for p in ("rounds/0/model", "judge")
    ]
    assert weights[0] != weights[1]
    items, _ = load_labeled(str(tmp_path / "r/rounds/1/kept.jsonl"))
    assert len(items) == metrics[1]["pool"]["kept"]


def test_a_resumed_run_keeps_no_members_of_a_finished_soup(tmp_path: Path) -> None:
    run(tmp_path / "r", ScriptedEngine())
    members = tmp_path / "r/rounds/1/model.members"
    (members / "0").mkdir(parents=True)
    run(tmp_path / "r", ScriptedEngine())
    assert not members.exists()
