"""Seconds per decision: the usual ways to sample votes from a judge, and gramr2's.

    python benchmarks/judging.py --data FILE [--model smollm2-135m] [--comparisons 64] [--votes 8] [--new-tokens 48] [--repeats 3]
        [--certainty 0.95] [--direct-certainty 0.9] [--only generate,batched,fixed,adaptive,direct-first] [--dtype float32]
        [--device auto] [--python PYTHON_WITH_VLLM] [--llama-server BINARY --gguf FILE] [--json FILE]

All ways judge comparisons of the same file in both orders with the same prompts, in turn, in every repeat. Each is timed over the
first --comparisons, the slowest over a part of them, and reported per decision: ratios within this run are what to quote.

- generate: one call of transformers' ``generate`` for every vote, as public judging scripts do
- batched: ``generate(num_return_sequences=votes)`` on batches of prompts
- fixed, adaptive, direct-first: ours with all votes, with --certainty, and with --direct-certainty before it; direct-first@0.6
  is that with 0.6 in its place, direct the direct reading alone
- vllm: vLLM's ``generate`` with ``n=votes`` and its prefix cache, in another Python (--python), which loads its model once
- llama.cpp: its server (--llama-server) with ``n_cmpl=votes``, in a new process for every repeat; it computes with what the file
  (--gguf) holds, which for the one that smollm2-135m is made from is 4 bits

bound is the time that the matrix products alone would take: those of the tokens that must be computed (each distinct beginning
of a prompt once; each answer's tokens in steps of as many rows as ours), measured layer by layer on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from judging_peers import VLLM, LlamaServer, Peer, Work

from gramr2.backends.hardware import versions
from gramr2.backends.pretrained import open_causal
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Comparison
from gramr2.data import load_labeled
from gramr2.data.split import subset
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.template import JudgeMode
from gramr2.judgment import Decision
from gramr2.loading import JudgeOptions, generative_judge

PARTS = {"generate": 2, "batched": 8}
"""comparisons that the slow ways judge, at most"""
TOGETHER = 8
"""prompts in a batch of ``generate``: with eight votes 64 rows"""


@dataclass
class Way:
    """What one way has taken so far: seconds per decision of each repeat, and tokens of the last."""

    seconds: list[float] = field(default_factory=list)
    prompt_tokens: float = 0.0
    """computed per decision, beginnings that are shared counted once where they are computed once"""
    new_tokens: float = 0.0
    agree: float | None = None
    """share of decisions that are those of ``fixed``"""


class Tokens:
    """Counts the tokens of a model's forward passes: those of prompts, and those of answers, one at a time."""

    def __init__(self, model: Any) -> None:
        self.prompt = self.answer = self.steps = 0
        self._hook = model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = args[0] if args else kwargs.get("input_ids")
        if ids is not None:
            self.prompt += ids.numel() if ids.shape[1] > 1 else 0
            self.answer += ids.numel() if ids.shape[1] == 1 else 0
            self.steps += ids.shape[1] == 1

    def __enter__(self) -> Tokens:
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def main(arguments: list[str] | None = None) -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labelled comparisons")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--comparisons", type=int, default=64)
    parser.add_argument("--votes", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--certainty", type=float, default=0.95)
    parser.add_argument("--direct-certainty", type=float, default=0.9)
    parser.add_argument("--only", default="generate,batched,fixed,adaptive,direct-first")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--python", help="a Python that has vLLM")
    parser.add_argument("--llama-server", help="llama.cpp's server, a binary")
    parser.add_argument("--gguf", help="the model for --llama-server, a file")
    parser.add_argument("--json", type=Path, dest="path")
    options = parser.parse_args(arguments)
    if options.llama_server and not options.gguf:
        parser.error("--llama-server needs --gguf FILE, with the same tokenizer as --model")
    labeled = subset(
        load_labeled(options.data)[0], options.comparisons, options.seed, key=lambda each: each.comparison.id
    )
    items, truth = [item.comparison for item in labeled], {i.comparison.id: i.label for i in labeled}
    judge = generative_judge(
        options.model, JudgeOptions(mode="reason", verdict="reasoned", dtype=options.dtype, device=options.device)
    )
    assert isinstance(judge.backend, TransformersBackend)
    ways = {name: Way() for name in options.only.split(",")}
    usual = open_causal(judge.backend.folder, dtype=judge.backend.dtype).to(judge.backend.device).eval()
    peers = opened(options, judge, items)
    ways |= {name: Way() for name in peers}
    decided: dict[str, list[Decision]] = {}
    for repeat in range(options.repeats):
        for name, way in ways.items():
            part = items[: PARTS.get(name)]
            if name in peers:
                seconds, way.new_tokens = (each / len(items) for each in peers[name].judged(repeat))
                way.seconds.append(seconds)
                continue
            run = runner(name, judge, usual, options, seed=options.seed + repeat)
            with Tokens(usual if name in PARTS else judge.backend.model) as tokens:
                start = time.perf_counter()
                found = run(part)
                settle(judge.backend.device)
                way.seconds.append((time.perf_counter() - start) / len(part))
            way.prompt_tokens, way.new_tokens = tokens.prompt / len(part), tokens.answer / len(part)
            if found is not None:
                if judge.backend.device.type == "cuda":
                    # A recorded step calls no hook.
                    way.new_tokens = sum(vote.completion_tokens for each in found for vote in each.judgments) / len(
                        part
                    )
                decided[name] = found
                same = [a.label is b.label for a, b in zip(found, decided.get("fixed", found), strict=True)]
                way.agree = sum(same) / len(same)
    for peer in peers.values():
        peer.close()
    least = bound(judge, items, options)
    report = {
        "n": len(items),
        "mean_prompt_tokens": statistics.fmean(len(ids) for ids in prompts(judge, items)),
        "votes": options.votes,
        "new_tokens": options.new_tokens,
        "seed": options.seed,
        "ways": {
            name: asdict(way)
            | {
                "median_s": statistics.median(way.seconds),
                "times_batched": ratio(ways.get("batched"), way),
                "times_vllm": ratio(ways.get("vllm"), way),
                "right": right(decided.get(name), truth),
            }
            for name, way in ways.items()
        },
        "bound": least,
        "model": judge.id,
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg(),
        "versions": ", ".join([versions(), *(peer.version for peer in peers.values())]),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.path:
        options.path.write_text(text + "\n", encoding="utf-8")


def opened(options: argparse.Namespace, judge: Judge, items: list[Comparison]) -> dict[str, Peer]:
    """The peers that the options name, with the judge's prompts."""
    assert isinstance(judge.backend, TransformersBackend) and judge.template.mode is JudgeMode.REASON
    work = Work(prompts(judge, items), options.votes, options.new_tokens)
    found: dict[str, Peer] = {}
    if options.python:
        found["vllm"] = VLLM(options.python, judge.backend.folder, options.dtype, work)
    if options.llama_server:
        found["llama.cpp"] = LlamaServer(options.llama_server, options.gguf, torch.get_num_threads(), work)
    return found


def ratio(slow: Way | None, way: Way) -> list[float] | None:
    """How many times as fast a way is, repeat by repeat."""
    return None if slow is None else [round(a / b, 2) for a, b in zip(slow.seconds, way.seconds, strict=False)]


def right(found: list[Decision] | None, truth: dict[str, Any]) -> float | None:
    """The share of decisions that are the data's label."""
    return None if found is None else round(sum(each.label is truth[each.id] for each in found) / len(found), 4)


def prompts(judge: Judge, items: list[Comparison]) -> list[list[int]]:
    """The prompts of both orders, as ids."""
    backend, template = judge.backend, judge.template
    assert isinstance(backend, TransformersBackend)
    shown = [comparison.shown(order) for comparison in items for order in Orders.BOTH.shown]
    return [backend.encoder.prompt(template.render(each), template.prefill) for each in shown]


def runner(
    name: str, judge: Judge, usual: Any, options: argparse.Namespace, seed: int
) -> Callable[[list[Comparison]], list[Decision] | None]:
    """One way to judge comparisons; the library's own has no decisions."""
    if name in PARTS:
        return lambda items: generated(judge, usual, items, options, TOGETHER if name == "batched" else None, seed)
    if name == "direct":
        return lambda items: judge.direct.judge(items, seed=seed)
    name, _, certainty = name.partition("@")
    sampling = Sampling(
        votes=options.votes,
        max_new_tokens=options.new_tokens,
        close_on_budget=True,
        stop_certainty=None if name == "fixed" else options.certainty,
        direct_certainty=float(certainty or options.direct_certainty) if name == "direct-first" else None,
    )
    return lambda items: Judge(judge.backend, judge.template, sampling).judge(items, seed=seed)


def generated(
    judge: Judge,
    usual: Any,
    items: list[Comparison],
    options: argparse.Namespace,
    together: int | None,
    seed: int,
) -> None:
    """transformers' own sampling with its model as it comes, by batches of prompts with all votes, or one vote at a time."""
    torch.manual_seed(seed)
    encoded = sorted(prompts(judge, items), key=len)
    calls = [encoded[i : i + (together or 1)] for i in range(0, len(encoded), together or 1)]
    for call in calls if together else [each for each in calls for _ in range(options.votes)]:
        width = max(map(len, call))
        ids = torch.tensor([[0] * (width - len(each)) + each for each in call], device=usual.device)
        mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in call], device=usual.device)
        with torch.inference_mode():
            usual.generate(
                ids,
                attention_mask=mask,
                do_sample=True,
                temperature=0.75,
                top_k=0,
                max_new_tokens=options.new_tokens,
                num_return_sequences=options.votes if together else 1,
            )


def bound(judge: Judge, items: list[Comparison], options: argparse.Namespace) -> dict[str, float]:
    """Seconds per decision of the matrix products alone."""
    backend = judge.backend
    assert isinstance(backend, TransformersBackend)
    encoded = prompts(judge, items)
    distinct = len({tuple(ids[: end + 1]) for ids in encoded for end in range(len(ids))})
    rows = min(backend.batching.rows, options.votes * len(encoded))
    steps = options.votes * len(encoded) * options.new_tokens / rows
    layers = [m for m in backend.model.modules() if isinstance(m, torch.nn.Linear)]
    many = 1024
    head = layers.index(next(m for m in layers if m.out_features == backend.config.vocab_size))
    prefill = sum(products(layer, many) for i, layer in enumerate(layers) if i != head) * distinct / many
    decode = sum(products(layer, rows) for layer in layers) * steps
    return {
        "prefill_s": prefill / len(items),
        "decode_s": decode / len(items),
        "total_s": (prefill + decode) / len(items),
        "distinct_prompt_tokens": distinct / len(items),
    }


def products(layer: torch.nn.Linear, rows: int) -> float:
    """Seconds of a layer's product with so many rows, the median of five."""
    values = torch.randn(rows, layer.in_features, dtype=layer.weight.dtype, device=layer.weight.device)
    seconds = []
    with torch.inference_mode():
        layer(values)
        for _ in range(5):
            settle(values.device)
            start = time.perf_counter()
            layer(values)
            settle(values.device)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def settle(device: torch.device) -> None:
    """Wait for what a GPU still computes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
