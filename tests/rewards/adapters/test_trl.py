"""The reward functions as TRL calls them: what it passes, what it accepts, and a training step of its own."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from gramr2.errors import DataError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.rewards.adapters.trl import TRLReward, asynchronous
from gramr2.rewards.groups import Group, ReferenceReward, Rewards, WinRateReward

LONGER = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))
REWARD = TRLReward(WinRateReward(LONGER))


def test_completions_of_one_prompt_are_a_group() -> None:
    seen: list[Group] = []

    def remember(groups: Any) -> list[Rewards]:
        seen.extend(groups)
        return [[None] * len(each.completions) for each in groups]

    metrics: dict[str, float] = {}
    rewards = TRLReward(remember, name="judge")(
        prompts=["p", "p", "q", "q", "q"],
        completions=["a", "b", "c", "d", "e"],
        log_metric=metrics.__setitem__,
        answer=[1] * 5,
    )
    assert [(each.prompt[0].content, each.completions) for each in seen] == [("p", ("a", "b")), ("q", ("c", "d", "e"))]
    assert rewards == [None] * 5
    assert metrics == {"judge/coverage": 0.0}


def test_text_and_chat_messages_mean_the_same() -> None:
    texts = ["xx", "x", "xxx"]
    prompt = [{"role": "user", "content": "Say x."}]
    chat = [[{"role": "assistant", "content": text}] for text in texts]
    parts = [[{"role": "assistant", "content": [{"type": "text", "text": text}]}] for text in texts]
    assert REWARD(prompts=["Say x."] * 3, completions=texts) == [0.5, 0.0, 1.0]
    assert REWARD(prompts=[prompt] * 3, completions=chat) == [0.5, 0.0, 1.0]
    assert REWARD(prompts=[prompt] * 3, completions=parts) == [0.5, 0.0, 1.0]
    calls = [[{"role": "assistant", "content": None, "tool_calls": []}], chat[0]]
    assert REWARD(prompts=[prompt] * 2, completions=calls) == [0.0, 1.0]


def test_groups_of_a_known_size_are_whole_or_refused() -> None:
    seen: list[Group] = []

    def remember(groups: Any) -> list[Rewards]:
        seen.extend(groups)
        return [[0.0] * len(each.completions) for each in groups]

    reward = TRLReward(remember, num_generations=2)
    reward(prompts=["p"] * 4, completions=["a", "b", "c", "d"])
    assert [each.completions for each in seen] == [("a", "b"), ("c", "d")]  # the same prompt twice is two groups
    for prompts in (["p"], ["p", "p", "q"], ["p", "q"]):
        with pytest.raises(DataError, match="not whole groups of 2"):
            reward(prompts=prompts, completions=["x"] * len(prompts))


def test_references_come_from_a_column() -> None:
    reward = TRLReward(ReferenceReward(LONGER), reference="greedy")
    assert reward(prompts=["p"] * 2, completions=["x", "xxx"], greedy=["xx", "xx"]) == [0.0, 1.0]
    with pytest.raises(DataError, match="add a reference column"):
        reward(prompts=["p"] * 2, completions=["x", "xxx"])
    with pytest.raises(DataError, match="2 prompts for 1 completions"):
        reward(prompts=["p"] * 2, completions=["x"])


def test_the_asynchronous_one_says_the_same() -> None:
    import asyncio

    found = asyncio.run(asynchronous(REWARD)(prompts=["p"] * 2, completions=["x", "xx"], completion_ids=[[1], [2]]))
    assert found == [0.0, 1.0]


def test_trl_still_calls_reward_functions_in_this_way() -> None:
    from trl import GRPOTrainer, RLOOTrainer
    from trl.trainer.utils import get_callable_name, is_async_callable

    for trainer in (GRPOTrainer, RLOOTrainer):
        source = inspect.getsource(trainer._calculate_rewards)
        assert "prompts=prompts, completions=completions, completion_ids=completion_ids_list, **reward_kwargs" in source
        assert "reward if reward is not None else torch.nan" in source
    assert get_callable_name(REWARD) == "gramr2"
    assert not is_async_callable(REWARD)
    assert is_async_callable(asynchronous(REWARD))
    assert get_callable_name(asynchronous(REWARD)) == "gramr2"


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [lambda reward: reward, asynchronous])
@pytest.mark.parametrize("algorithm", ["GRPO", "RLOO"])
def test_a_step_of_reinforcement_learning(algorithm: str, wrap: Any, tiny_model: Path, tmp_path: Path) -> None:
    import trl
    from datasets import Dataset

    config, trainer = getattr(trl, f"{algorithm}Config"), getattr(trl, f"{algorithm}Trainer")
    settings = config(
        output_dir=str(tmp_path),
        max_steps=1,
        num_generations=4,
        per_device_train_batch_size=4,
        max_completion_length=6,
        report_to="none",
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
    )
    prompts = Dataset.from_dict({"prompt": [[{"role": "user", "content": f"Say {i}."}] for i in range(4)]})
    run = trainer(model=str(tiny_model), reward_funcs=wrap(REWARD), args=settings, train_dataset=prompts)
    run.train()
    logged = next(each for each in run.state.log_history if "reward" in each)
    assert 0 <= logged["rewards/gramr2/mean"] <= 1
    assert logged["gramr2/coverage"] == 1.0


@pytest.mark.slow
def test_the_example_trains_a_policy(tiny_model: Path, tmp_path: Path) -> None:
    import json
    import runpy
    import sys
    from unittest import mock

    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"prompt": f"Say {i}."}) + "\n" for i in range(4)))
    options = f"--judge {tiny_model} --policy {tiny_model} --prompts {tmp_path / 'p.jsonl'} --out {tmp_path / 'o'}"
    small = "--generations 2 --steps 1 --max-new-tokens 4"
    with mock.patch.object(sys, "argv", ["trl_grpo.py", *options.split(), *small.split()]):
        runpy.run_path(str(Path(__file__).parents[3] / "examples" / "trl_grpo.py"), run_name="__main__")
    assert (tmp_path / "o/model.safetensors").exists()
