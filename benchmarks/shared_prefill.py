"""Votes per second: prefilling a prompt once for its k votes, against ``generate`` repeating it k times.

    python benchmarks/shared_prefill.py [--prompts 8] [--votes 4] [--new-tokens 32] [--repeats 3]

Both sides run in one process on the same prompts, alternating; the figure to quote is the ratio.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time

import torch
import transformers

from gramr2.backends.base import Decoding, GenerationRequest
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Comparison, Message
from gramr2.data import load_labeled
from gramr2.judging.template import JudgeTemplate


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--votes", type=int, default=4)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    backend = TransformersBackend(options.model)
    items = [item.comparison for item in load_labeled("starter:labeled")[0][: 3 * options.prompts]]
    # Three comparisons of the starter set in one make a prompt of the length that real data have.
    messages = [JudgeTemplate().render(joined(items[i : i + 3])) for i in range(0, 3 * options.prompts, 3)]
    encoded = [backend.encoder.prompt(each) for each in messages]
    requests = [
        GenerationRequest(each, tuple(range(options.votes)), Decoding(0.75, 1.0, options.new_tokens))
        for each in messages
    ]
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        written = sum(c.completion_tokens for _, cs in backend.generate(requests) for c in cs)
        ours.append(written / (time.perf_counter() - start))
        start = time.perf_counter()
        theirs.append(generate(backend, encoded, options.votes, options.new_tokens) / (time.perf_counter() - start))
    print(
        json.dumps(
            {
                "prompts": len(encoded),
                "mean_prompt_tokens": statistics.fmean(map(len, encoded)),
                "votes": options.votes,
                "new_tokens": options.new_tokens,
                "gramr2_tokens_per_s": [round(x, 1) for x in ours],
                "generate_tokens_per_s": [round(x, 1) for x in theirs],
                "median_ratio": round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 2),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "threads": torch.get_num_threads(),
                "processor": platform.processor() or platform.machine(),
            }
        )
    )


def joined(parts: list[Comparison]) -> Comparison:
    """One long comparison out of several."""
    prompt = "\n\n".join(part.prompt_text for part in parts)
    responses = ("\n\n".join(p.responses[0] for p in parts), "\n\n".join(p.responses[1] for p in parts))
    return Comparison(parts[0].id, (Message("user", prompt),), responses)


def generate(backend: TransformersBackend, encoded: list[list[int]], votes: int, new_tokens: int) -> int:
    """The library's own batched sampling with ``num_return_sequences``; returns the tokens written."""
    width = max(map(len, encoded))
    ids = torch.tensor([[0] * (width - len(e)) + e for e in encoded])
    mask = torch.tensor([[0] * (width - len(e)) + [1] * len(e) for e in encoded])
    with torch.inference_mode():
        output = backend.model.generate(
            ids, attention_mask=mask, do_sample=True, temperature=0.75, top_k=0, max_new_tokens=new_tokens,
            num_return_sequences=votes,
        )  # fmt: skip
    new = output[:, width:]
    ends = backend.encoder.tokenizer.eos_token_id
    return int(sum(next((i for i, t in enumerate(row) if t == ends), len(row)) for row in new.tolist()))


if __name__ == "__main__":
    main()
