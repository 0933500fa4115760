"""The reward functions as TRL calls them: what it passes, what it accepts, and a training step of its own."""

from __future__ import annotations

import asyncio
import inspect
import json
import pickle
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from transformers import AutoTokenizer

from gramr2.errors import DataError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.loading import LoadedJudge, load_judge
from gramr2.rewards.adapters.trl import TRLReward, asynchronous
from gramr2.rewards.groups import Group, ReferenceReward, Rewards, SiblingReward, WinRateReward

LONGER = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))
REWARD = TRLReward(WinRateReward(LONGER))
PROMPTS = {"prompt": [[{"role": "user", "content": f"Say {i}."}] for i in range(4)]}
ONE_STEP: dict[str, Any] = {
    "max_steps": 1,
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
}
"""settings that every trainer here shares"""


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


@pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
def test_the_policys_reasoning_is_not_shown(key: str) -> None:
    """As ``parse_response`` of TRL leaves a turn, also before a call of a tool."""
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    tool = [
        {"role": "assistant", "content": "", key: "I need it. " * 9, "tool_calls": [call]},
        {"role": "tool", "name": "add", "content": "2"},
        {"role": "assistant", "content": "It is 2.", key: "So it is 2. " * 9},
    ]
    short = [{"role": "assistant", "content": "x", key: "a long thought " * 99}]
    seen: list[Group] = []

    def remember(groups: Any) -> list[Rewards]:
        seen.extend(groups)
        return WinRateReward(LONGER)(groups)

    assert TRLReward(remember)(prompts=["p"] * 2, completions=[short, tool]) == [0.0, 1.0]
    assert seen[0].completions == ("x", '[tool call] add {"a": 1}\n\n[tool result of add] 2\n\nIt is 2.')


def test_whatever_trl_parses_out_of_a_text_is_a_completion() -> None:
    from trl import chat_template_utils as templates

    known = [each for name, each in vars(templates).items() if name.endswith("_template") and isinstance(each, dict)]
    fields = {key for each in known for key in each["fields"]}
    assert {"content", "tool_calls", "reasoning_content"} <= fields
    turn = {"role": "assistant", "content": "x", "tool_calls": []} | dict.fromkeys(
        fields - {"content", "tool_calls"}, "hm"
    )
    assert REWARD(prompts=["p"] * 2, completions=[[turn], "xx"]) == [0.0, 1.0]


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


class Trainer:
    """What a reward function can see of GRPO and RLOO: the owner of ``log_metric``."""

    def __init__(self, num_generations_eval: int, training: bool = False) -> None:
        self.num_generations_eval, self.model = num_generations_eval, SimpleNamespace(training=training)
        self.logged: dict[str, float] = {}

    def log(self, name: str, value: float) -> None:
        self.logged[name] = value


def sizes(reward: TRLReward, prompts: str, **more: Any) -> list[int]:
    """The sizes of the groups that a reward makes of completions of these prompts, a letter each."""
    seen: list[Group] = []

    def remember(groups: Any) -> list[Rewards]:
        seen.extend(groups)
        return [[0.0] * len(each.completions) for each in groups]

    reward.reward = remember
    reward(prompts=[*prompts], completions=["x"] * len(prompts), **more)
    return [len(each.completions) for each in seen]


@pytest.mark.parametrize("evaluated", [2, 8, 1])
def test_an_evaluation_has_the_size_that_the_trainer_tells(evaluated: int) -> None:
    reward, batch = TRLReward(WinRateReward(LONGER), num_generations=4), "p" * 8 + "q" * 8
    assert sizes(reward, batch, log_metric=Trainer(evaluated).log) == [evaluated] * (16 // evaluated)
    assert sizes(reward, batch, log_metric=Trainer(evaluated, training=True).log) == [4] * 4
    with pytest.raises(DataError, match="not whole groups of 4"):
        sizes(reward, "ppqq", log_metric=Trainer(2, training=True).log)
    with pytest.raises(DataError, match="per_device_eval_batch_size one of num_generations_eval"):
        sizes(reward, "ppqqqq", log_metric=Trainer(4).log)


def test_an_evaluation_of_another_trainer_has_the_size_that_fits() -> None:
    reward = TRLReward(WinRateReward(LONGER), num_generations=4, num_generations_eval=2)
    assert sizes(reward, "ppqqqqrr") == [2] * 4
    assert sizes(reward, "ppppqqqq") == [4] * 2
    reward.num_generations_eval = 8
    assert sizes(reward, "p" * 8 + "q" * 8) == [8] * 2
    assert sizes(reward, "p" * 8 + "q" * 4) == [4] * 3
    for prompts in ("pp", "pqqqq"):
        with pytest.raises(DataError, match="not whole groups of 4"):
            sizes(reward, prompts)
    assert sizes(TRLReward(WinRateReward(LONGER), num_generations_eval=2), "ppq") == [2, 1]


@pytest.mark.parametrize("size", [4, None])
@pytest.mark.parametrize("reward", [WinRateReward(LONGER), SiblingReward(LONGER)])
def test_alone_in_an_evaluation_there_is_no_win_rate_and_the_reference_is_watched(
    reward: Any, size: int | None
) -> None:
    trainer = Trainer(1)
    columns: dict[str, list[Any]] = {}
    batch: dict[str, Any] = {"prompts": ["p", "q"], "completions": ["x", "xx"], "reference": ["xx", "x"]}
    logs = {"log_metric": trainer.log, "log_extra": columns.__setitem__}
    watched = TRLReward(reward, num_generations=size, watch=ReferenceReward(LONGER))
    assert watched(**batch, **logs) == [None, None]
    assert trainer.logged == {"gramr2/coverage": 0, "gramr2/watch": 0.5}
    assert columns == {"gramr2_verdict": [None, None]}, "TRL's table needs a value for each completion"
    assert TRLReward(ReferenceReward(LONGER), num_generations=size)(**batch, **logs) == [0, 1]


def test_references_come_from_a_column() -> None:
    reward = TRLReward(ReferenceReward(LONGER), reference="greedy")
    assert reward(prompts=["p"] * 2, completions=["x", "xxx"], greedy=["xx", "xx"]) == [0.0, 1.0]
    with pytest.raises(DataError, match="add a reference column"):
        reward(prompts=["p"] * 2, completions=["x", "xxx"])
    with pytest.raises(DataError, match="2 prompts for 1 completions"):
        reward(prompts=["p"] * 2, completions=["x"])


def test_the_asynchronous_one_says_the_same() -> None:
    found = asyncio.run(asynchronous(REWARD)(prompts=["p"] * 2, completions=["x", "xx"], completion_ids=[[1], [2]]))
    assert found == [0.0, 1.0]


def test_trl_still_calls_reward_functions_in_this_way() -> None:
    from trl import GRPOTrainer, RLOOTrainer
    from trl.trainer.utils import get_callable_name, is_async_callable

    for trainer in (GRPOTrainer, RLOOTrainer):
        source = inspect.getsource(trainer._calculate_rewards)
        assert "prompts=prompts, completions=completions, completion_ids=completion_ids_list, **reward_kwargs" in source
        assert "reward if reward is not None else torch.nan" in source
        assert 'reward_kwargs["log_metric"] = self._log_metric' in source
        assert "self.num_generations_eval = args.num_generations_eval or" in inspect.getsource(trainer.__init__)
        generated = inspect.getsource(trainer._generate_and_score_completions)
        assert 'mode = "train" if self.model.training else "eval"' in generated
        assert 'self.num_generations if mode == "train" else self.num_generations_eval' in generated
    assert get_callable_name(REWARD) == "gramr2"
    assert not is_async_callable(REWARD)
    assert is_async_callable(asynchronous(REWARD))
    assert get_callable_name(asynchronous(REWARD)) == "gramr2"


def test_what_is_watched_is_logged_and_not_trained_on() -> None:
    logged: dict[str, float] = {}
    batch: dict[str, Any] = {"prompts": ["p"] * 4 + ["q"] * 4, "completions": ["x", "xx", "xxx", "xxxx"] * 2}
    batch["reference"] = ["xxx"] * 4 + [""] * 4
    plain = TRLReward(WinRateReward(LONGER), num_generations=4)
    watched = TRLReward(WinRateReward(LONGER), num_generations=4, watch=ReferenceReward(LONGER), watched=3)
    assert watched(**batch, log_metric=logged.__setitem__) == plain(**batch)
    assert logged == {"gramr2/coverage": 1, "gramr2/watch": pytest.approx((0 + 0 + 0.5 + 1 + 1 + 1) / 6)}


def test_the_table_of_completions_says_why() -> None:
    columns: dict[str, list[Any]] = {}
    rewards = REWARD(prompts=["p"] * 2, completions=["x", "xx"], log_extra=columns.__setitem__)
    assert rewards == [0, 1]
    lost, won = columns["gramr2_verdict"]
    assert lost.startswith("lost as Response B: Response A has 2 characters, Response B has 1.")
    assert won.startswith("won as Response A: Response A has 2 characters")
    same = TRLReward(lambda groups: [[0.0] * len(each.completions) for each in groups])
    assert same(prompts=["p"] * 2, completions=["x", "xx"], log_extra=columns.__setitem__) == [0, 0]


def test_online_dpo_passes_blocks() -> None:
    reward = TRLReward(WinRateReward(LONGER), num_generations=2, blocks=True)
    columns: dict[str, list[Any]] = {}
    batch = {"prompts": ["p", "q", "p", "q"], "completions": ["x", "yyy", "xx", "y"]}
    assert reward(**batch, log_extra=columns.__setitem__) == [0, 1, 1, 0]
    assert [each.partition(" ")[0] for each in columns["gramr2_verdict"]] == ["lost", "won", "won", "lost"]
    with pytest.raises(DataError, match="needs num_generations"):
        TRLReward(WinRateReward(LONGER), blocks=True)
    with pytest.raises(DataError, match="3 completions are not 2 for each prompt"):
        reward(prompts=["p"] * 3, completions=["x"] * 3)


def test_a_reward_goes_to_another_process_by_the_name_of_its_judge() -> None:
    judge = load_judge("scripted:longer", votes=2)
    for wrap in (lambda reward: reward, asynchronous):
        sent = pickle.loads(pickle.dumps(wrap(TRLReward(WinRateReward(judge), num_generations=2))))
        inner = getattr(sent, "reward", None)
        inner = inner if isinstance(inner, TRLReward) else sent
        assert "model" not in vars(inner.reward.judge)  # not loaded before it is asked
        assert inner(prompts=["p"] * 2, completions=["x", "xx"]) == [0, 1]
        assert inner.reward.judge.model.sampling.votes == 2
        assert inner.reward.judge.id == judge.id
    with pytest.raises(TypeError, match="has no name"):
        pickle.dumps(LoadedJudge(LONGER))


@pytest.mark.parametrize("wrap", [lambda reward: reward, asynchronous])
def test_asynchronous_grpo_scores_a_group(wrap: Any) -> None:
    """The rollout loop's own scoring, without its model server."""
    from accelerate import PartialState
    from trl.experimental.async_grpo import async_rollout_worker as worker

    PartialState()  # TRL's logger wants it
    loop = next(each for each in vars(worker).values() if hasattr(each, "_score_group"))
    fields = {name: [] for name in inspect.signature(worker.RolloutGroup).parameters}
    row = worker.TrainingSequence([1, 2], [0, 1], [0.0, -1.0], "rollout")
    group = worker.RolloutGroup(
        **fields
        | {
            "prompts": [[{"role": "user", "content": "p"}]] * 3,
            "completions": [[{"role": "assistant", "content": text}] for text in ("x", "xx", "xxx")],
            "completions_ids": [[2]] * 3,
            "completions_sequences": [[row]] * 3,
            "tool_call_counts": [0] * 3,
            "tool_failure_counts": [0] * 3,
            "reward_kwargs": {},
            "model_version": 0,
            "group_id": 0,
        }
    )
    reward = wrap(REWARD)
    state = SimpleNamespace(reward_funcs=[reward], reward_func_names=["gramr2"], _env_reward_types=[])
    state._provides_rollout_reward = False
    samples = asyncio.run(loop._score_group(state, group))
    assert [each.metrics["rewards/gramr2"] for each in samples] == [0, 0.5, 1]
    assert samples[0].advantage < samples[1].advantage < samples[2].advantage


@pytest.mark.slow
def test_a_step_of_online_dpo(tiny_model: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    seen: list[Group] = []

    def remember(groups: Any) -> list[Rewards]:
        seen.extend(groups)
        return WinRateReward(LONGER)(groups)

    settings = OnlineDPOConfig(output_dir=str(tmp_path), per_device_train_batch_size=2, max_new_tokens=6, **ONE_STEP)
    prompts = Dataset.from_dict(PROMPTS)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    reward = TRLReward(remember, num_generations=2, blocks=True)
    run = OnlineDPOTrainer(
        model=str(tiny_model), reward_funcs=reward, args=settings, train_dataset=prompts, processing_class=tokenizer
    )
    run.train()
    assert len(seen) == 2
    assert all(len(each.completions) == 2 for each in seen)
    assert len({each.prompt for each in seen}) == 2
    assert any("objective/rlhf_reward" in each for each in run.state.log_history)


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [lambda reward: reward, asynchronous])
@pytest.mark.parametrize("algorithm", ["GRPO", "RLOO"])
def test_a_step_of_reinforcement_learning(algorithm: str, wrap: Any, tiny_model: Path, tmp_path: Path) -> None:
    import trl
    from datasets import Dataset

    config, trainer = getattr(trl, f"{algorithm}Config"), getattr(trl, f"{algorithm}Trainer")
    settings = config(
        output_dir=str(tmp_path),
        num_generations=4,
        per_device_train_batch_size=4,
        max_completion_length=6,
        **ONE_STEP,
    )
    prompts = Dataset.from_dict(PROMPTS)
    run = trainer(model=str(tiny_model), reward_funcs=wrap(REWARD), args=settings, train_dataset=prompts)
    run.train()
    logged = next(each for each in run.state.log_history if "reward" in each)
    assert 0 <= logged["rewards/gramr2/mean"] <= 1
    assert logged["gramr2/coverage"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["GRPO", "RLOO", "online-DPO"])
def test_the_example_trains_a_policy(algorithm: str, tiny_model: Path, tmp_path: Path, capsys: Any) -> None:
    rows = [{"prompt": f"Say {i}."} | ({"reference": "no"} if algorithm != "online-DPO" else {}) for i in range(4)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = f"--judge {tiny_model} --policy {tiny_model} --prompts {tmp_path / 'p.jsonl'} --out {tmp_path / 'o'}"
    small = f"--generations 2 --steps 1 --max-new-tokens 4 --algorithm {algorithm}"
    with mock.patch.object(sys, "argv", ["trl_grpo.py", *options.split(), *small.split()]):
        runpy.run_path(str(Path(__file__).parents[3] / "examples" / "trl_grpo.py"), run_name="__main__")
    assert (tmp_path / "o/model.safetensors").exists()
