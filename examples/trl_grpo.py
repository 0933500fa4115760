"""GRPO with a gramr2 judge as the reward, through TRL.

    python examples/trl_grpo.py --judge runs/my-run --policy Qwen/Qwen2.5-0.5B-Instruct --prompts prompts.jsonl --out policy

``prompts.jsonl`` has a ``prompt`` a line, text or chat messages. A completion's reward is its chance to beat a sibling, over all
pairs of its group, judged in both orders; what the judge does not decide has no reward, and TRL leaves it out.
"""

from __future__ import annotations

import argparse

import torch
from datasets import load_dataset
from trl import GRPOConfig, GRPOTrainer

import gramr2


def main() -> None:
    """Train and save the policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("judge", "policy", "prompts", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    options = parser.parse_args()
    judge = gramr2.load_judge(options.judge, max_new_tokens=options.max_new_tokens)
    prompts = load_dataset("json", data_files=options.prompts, split="train").select_columns("prompt")
    trainer = GRPOTrainer(
        model=options.policy,
        # With the group's size the adapter refuses batches in which a process sees only a part of a group.
        reward_funcs=gramr2.TRLReward(gramr2.WinRateReward(judge), num_generations=options.generations),
        args=GRPOConfig(
            output_dir=options.out,
            max_steps=options.steps,
            num_generations=options.generations,
            per_device_train_batch_size=options.generations,
            max_completion_length=options.max_new_tokens,
            bf16=torch.cuda.is_available(),
            use_cpu=not torch.cuda.is_available(),
            logging_steps=1,
            report_to="none",
        ),
        train_dataset=prompts,
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
