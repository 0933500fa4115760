"""Reinforcement learning with a gramr2 judge as the reward, through TRL: GRPO, or with --algorithm RLOO or online DPO.

    python examples/trl_grpo.py --judge runs/my-run --policy Qwen/Qwen2.5-0.5B-Instruct --prompts prompts.jsonl --out policy

``prompts.jsonl`` has a ``prompt`` a line, text or chat messages, and optionally a ``reference``. A completion's reward is its
chance to beat a sibling, over all pairs of its group, judged in both orders; what the judge does not decide has no reward, and
TRL leaves it out. Such a reward is ½ on average however good the policy is. So where there are references, the chance to beat
them is logged as ``gramr2/watch``: that is the curve to look at.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from datasets import load_dataset
from transformers import AutoTokenizer
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

import gramr2


def main() -> None:
    """Train and save the policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("judge", "policy", "prompts", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--algorithm", choices=("GRPO", "RLOO", "online-DPO"), default="GRPO")
    parser.add_argument("--generations", type=int, default=8, help="completions of a prompt; online DPO has 2")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    options = parser.parse_args()
    judge = gramr2.load_judge(options.judge, max_new_tokens=options.max_new_tokens)
    prompts = load_dataset("json", data_files=options.prompts, split="train")
    watched = "reference" in prompts.column_names
    prompts = prompts.select_columns(["prompt", "reference"] if watched else ["prompt"])
    online = options.algorithm == "online-DPO"
    reward = gramr2.TRLReward(
        gramr2.WinRateReward(judge),
        # With the group's size the adapter refuses batches in which a process sees only a part of a group.
        num_generations=2 if online else options.generations,
        watch=gramr2.ReferenceReward(judge) if watched else None,
        blocks=online,
    )
    common: dict[str, Any] = {
        "output_dir": options.out,
        "max_steps": options.steps,
        "per_device_train_batch_size": options.generations,
        "bf16": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
        "logging_steps": 1,
        "report_to": "none",
    }
    if online:
        from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

        trainer = OnlineDPOTrainer(
            model=options.policy,
            reward_funcs=reward,
            args=OnlineDPOConfig(**common, max_new_tokens=options.max_new_tokens),
            train_dataset=prompts,
            processing_class=AutoTokenizer.from_pretrained(options.policy),
        )
    else:
        config, kind = {"GRPO": (GRPOConfig, GRPOTrainer), "RLOO": (RLOOConfig, RLOOTrainer)}[options.algorithm]
        sizes = {"num_generations": options.generations, "max_completion_length": options.max_new_tokens}
        trainer = kind(model=options.policy, reward_funcs=reward, args=config(**common, **sizes), train_dataset=prompts)
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
