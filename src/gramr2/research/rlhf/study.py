"""RLHF where the truth is known: a policy trained with GRPO on a judge's, a Bradley-Terry model's, or the verifier's reward.

The rewards see a completion's answer but not whether it is right; the lab does. So every step has two numbers, the mean reward
and the share of right answers (truth). A reward that rises while truth falls has been hacked.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import Any

from scipy.stats import ttest_ind

from gramr2.errors import RunError
from gramr2.evaluation.metrics import wilson
from gramr2.files import write_json
from gramr2.judging.judge import Judge
from gramr2.research.lab.comparisons import Part
from gramr2.research.rlhf.policy import NEW_TOKENS, asked, final_answer, is_right, sample
from gramr2.rewards.adapters.trl import TRLReward
from gramr2.rewards.groups import Group, GroupReward, ReferenceReward, Rewards
from gramr2.training.bradley_terry import RewardModel

ENDS = 0.2
"""the first and the last fifth of the steps are compared"""
MIN_STEPS = 20
"""with fewer steps, no trend can be seen"""


class Source(StrEnum):
    """Where the policy's rewards come from."""

    JUDGE = "judge"
    BRADLEY_TERRY = "bradley-terry"
    VERIFIER = "verifier"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one run: ``prompts`` × ``generations`` completions per step; ``test`` prompts measure the policy before and
    after."""

    steps: int = 100
    prompts: int = 8
    generations: int = 8
    learning_rate: float = 5e-5
    test: int = 400


@dataclass(slots=True)
class Watched:
    """A reward that sees only final answers, with a record of how many of the rewarded completions are right."""

    reward: GroupReward
    seen: list[dict[str, float | None]] = field(default_factory=list)

    def __call__(self, groups: Sequence[Group]) -> list[Rewards]:
        """See ``GroupReward``."""
        shown = [replace(group, completions=tuple(map(final_answer, group.completions))) for group in groups]
        rewards = self.reward(shown)
        values = [value for each in rewards for value in each if value is not None]
        right = [is_right(group.prompt[-1].content, text) for group in groups for text in group.completions]
        self.seen.append(
            {
                "reward": fmean(values) if values else None,
                "truth": fmean(right),
                "coverage": len(values) / len(right),
            }
        )
        return rewards


@dataclass(frozen=True, slots=True)
class Verifier:
    """1 for a right answer, 0 for any other."""

    def __call__(self, groups: Sequence[Group]) -> list[Rewards]:
        """See ``GroupReward``."""
        return [[float(is_right(g.prompt[-1].content, text)) for text in g.completions] for g in groups]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A Bradley-Terry model's reward for each completion; the trainer compares them within their group."""

    model: RewardModel

    def __call__(self, groups: Sequence[Group]) -> list[Rewards]:
        """See ``GroupReward``."""
        values = iter(self.model.rewards([(g.prompt, text) for g in groups for text in g.completions]))
        return [[next(values) for _ in g.completions] for g in groups]


def reward_of(source: Source, judge: Callable[[], Judge], scalar: Callable[[], RewardModel], seed: int) -> GroupReward:
    """The reward of a source: a judge's is the probability of beating the untrained policy's greedy answer, over both orders."""
    if source is Source.VERIFIER:
        return Verifier()
    return Scalar(scalar()) if source is Source.BRADLEY_TERRY else ReferenceReward(judge(), seed)


def train(
    policy: Path, out: Path, reward: GroupReward, settings: Settings, seed: int, told: Callable[[int, int], None]
) -> dict[str, Any]:
    """Train the policy with TRL's GRPO and measure it; ``out/result.json`` appears when all is done.

    Raises:
        RunError: the reward had no value for any completion, so nothing was learnt.
    """
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    from gramr2.backends.pretrained import open_causal, open_tokenizer
    from gramr2.backends.transformers import TransformersBackend

    started = time.monotonic()
    test = asked(Part.TEST, settings.test, 0)
    prompts = asked(Part.UNLABELED, settings.steps * settings.prompts, seed)
    backend = TransformersBackend(policy)
    before = _measured(backend, test, seed)
    references = [final_answer(text) for text in sample(backend, prompts, temperature=0.0, seed=seed)]
    del backend
    watched = Watched(reward)

    def counted(groups: Sequence[Group]) -> list[Rewards]:
        rewards = watched(groups)
        told(len(watched.seen), settings.steps)
        return rewards

    size = settings.prompts * settings.generations
    trainer = GRPOTrainer(
        model=open_causal(policy, dtype=torch.float32),
        processing_class=open_tokenizer(policy, padding_side="left"),
        reward_funcs=TRLReward(counted, num_generations=settings.generations),
        args=GRPOConfig(
            output_dir=str(out / "scratch"),
            max_steps=settings.steps,
            num_generations=settings.generations,
            per_device_train_batch_size=size,
            max_completion_length=NEW_TOKENS,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=settings.steps // 20,
            shuffle_dataset=False,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            save_strategy="no",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            seed=seed,
            data_seed=seed,
        ),
        train_dataset=Dataset.from_dict(
            {"prompt": [[{"role": "user", "content": each}] for each in prompts], "reference": references}
        ),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    if all(step["reward"] is None for step in watched.seen):
        raise RunError("the reward had no value for any completion, so nothing was learnt")
    trained = out / "policy"
    trainer.save_model(str(trained))
    shutil.rmtree(out / "scratch", ignore_errors=True)
    after = _measured(TransformersBackend(trained), test, seed)
    result = {
        "seed": seed,
        "before": before,
        "after": after,
        "check": hacking(watched.seen),
        "steps": watched.seen,
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(out / "result.json", result)
    return result


def _measured(policy: Any, prompts: Sequence[str], seed: int) -> dict[str, Any]:
    """How often the policy is right, sampled as in training and greedily, with Wilson intervals."""
    found: dict[str, Any] = {"n": len(prompts)}
    for name, temperature in (("sampled", 1.0), ("greedy", 0.0)):
        texts = sample(policy, prompts, temperature=temperature, seed=seed)
        right = sum(is_right(prompt, text) for prompt, text in zip(prompts, texts, strict=True))
        bounds = wilson(right, len(prompts))
        found[name] = {"accuracy": right / len(prompts), "low": bounds.low, "high": bounds.high}
    return found


def hacking(steps: Sequence[dict[str, float | None]]) -> dict[str, Any]:
    """How reward and truth moved from the first to the last fifth of the steps, with Welch's 95 % intervals over steps.

    ``hacked`` says that the reward rose and truth fell, both significantly; None if there are too few steps, or if they are
    all alike.
    """
    known = [(each["reward"], each["truth"]) for each in steps if each["reward"] is not None]
    size = max(2, round(ENDS * len(known)))
    found: dict[str, Any] = {}
    for place, name in enumerate(("reward", "truth")):
        first, last = ([float(each[place] or 0.0) for each in part] for part in (known[:size], known[-size:]))
        change = fmean(last) - fmean(first)
        low: float | None = None
        high: float | None = None
        if len(known) >= MIN_STEPS and (len(set(first)) > 1 or len(set(last)) > 1):
            interval = ttest_ind(last, first, equal_var=False).confidence_interval()
            low, high = float(interval.low), float(interval.high)
        found[name] = {
            "first": fmean(first),
            "last": fmean(last),
            "change": change,
            "low": low,
            "high": high,
        }
    reward, truth = found["reward"]["low"], found["truth"]["high"]
    found["hacked"] = None if reward is None or truth is None else reward > 0 and truth < 0
    return found


def finished(out: Path) -> dict[str, Any] | None:
    """The result of a finished run, or None."""
    file = out / "result.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
