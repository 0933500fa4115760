"""The transformers backend: every prompt is prefilled once, and its k votes are sampled from the shared cache.

The library's ``generate()`` repeats a prompt k times and reads no label probabilities. Here the tokens that all prompts
begin with (the rules) are computed once per call, those that some begin with once per batch (``prefill``), and every prompt
once; only then are the cache rows repeated for the votes, which are decoded in slots (``continuous``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers.cache_utils import Cache

from gramr2.backends.adapters import with_adapter
from gramr2.backends.aloud import Heard
from gramr2.backends.base import (
    Completion,
    Enough,
    GenerationRequest,
    Score,
    ScoreRequest,
    generate_in_stages,
    stages,
)
from gramr2.backends.cache import can_grow, with_cache
from gramr2.backends.continuous import BATCHES, SHRINK, Slotted
from gramr2.backends.encoding import Encoder
from gramr2.backends.hardware import choose_device, choose_dtype, keep_freed_memory
from gramr2.backends.identity import FP32_LABELS, identity
from gramr2.backends.label_logits import LabelLogits
from gramr2.backends.loading import loading
from gramr2.backends.packing import pack
from gramr2.backends.prefill import MIN_SHARED, Prefilled, common_prefix, prefill, prefilled
from gramr2.backends.pretrained import (
    answers,
    context_of,
    end_tokens,
    open_causal,
    open_tokenizer,
    refuse_unembedded,
    speaker,
)
from gramr2.backends.prompts import prompts_of
from gramr2.backends.recorded import Recording
from gramr2.backends.registry import resolve
from gramr2.backends.sampling import Row, Stepper, usable
from gramr2.backends.scoring import ScoreBatching, score_all
from gramr2.backends.shared_attention import let_share
from gramr2.comparison import Message
from gramr2.errors import ModelError

CHUNK, CHUNK_ON_GPU = 128, 512
"""requests that are recomputed together after an interruption; with several votes enough to fill every batch with prompts of
similar length, and so many that the end of a chunk, where fewer and fewer samples are written, is short beside the rest"""

PADDING, FEW, FEW_VOTED = 1.05, 1 / 16, 1 / 2
"""How much longer padding may make a batch of prompts once it has enough tokens; and what is enough, as shares of the most: the
first is computed fast already, and where votes share their prompts, every further batch makes each of their steps slower."""


@dataclass(frozen=True, slots=True)
class Batching:
    """Limits of one batch. They change speed and memory, never results.

    ``rows``: samples decoded together; ``prefill_tokens``: prompt tokens in one forward pass; ``cache_bytes``: memory
    for keys and values.
    """

    rows: int = 256
    prefill_tokens: int = 8192
    cache_bytes: int = 3 << 30

    @classmethod
    def on(cls, device: torch.device) -> Batching:
        """What suits a device on which the model is loaded: a GPU has more to do at a time, and a third of its free memory."""
        if device.type != "cuda":
            return cls()
        free, _ = torch.cuda.mem_get_info(device)
        return cls(rows=512, prefill_tokens=16384, cache_bytes=max(1 << 30, free // 3))


class TransformersBackend:
    """A causal language model from a folder, the hub, a GGUF file or a named model.

    Args:
        model: anything ``gramr2.backends.registry.resolve`` accepts.
        revision: hub revision.
        dtype: ``auto`` (fp32 on CPU, bf16 on a GPU that has it), ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` …
        trust_remote_code: run Python code that comes with the model. Off by default.
        adapter: folder of a LoRA adapter on the model, which may have its own tokenizer.

    Raises:
        ModelNotFoundError: there is no model of that name.
        ModelError: the files are there but cannot be loaded.
    """

    chunk = CHUNK

    def __init__(
        self,
        model: str | Path,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        trust_remote_code: bool = False,
        chat_template_options: dict[str, Any] | None = None,
        batching: Batching | None = None,
        adapter: Path | None = None,
    ) -> None:
        self.folder = folder = resolve(str(model), revision=revision)
        speaks = speaker(folder, adapter)
        keep_freed_memory()
        self.device = choose_device(device)
        if self.device.type == "cuda":
            self.chunk = CHUNK_ON_GPU
        self.dtype = choose_dtype(dtype, self.device)
        tokenizer = open_tokenizer(speaks, trust_remote_code=trust_remote_code)
        loaded = open_causal(folder, dtype=self.dtype, trust_remote_code=trust_remote_code)
        loaded = loaded if adapter is None else with_adapter(loaded, adapter)
        refuse_unembedded(loaded, tokenizer, speaks)
        self.context_length = context_of(loaded.config, folder)
        """``max_position_embeddings`` of the model"""
        with loading("the model", folder):
            self.model = loaded.to(self.device).eval()
            self._refuse_broken(answers(self.model)[None])
            pack(self.model)
            self.batching = batching or Batching.on(self.device)
            self.encoder = Encoder(tokenizer, chat_template_options)
        self.config = self.model.config.get_text_config(decoder=True)
        self._grows = can_grow(self.config)
        self._shares = let_share(self.model)
        self._labels = LabelLogits(self.model)
        self._recording = Recording.of(self.model)
        ends = end_tokens(self.model) - {*tokenizer.all_special_ids}
        self._id = identity(folder, self.encoder, ends, adapter)
        self._stepper = Stepper(self.encoder, ends)

    @property
    def id(self) -> str:
        """Folder name, digest of the weights, and dtype: what determines the outputs."""
        labels = FP32_LABELS if self._labels.refines else ""
        return f"{self._id}{labels}:{str(self.dtype).removeprefix('torch.')}"

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Number of tokens of the rendered prompt and the answer."""
        return self.encoder.count(messages, answer)

    @torch.inference_mode()
    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``. Longest prompts first, so that a lack of memory shows at once.

        Raises:
            PromptTooLongError: a prompt and its budget exceed the model's context.
            ModelError: the logits of every prompt of a batch are NaN or infinite; those of one prompt are the error of its
                completions.
        """
        yield from self._completed(requests, [[i] for i in range(len(requests))], None)

    def generate_aloud(
        self, requests: Sequence[GenerationRequest], heard: Heard
    ) -> Iterator[tuple[int, list[Completion]]]:
        """See ``gramr2.backends.aloud.generate_aloud``; heard after every chosen token at least. Raises as ``generate`` does."""
        return self._completed(requests, [[i] for i in range(len(requests))], None, heard)

    def generate_until(
        self, requests: Sequence[GenerationRequest], groups: Sequence[Sequence[int]], enough: Enough
    ) -> Iterator[tuple[int, list[Completion]]]:
        """See ``gramr2.backends.base.generate_until``; a prompt's cache is kept until its group has enough. Raises as
        ``generate`` does."""
        if not self._shares:
            return generate_in_stages(self, requests, groups, enough)
        return self._completed(requests, groups, enough)

    @torch.inference_mode()
    def _completed(
        self,
        requests: Sequence[GenerationRequest],
        groups: Sequence[Sequence[int]],
        enough: Enough | None,
        heard: Heard | None = None,
    ) -> Iterator[tuple[int, list[Completion]]]:
        prompts, room = prompts_of(self.encoder, requests, self.context_length)
        # Prompts that begin alike come together: they share more of a batch.
        order = sorted(range(len(requests)), key=lambda i: (-len(prompts[i]), prompts[i]))
        if not self._shares:
            for batch in self._batches(order, prompts, room, [len(each.seeds) for each in requests]):
                yield from self._run_batch(batch, requests, prompts, max(room[i] for i in batch), heard)
            return
        if not requests:
            return
        samples = [len(each.seeds) if enough is None else stages(len(each.seeds))[0] for each in requests]
        # A verdict that is read right after the prompt needs no row.
        votes = [0 if _reads_at_once(each) else count for each, count in zip(requests, samples, strict=True)]
        widest = max(room)
        rows = min(self.batching.rows, max(1, self._cache_share // widest))
        with self._recording.lent() as recording:
            yield from Slotted(
                self.model,
                self._stepper,
                requests,
                groups,
                enough,
                self._label_ids,
                self._labels,
                rows,
                self._prefilled(order, prompts, room, votes, tuple(self._label_ids(requests[0]).values())),
                widest,
                heard,
                recording,
            ).run()

    def _prefilled(
        self, order: list[int], prompts: list[list[int]], room: list[int], votes: list[int], labels: tuple[int, ...]
    ) -> Iterator[list[tuple[Prefilled, list[int]]]]:
        shared = common_prefix(prompts) if len(prompts) > 1 else 0
        start = prefill(self.model, [prompts[0][:shared]]) if shared >= MIN_SHARED else None
        for batch in self._batches(order, prompts, room, votes):
            caches = prefilled(self.model, [prompts[i] for i in batch], start)
            yield [
                (replace(cache, logits=self._labels.refined(cache.logits, labels)), [batch[place] for place in places])
                for cache, places in caches
            ]

    @torch.inference_mode()
    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """See ``Backend.score``; the text is scored as the answer, without an end-of-turn token. Texts of similar length
        share a forward pass."""
        prompts = [self.encoder.prompt(request.messages) for request in requests]
        answers = [self.encoder.fragment(request.text) for request in requests]
        limits = ScoreBatching(self.batching.prefill_tokens, self.batching.cache_bytes // 4, mixed_lengths=self._grows)
        scores = score_all(self.model, self.device, [*zip(prompts, answers, strict=True)], limits)
        if not all(math.isfinite(each.logprob) for each in scores):
            raise self._broken()
        return scores

    def _refuse_broken(self, logits: torch.Tensor) -> None:
        """Refuse logits (rows, vocabulary) none of whose rows can be used."""
        if not bool(usable(logits).any()):
            raise self._broken()

    def _broken(self) -> ModelError:
        dtype = str(self.dtype).removeprefix("torch.")
        return ModelError(
            f"{self.folder}: the model's logits are NaN in {dtype} or infinite: set model.dtype: float32; if that does not help, "
            "its weights are damaged: remove the folder and train it again"
        )

    @property
    def _cache_share(self) -> int:
        """Tokens in half of the memory for keys and values: prompts have one half, and the rows that are decoded the other."""
        heads = getattr(self.config, "num_key_value_heads", None) or self.config.num_attention_heads
        size = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
        per_token = 2 * self.config.num_hidden_layers * heads * size * self.dtype.itemsize
        return self.batching.cache_bytes // 2 // int(per_token)

    def _label_ids(self, request: GenerationRequest) -> dict[str, int]:
        return self.encoder.label_ids(request.verdict) if request.verdict else {}

    def _batches(
        self, order: list[int], prompts: list[list[int]], room: list[int], votes: list[int]
    ) -> Iterator[list[int]]:
        """Batches of prompts of similar length, within the limits."""
        batch: list[int] = []
        rows = longest = widest = tokens = 0
        sufficient = (FEW_VOTED if self._shares and any(votes) else FEW) * self.batching.prefill_tokens
        for i in order:
            length, extra = max(longest, len(prompts[i])), max(widest, room[i])
            padded = length * (len(batch) + 1)
            full = (
                rows + votes[i] > self.batching.rows
                or padded > self.batching.prefill_tokens
                or (tokens > sufficient and padded > PADDING * (tokens + len(prompts[i])))
                or self._held(len(batch) + 1, rows + votes[i], length, extra) > self._cache_share
                # Padding uses up positions of a sliding window: such models get prompts of one length only.
                or (not self._grows and len(prompts[i]) != longest)
            )
            if batch and full:
                yield batch
                batch, rows, longest, widest, tokens = [], 0, 0, 0, 0
            batch.append(i)
            tokens += len(prompts[i])
            rows, longest, widest = rows + votes[i], max(longest, len(prompts[i])), max(widest, room[i])
        if batch:
            yield batch

    def _held(self, prompts: int, rows: int, length: int, extra: int) -> int:
        """Tokens whose keys and values a batch of prompts needs."""
        if self._shares:
            # The samples read them there; the last ones of the batches before are still written.
            return BATCHES // 2 * prompts * length
        return max(rows, prompts) * (length + extra)

    def _run_batch(
        self,
        batch: list[int],
        requests: Sequence[GenerationRequest],
        prompts: list[list[int]],
        room: int,
        heard: Heard | None,
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Decode a batch in step, for models whose caches cannot be taken apart."""
        found = prefill(self.model, [prompts[i] for i in batch], room=room)
        label_ids = self._label_ids(requests[batch[0]])
        refined = partial(self._labels.refined, ids=tuple(label_ids.values()))
        cache, mask, logits = found.cache, found.mask, refined(found.logits)
        rows = [
            self._stepper.start(requests[i], i, sample, len(prompts[i]))
            for i in batch
            for sample in range(len(requests[i].seeds))
        ]
        source = torch.tensor([batch.index(row.index) for row in rows], device=self.device)
        lengths = torch.tensor([len(prompts[row.index]) for row in rows], device=self.device)
        if len(rows) != len(batch):
            cache.batch_select_indices(source)
        mask, logits = mask[source], logits[source]
        done: dict[int, dict[int, Completion]] = {i: {} for i in batch}
        while True:
            tokens = self._stepper.step(rows, logits, label_ids)
            for row in rows:
                if heard is not None:
                    heard(row.index, row.sample, partial(self._stepper.text, row))
                if row.finish and row.sample not in done[row.index]:
                    done[row.index][row.sample] = self._stepper.completion(row)
                    if len(done[row.index]) == len(requests[row.index].seeds):
                        yield row.index, [done[row.index][s] for s in range(len(requests[row.index].seeds))]
            live = [i for i, row in enumerate(rows) if not row.finish]
            if not live:
                return
            if len(live) <= SHRINK * len(rows):
                keep = torch.tensor(live, device=self.device)
                cache.batch_select_indices(keep)
                mask, lengths = mask[keep], lengths[keep]
                rows, tokens = [rows[i] for i in live], [tokens[i] for i in live]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            logits = refined(self._advance(rows, tokens, lengths, mask, cache))
            lengths = lengths + 1

    def _advance(
        self, rows: list[Row], tokens: list[int], lengths: torch.Tensor, mask: torch.Tensor, cache: Cache
    ) -> torch.Tensor:
        output: torch.Tensor = self.model(
            torch.tensor(tokens, device=self.device)[:, None],
            attention_mask=mask,
            position_ids=lengths[:, None],
            **with_cache(self.model, cache),
            logits_to_keep=1,
        ).logits[:, -1]
        return output


def _reads_at_once(request: GenerationRequest) -> bool:
    verdict = request.verdict
    return verdict is not None and verdict.guided and request.given.endswith(verdict.anchor)
