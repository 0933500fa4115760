"""What the paper's setting would cost on H100s, by the formulas of ``gramr2 check --cost``.

    python benchmarks/scaling_costs.py [--csv docs/scaling.csv] [--mfu 0.33] [--price 3]

1 M labelled comparisons without rationales, a proving model taught on 40,500 human ones, three rounds of 0.5 M unlabelled
comparisons each, Llama-3.1-8B (GRAM-R², arXiv 2509.02492). Token lengths, utilisation and price are assumptions, each a flag.
Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gramr2.config import RunConfig, parse_config
from gramr2.selftraining.cost.arithmetic import Shape, forward_flops, training_bytes, training_flops
from gramr2.selftraining.cost.estimate import priced
from gramr2.selftraining.cost.parts import Assumptions
from gramr2.selftraining.cost.plan import plan
from gramr2.selftraining.cost.sizes import Lengths, Sizes
from gramr2.selftraining.cost.stages import Kind, Stage
from gramr2.text import counted

LLAMA_8B = Shape.from_config(
    {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
    },
    8_030_261_248,
    tied=False,
)
"""Llama-3.1-8B, from its config.json and the number of its weights"""
LLAMA2_7B = Shape.from_config(
    {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "intermediate_size": 11008,
        "vocab_size": 32000,
    },
    6_738_415_616,
    tied=False,
)
MEASURED = 7500.0
"""tokens a second and GPU of Llama-2-7B with FSDP on 96 H100s (github.com/foundation-model-stack/fms-fsdp, README), sequences of
4,096"""
FRAMES = {"direct": 95, "reasoned": 110, "proof": 85}
"""tokens of our prompts beside the texts, in SmolLM2's tokens; all but some twenty are the same in every prompt"""
BF16 = 2


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU and how well it is used.

    Args:
        peak: dense bf16 operations a second.
        bandwidth: bytes a second.
        memory: bytes.
        mfu: share of the peak that training reaches.
        prefill: share of the peak that prefill reaches.
        mbu: share of the bandwidth that decoding reaches.
        rows: samples decoded together at most.
        price: dollars an hour.
    """

    peak: float = 989e12
    bandwidth: float = 3.35e12
    memory: float = 80e9
    mfu: float = 0.33
    prefill: float = 0.4
    mbu: float = 0.6
    rows: int = 256
    price: float = 3.0

    def decoding(self, shape: Shape, prompt: float, written: float, total: float) -> float:
        """Seconds to write ``total`` tokens, ``written`` after each prompt: of reading weights and keys, or of multiplying."""
        rows = min(self.rows, int((0.9 * self.memory - BF16 * shape.parameters) / shape.cache(prompt + written, BF16)))
        seen = prompt + written / 2
        read = (BF16 * shape.parameters + shape.cache(rows * seen, BF16)) / (self.bandwidth * self.mbu)
        multiply = forward_flops(shape, rows, 2 * rows * seen, rows) / (self.peak * self.prefill)
        return total / rows * max(read, multiply)

    def seconds(self, stage: Stage, shape: Shape) -> float:
        """Of one GPU for a stage."""
        learnt = sum(each.flops(shape, adapters=False) for each in stage.learnt) * stage.passes / (self.peak * self.mfu)
        total = learnt
        for each in stage.asked:
            written = each.generated_tokens
            reads = each.flops(shape) - forward_flops(
                shape, written, written * (2 * each.prompt.mean + each.generated), written
            )
            total += reads / (self.peak * self.prefill)
            if written:
                total += self.decoding(shape, each.prompt.mean, each.generated, written)
        return total


def lengths(mean: float, spread: float, shared: int) -> Lengths:
    """Of texts whose standard deviation is ``spread`` times their mean."""
    return Lengths(mean, mean * mean * (1 + spread * spread), shared)


def sizes_of(text: float, rationale: float, spread: float) -> Sizes:
    """The paper's numbers of comparisons, with texts of so many tokens."""
    counts = {"seed": 1_000_000, "held_out": 0, "pool": 1_500_000, "gold": 1_000, "proving": 40_500, "final": 0}
    prompts = {
        (part, form): lengths(text + frame, spread, frame - 20) for part in counts for form, frame in FRAMES.items()
    }
    return Sizes(
        counts=counts,
        bare=counts["seed"],
        prompts=prompts,
        given={"direct": 3, "reasoned": 6, "proof": 6},
        label=8,
        frame=14,
        bridge=8,
        rationale=rationale,
        bytes=dict.fromkeys(counts, 4.5 * text),
    )


def config_of(verdict: str, votes: int, proofs: int, weight: float, epochs: float, budget: int) -> RunConfig:
    """The paper's run in our words; each round learns from slices of its own."""
    return parse_config(
        {
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "data": {"seed": "x.jsonl", "pool": "y.jsonl", "gold": "z.jsonl"},
            "judge": {
                "verdict": verdict,
                "pool": {"votes": votes, "max_new_tokens": budget},
                "gold": {"max_new_tokens": budget},
            },
            "rationale": {"source": "proving", "proving": {"proofs": proofs, "max_new_tokens": budget}},
            "training": {
                "epochs": epochs,
                "batch_size": 128,
                "orders": "hashed",
                "learning_rate": 1e-5,
                "verdict": {"weight": weight},
            },
            "curriculum": {"per_round": 500_000},
            "rounds": 3,
            "baselines": ["longer"],
        }
    )


VARIANTS: dict[str, dict[str, Any]] = {
    "rationales alone, 4 votes, 4 proofs": {"verdict": "reasoned", "votes": 4, "proofs": 4, "weight": 0},
    "direct form beside them, 4 votes, 4 proofs": {"verdict": "reasoned", "votes": 4, "proofs": 4, "weight": 1},
    "verdicts read directly, 4 proofs": {"verdict": "direct", "votes": 4, "proofs": 4, "weight": 1},
    "verdicts read directly, 1 proof": {"verdict": "direct", "votes": 4, "proofs": 1, "weight": 1},
}
"""the first is next-token training on rationale and verdict, as in the paper; what it does not state is ours"""


def work_of(stage: Stage) -> str:
    """What a stage is counted under."""
    if stage.kind is Kind.TRAIN:
        return "train"
    return "prove" if "proofs" in stage.name else "judge"


def table(given: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each variant and number of GPUs."""
    gpu = Gpu(mfu=given.mfu, prefill=given.prefill, mbu=given.mbu, price=given.price)
    sizes, rows = sizes_of(given.text, given.rationale, given.spread), []
    for name, how in VARIANTS.items():
        config = config_of(**how, epochs=given.epochs, budget=given.budget)
        stages = plan(config, sizes, Assumptions(kept=given.kept))
        hours: dict[str, float] = defaultdict(float)
        for stage in stages:
            hours[work_of(stage)] += gpu.seconds(stage, LLAMA_8B) / 3600
        found = priced(config, stages, LLAMA_8B, None)
        kept = given.kept * sizes.count("pool")
        tokens = {kind: sum(getattr(stage, kind) for stage in stages) for kind in TOKENS}
        for gpus in (8, 64):
            total = sum(hours.values())
            rows.append(
                {"variant": name, "gpus": gpus, **tokens, "flops": sum(each.flops or 0 for each in found)}
                | {f"{kind}_gpu_hours": value for kind, value in hours.items()}
                | {"gpu_hours": total, "days": total / gpus / 24, "dollars": total * gpu.price}
                | {"dollars_per_kept": total * gpu.price / kept, "disk_tb": sum(each.disk for each in found) / 1e12}
            )
    return rows


TOKENS = ("prompt_tokens", "generated_tokens", "trained_tokens")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=float, default=850, help="tokens of a prompt and its two responses")
    parser.add_argument(
        "--spread", type=float, default=0.6, help="standard deviation of lengths, as a share of the mean"
    )
    parser.add_argument("--rationale", type=float, default=250, help="tokens of a rationale")
    parser.add_argument("--budget", type=int, default=512, help="tokens that a rationale may have at most")
    parser.add_argument("--kept", type=float, default=0.5, help="share of judged comparisons that a round keeps")
    parser.add_argument("--epochs", type=float, default=1, help="passes of every training")
    parser.add_argument("--mfu", type=float, default=0.33, help="share of the peak in training")
    parser.add_argument("--prefill", type=float, default=0.4, help="share of the peak in prefill")
    parser.add_argument("--mbu", type=float, default=0.6, help="share of the bandwidth in decoding")
    parser.add_argument("--price", type=float, default=3.0, help="dollars per H100 and hour")
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args(arguments)
    reached = training_flops(forward_flops(LLAMA2_7B, 1, 4096, 1), adapters=False) * MEASURED / Gpu().peak
    print(
        f"{MEASURED:,.0f} tokens a second of Llama-2-7B are {100 * reached:.0f} % of an H100's peak by these formulas."
    )
    for gpus in (8, 64):
        whole = training_bytes(LLAMA_8B, None, 0.0, 0.0) / gpus
        print(f"Weights, gradients and moments of Llama-3.1-8B, shared by {gpus} GPUs: {counted(whole)}B each.")
    rows = table(given)
    print(
        "\n| | prompt | written | trained | FLOP | judge | prove | train | GPU hours | 8 GPUs | 64 GPUs | $ | $ / kept pair |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for few, many in zip(rows[::2], rows[1::2], strict=True):
        tokens = " | ".join(counted(few[kind]) for kind in (*TOKENS, "flops"))
        hours = " | ".join(f"{few[f'{kind}_gpu_hours']:,.0f}" for kind in ("judge", "prove", "train"))
        days = f"{few['days']:.1f} days | {24 * many['days']:.0f} h"
        money = f"{few['dollars']:,.0f} | {few['dollars_per_kept']:.4f}"
        print(f"| {few['variant']} | {tokens} | {hours} | {few['gpu_hours']:,.0f} | {days} | {money} |")
    if given.csv:
        with given.csv.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
