"""What one frozen forward pass knows about responses: every second layer, and how likely the response is.

    python benchmarks/pool_features.py SEED.jsonl POOL.jsonl --out DIR [--seconds 240] [--part 0/2]
    python benchmarks/pool_features.py SEED.jsonl --out DIR --more [--half choose]

A prompt is computed once for all its responses. DIR gets a shard for each few prompts, under its final name when it is
complete: the same command goes on with those that are missing, and exits with 3 if its seconds are over before. ``--more``
adds, for the seed, the responses without their prompt and the state after a question about the response. The shards hold
no text; ``pool_view.py`` reads them.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pool_source import group_of, halves, key
from transformers import DynamicCache

from gramr2.backends.cache import with_cache
from gramr2.backends.counting import TokenizerCounter
from gramr2.backends.registry import resolve
from gramr2.comparison import Message
from gramr2.data import load_labeled, load_unlabeled, subset
from gramr2.written import own

QUESTION = "Is this response correct?"
BATCH = 48
UNFINISHED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Extract what is missing; 3 if the time was too short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed")
    parser.add_argument("pool", nargs="?")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--more", action="store_true", help="responses without their prompt, and after a question")
    parser.add_argument("--half", choices=("choose", "confirm"), help="prompts of this half of the seed only")
    parser.add_argument("--limit", type=int, help="N comparisons of each file, drawn")
    parser.add_argument("--prompts", type=int, default=40, help="in a shard")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--part", default="0/1", help="I/N: this process does every Nth shard")
    given = parser.parse_args(arguments)
    labeled = load_labeled(given.seed)[0]
    comparisons = [
        item.comparison
        for item in (subset(labeled, given.limit, 0, key=lambda item: item.comparison.id) if given.limit else labeled)
    ]
    if given.half:
        chosen = halves([group_of(each) for each in comparisons])[given.half]
        comparisons = [each for each in comparisons if group_of(each) in chosen]
    if given.pool:
        pool = load_unlabeled(given.pool)[0]
        comparisons += subset(pool, given.limit, 0, key=lambda each: each.id) if given.limit else pool
    texts: dict[tuple[Message, ...], dict[str, None]] = {}
    for each in comparisons:
        texts.setdefault(each.prompt, {}).update(dict.fromkeys(each.responses))
    given.out.mkdir(parents=True, exist_ok=True)
    model, stop = Frozen(resolve(given.model)), time.monotonic() + given.seconds
    index, count = map(int, given.part.split("/"))
    named = f"more-{given.half or 'all'}" if given.more else "states"
    for start in range(0, len(texts), given.prompts):
        file = given.out / f"{named}-{start}.npz"
        if file.exists() or start // given.prompts % count != index:
            continue
        if time.monotonic() > stop:
            return UNFINISHED
        asked = list(texts.items())[start : start + given.prompts]
        found = model.more(asked) if given.more else model.states(asked)
        scratch = file.with_name(f"{file.stem}.tmp.npz")
        np.savez(scratch, **found)
        scratch.rename(file)
        print(file.name, f"of {len(texts)} prompts", flush=True)
    return 0


class Frozen:
    """The pretrained model, in fp32."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        self.encoder = TokenizerCounter(folder).encoder
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        depth = self.model.config.num_hidden_layers
        self.layers = [*range(0, depth, 2), depth] if depth % 2 else [*range(0, depth + 1, 2)]
        self.end = self.encoder.tokenizer.eos_token_id
        asked = (Message("user", "x"), Message("assistant", "y"), Message("user", own(QUESTION)))
        before = [*self.encoder.prompt(asked[:1]), *self.encoder.fragment("y"), self.end]
        self.question = self.encoder.prompt(asked)[len(before) :]
        self.yes, self.no = (self.encoder.fragment(own(word))[0] for word in ("Yes", "No"))

    def states(self, texts: Sequence[tuple[tuple[Message, ...], dict[str, None]]]) -> dict[str, Any]:
        """Of each response: means over it and states at its end, shape (texts, layers, size), and its scores."""
        rows = [row for prompt, responses in texts for row in self._after(prompt, [*responses], [])]
        return {
            "keys": np.array([row[0] for row in rows]),
            "mean": np.stack([row[1] for row in rows]),
            "last": np.stack([row[2] for row in rows]),
            "score": np.array([row[4] for row in rows]),
        }

    def more(self, texts: Sequence[tuple[tuple[Message, ...], dict[str, None]]]) -> dict[str, Any]:
        """The states after the question, with the scores of Yes and No; and mean, end and scores without the prompt."""
        asked = [row for prompt, responses in texts for row in self._after(prompt, [*responses], self.question)]
        bare = [response for _, responses in texts for response in responses]
        alone = {row[0]: row for row in self._after((Message("user", ""),), sorted(set(bare)), [])}
        rows = [alone[key((Message("user", ""),), response)] for response in bare]
        return {
            "keys": np.array([row[0] for row in asked]),
            "asked": np.stack([row[3] for row in asked]),
            "answer": np.array([row[5] for row in asked]),
            "alone_mean": np.stack([row[1] for row in rows]),
            "alone_last": np.stack([row[2] for row in rows]),
            "alone_score": np.array([row[4] for row in rows]),
        }

    @torch.inference_mode()
    def _after(
        self, prompt: tuple[Message, ...], responses: Sequence[str], then: list[int]
    ) -> Iterator[tuple[Any, ...]]:
        """(key, means, ends, states after ``then``, scores, its last token's Yes and No) of each response to a prompt."""
        asked = self.encoder.prompt(prompt)
        cached = DynamicCache(config=self.model.config)
        output = self.model(torch.tensor([asked]), **with_cache(self.model, cached), logits_to_keep=1)
        first = output.logits[0, -1].log_softmax(-1)
        encoded = sorted(((self.encoder.fragment(each), each) for each in responses), key=lambda pair: len(pair[0]))
        for start in range(0, len(encoded), BATCH):
            batch = encoded[start : start + BATCH]
            rows = [[*ids, self.end, *then] for ids, _ in batch]
            width = max(map(len, rows))
            ids = torch.zeros((len(rows), width), dtype=torch.long)
            mask = torch.ones((len(rows), len(asked) + width), dtype=torch.long)
            for i, row in enumerate(rows):
                ids[i, : len(row)], mask[i, len(asked) + len(row) :] = torch.tensor(row), 0
            past = copy.deepcopy(cached)
            past.batch_repeat_interleave(len(rows))
            known = with_cache(self.model.model, past)
            output = self.model.model(ids, attention_mask=mask, **known, output_hidden_states=True)
            states = torch.stack([output.hidden_states[layer] for layer in self.layers], 1)
            for i, (own_ids, response) in enumerate(batch):
                size = len(own_ids) + 1
                logs = self.model.lm_head(output.last_hidden_state[i, :size]).log_softmax(-1)
                each = torch.cat([first[None], logs[:-1]])
                likely = each[torch.arange(size), torch.tensor([*own_ids, self.end])]
                surprise = -(each.exp() * each).sum(-1)
                answer = self.model.lm_head(output.last_hidden_state[i, len(rows[i]) - 1]).log_softmax(-1)
                yield (
                    key(prompt, response),
                    states[i, :, :size].mean(1).numpy(),
                    states[i, :, size - 1].numpy(),
                    states[i, :, len(rows[i]) - 1].numpy(),
                    # log P of the response, of its end, tokens, least likely token, mean entropy, first token
                    [
                        float(likely[:-1].sum()),
                        float(likely[-1]),
                        float(size - 1),
                        float(likely.min()),
                        float(surprise.mean()),
                        float(likely[0]),
                    ],
                    [float(answer[self.yes]), float(answer[self.no])],
                )


if __name__ == "__main__":
    sys.exit(main())
