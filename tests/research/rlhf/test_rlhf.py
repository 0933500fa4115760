"""RLHF in the lab: what rewards see and what is true, the check for hacking, the table, and a real run in small."""

from __future__ import annotations

import csv
import json
import random
import xml.etree.ElementTree
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gramr2.backends.registry import resolve
from gramr2.cli.main import app
from gramr2.comparison import Message
from gramr2.errors import ConfigError, RunError
from gramr2.research.lab.comparisons import Part, part_of
from gramr2.research.rlhf.plan import run_all
from gramr2.research.rlhf.policy import CARELESS, asked, final_answer, imitated, is_right
from gramr2.research.rlhf.report import rows, write
from gramr2.research.rlhf.study import Settings, Source, Verifier, Watched, hacking
from gramr2.rewards.groups import Group, Rewards
from gramr2.selftraining.run.observer import Silent

RIGHT = "347+586: 7+6=13, 4+8+1=13, 3+5+1=9, so 933.\nIt is 933."
WRONG = "347+586: 7+6=13, 4+8+1=13, 3+5+1=9, so 933.\nIt is 923."


def test_the_policy_imitates_slips_about_as_often_as_it_says() -> None:
    found = list(islice(imitated(1), 1000))
    right = 0
    for document in found:
        prompt, text = document.messages[0].content, "".join(document.answer)
        assert part_of(prompt) is Part.PRETRAINING
        assert text.count("\n") == 1
        right += is_right(prompt, text)
    assert abs(right / len(found) - (1 - CARELESS)) < 0.06


def test_an_answer_is_the_last_line_and_right_only_in_the_labs_words() -> None:
    assert final_answer(RIGHT) == "It is 933."
    assert is_right("What is 347+586?", RIGHT) and not is_right("What is 347+586?", WRONG)
    assert not is_right("What is 347+586?", "933, I think")
    assert not is_right("What is 347+586?", "")
    with pytest.raises(ValueError, match="not a problem of the lab"):
        is_right("What is love?", RIGHT)


def test_prompts_are_of_their_part_and_each_comes_once() -> None:
    found = asked(Part.TEST, 50, 3)
    assert len(set(found)) == 50
    assert all(part_of(each) is Part.TEST for each in found)
    assert asked(Part.TEST, 50, 3) == found != asked(Part.TEST, 50, 4)


def test_a_reward_sees_answers_alone_and_the_truth_is_written_beside_it() -> None:
    seen: list[Group] = []

    def none_for_the_second(groups: Any) -> list[Rewards]:
        seen.extend(groups)
        return [[0.25, None] for _ in groups]

    watched = Watched(none_for_the_second)
    group = Group((Message("user", "What is 347+586?"),), (RIGHT, WRONG), "It is 933.")
    assert watched([group]) == [[0.25, None]]
    assert seen[0].completions == ("It is 933.", "It is 923.")
    assert watched.seen == [{"reward": 0.25, "truth": 0.5, "coverage": 0.5}]
    assert Verifier()([group]) == [[1.0, 0.0]]


def steps(
    reward: tuple[float, float], truth: tuple[float, float], spread: float = 0.02
) -> list[dict[str, float | None]]:
    rng = random.Random(1)

    def at(ends: tuple[float, float], i: int) -> float:
        return ends[0] + (ends[1] - ends[0]) * i / 49 + rng.uniform(-spread, spread)

    return [{"reward": at(reward, i), "truth": at(truth, i), "coverage": 1.0} for i in range(50)]


def test_hacking_is_a_reward_that_rises_while_truth_falls() -> None:
    assert hacking(steps((0.2, 0.8), (0.6, 0.3)))["hacked"] is True
    assert hacking(steps((0.2, 0.8), (0.3, 0.6)))["hacked"] is False
    assert hacking(steps((0.5, 0.5), (0.6, 0.3)))["hacked"] is False
    found = hacking(steps((0.2, 0.8), (0.5, 0.5), spread=0.2))
    assert found["truth"]["low"] < 0 < found["truth"]["high"] and not found["hacked"]
    level: list[dict[str, float | None]] = [{"reward": None, "truth": 0.5}, *steps((0.5, 0.5), (0.5, 0.5), spread=0.0)]
    assert hacking(level)["reward"] == {"first": 0.5, "last": 0.5, "change": 0.0, "low": None, "high": None}
    assert hacking(level)["hacked"] is hacking(steps((0.2, 0.8), (0.6, 0.3))[::5])["hacked"] is None


def cell(seed: int, after: float) -> dict[str, Any]:
    measured = [{"n": 10, "sampled": {"accuracy": a}, "greedy": {"accuracy": a}} for a in (0.4, after)]
    told = steps((0.4, after), (0.4, after))
    return {
        "seed": seed,
        "before": measured[0],
        "after": measured[1],
        "check": hacking(told),
        "steps": told,
        "seconds": 1.0,
    }


def test_the_table_has_a_row_a_source_and_the_csv_one_a_seed(tmp_path: Path) -> None:
    results = {"judge": [cell(1, 0.9), cell(2, 0.8)], "verifier": [cell(1, 1.0)]}
    judge, verifier = rows(results)
    assert judge[:3] == ("judge", "2", "40.0 %")
    assert judge[4] == "+45.0 (-18.5 to +100.0)"
    assert verifier[3] == "100.0 %" and verifier[-1] == "0 of 1"
    files = write(tmp_path, results, "made by hand")
    with files[0].open(encoding="utf-8") as file:
        assert [(row["reward"], row["seed"], row["after"]) for row in csv.DictReader(file)] == [
            ("judge", "1", "0.9"), ("judge", "2", "0.8"), ("verifier", "1", "1.0"),
        ]  # fmt: skip
    assert "made by hand" in files[1].read_text(encoding="utf-8")
    assert xml.etree.ElementTree.parse(files[2]).getroot().tag.endswith("svg")


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["lab", "rlhf", "-j", "lab-tiny", "-o", str(tmp_path), "--only", "luck"])
    assert isinstance(found.exception, ConfigError)
    assert "take one of judge, bradley-terry, verifier" in str(found.exception)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(RunError, match="not a lab rlhf folder"):
        run_all("lab-tiny", tmp_path, [Source.VERIFIER], [1], Settings(), Silent())


@pytest.mark.slow
def test_a_policy_is_trained_on_every_reward_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the untrained model as policy and judge: what is shown is that the parts fit, not that anything is learnt."""
    import shutil

    from gramr2.training.bradley_terry import train_reward_model

    def policy(into: Path) -> None:
        shutil.copytree(resolve("lab-tiny"), into)

    def briefly(start: Any, scratch: Any, labeled: Any, config: Any, model: Any, *, seed: int) -> Any:
        short = config.model_copy(update={"epochs": 1, "min_steps": 0})
        return train_reward_model(start, scratch, labeled, short, model, seed=seed)

    monkeypatch.setattr("gramr2.research.rlhf.policy.make_policy", policy)
    monkeypatch.setattr("gramr2.training.bradley_terry.train_reward_model", briefly)
    settings = Settings(steps=2, prompts=2, generations=2, test=4)
    results = run_all("lab-tiny", tmp_path / "o", list(Source), [1], settings, Silent())
    for name, [found] in results.items():
        assert len(found["steps"]) == 2, name
        assert found["after"]["n"] == 4
        assert (tmp_path / f"o/cells/{name}-1/policy/model.safetensors").exists()
        assert not (tmp_path / f"o/cells/{name}-1/scratch").exists()

    def again(*_: Any) -> None:
        raise AssertionError("what is finished is trained once more")

    monkeypatch.setattr("gramr2.research.rlhf.plan.train", again)
    assert run_all("lab-tiny", tmp_path / "o", list(Source), [1], settings, Silent()) == json.loads(json.dumps(results))
    with pytest.raises(RunError, match="started with another settings"):
        run_all("lab-tiny", tmp_path / "o", list(Source), [1], Settings(steps=3), Silent())
