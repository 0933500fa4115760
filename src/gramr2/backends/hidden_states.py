"""Features of a response: a pretrained model's hidden states at three depths, averaged over the response and at its end.

They are kept in one SQLite file per model in gramr2's cache, so that no run or ablation cell computes a text twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gramr2.backends.counting import TokenizerCounter
from gramr2.backends.hardware import choose_device, choose_dtype
from gramr2.backends.loading import loading
from gramr2.backends.pretrained import open_config
from gramr2.backends.registry import cache_dir, fingerprint, former_id
from gramr2.comparison import Message
from gramr2.config.training import ModelConfig
from gramr2.errors import ModelError, PromptTooLongError

log = logging.getLogger("gramr2")

Text = tuple[tuple[Message, ...], str]
TOKENS_ON_CPU, TOKENS = 2048, 16384
"""per forward pass on a CPU and on a GPU, padding included"""
WRITTEN = 32


@dataclass(frozen=True, slots=True)
class _Row:
    """A text as ids; from ``start`` on they are the response and its end-of-turn token."""

    ids: list[int]
    start: int
    key: str


class HiddenStates:
    """Features of (prompt, response), shape (texts, 2 · depths · hidden size), from the cache or the model.

    Args:
        folder: the backbone.
        model: its settings.
        open_model: returns its ``TransformersBackend``; called only if a text is not in the cache.
        cache: the SQLite file, or ":memory:"; the default is the backbone's file in gramr2's cache, which all runs share.
        progress: told (texts computed, texts that are not in the cache) of each call.
    """

    def __init__(
        self,
        folder: Path,
        model: ModelConfig,
        open_model: Callable[[], Any],
        cache: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.fingerprint = fingerprint(folder)
        self._open = open_model
        self._progress = progress or (lambda done, total: None)
        self._counter = TokenizerCounter(folder, model.chat_template_options, model.trust_remote_code)
        config = open_config(folder, trust_remote_code=model.trust_remote_code)
        with loading("the model", folder):
            depth = int(config.get_text_config(decoder=True).num_hidden_layers)
        self.layers = tuple(dict.fromkeys(max(1, round(depth * third / 3)) for third in (1, 2, 3)))
        device = choose_device(model.device)
        dtype = str(choose_dtype(model.dtype, device)).removeprefix("torch.")
        self._kind = f"{device.type} {dtype} {self.layers}"
        self._file = cache or cache_dir() / "features" / f"{self.fingerprint}.sqlite"
        former = self._file.with_name(f"{former_id(self.fingerprint)}.sqlite")
        if not self._file.exists() and former.exists():
            # Its name does not cover all of the weights, so it may hold another model's states.
            log.info(
                "%s: an earlier version made this cache of hidden states; it is not used and can be removed", former
            )

    def of(self, texts: Sequence[Text]) -> np.ndarray:
        """Features of the texts, in the order given.

        Raises:
            PromptTooLongError: a text exceeds the model's context.
            ModelError: the cache cannot be used, or the states overflow.
        """
        rows = [self._row(*text) for text in texts]
        try:
            with closing(self._connect()) as cache:
                self._fill(cache, {row.key: row for row in rows})
                return np.stack([np.frombuffer(_stored(cache, row.key) or b"", dtype="<f4") for row in rows])
        except sqlite3.DatabaseError as error:
            raise ModelError(
                f"the cache of hidden states {self._file} cannot be used ({error}): remove it, or choose a writable folder "
                "with enough space (GRAMR2_CACHE, or --out for the cache of a run)"
            ) from error

    def _row(self, prompt: tuple[Message, ...], response: str) -> _Row:
        encoder = self._counter.encoder
        asked, end = encoder.prompt(prompt), encoder.tokenizer.eos_token_id
        ids = asked + encoder.fragment(response) + ([] if end is None else [end])
        if len(ids) > self._counter.context_length:
            raise PromptTooLongError(
                f"a prompt with its response has {len(ids)} tokens, more than the context of {self._counter.context_length} of "
                "the model that computes the hidden states: leave the comparison out"
            )
        # An empty response, and the tokenizer has no end token: use the last token of the prompt.
        start = min(len(asked), len(ids) - 1)
        content = json.dumps([self._kind, start, ids]).encode()
        return _Row(ids, start, hashlib.blake2b(content, digest_size=16).hexdigest())

    def _connect(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        cache = sqlite3.connect(self._file, timeout=120)
        cache.execute("CREATE TABLE IF NOT EXISTS features (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        return cache

    def _fill(self, cache: sqlite3.Connection, rows: dict[str, _Row]) -> None:
        missing = {key for key in rows if _stored(cache, key) is None}
        if not missing:
            return
        backend = self._open()
        tokens = TOKENS_ON_CPU if backend.device.type == "cpu" else TOKENS
        fresh: list[tuple[str, bytes]] = []
        done = 0
        # Batches are formed from all texts, cached or not, so that a resumed run computes the same batches.
        for batch in _batches(sorted(rows.values(), key=lambda row: (-len(row.ids), row.key)), tokens):
            if missing.isdisjoint(row.key for row in batch):
                continue
            found = zip(batch, _states(backend, batch, self.layers), strict=True)
            fresh += [(row.key, each.astype("<f4").tobytes()) for row, each in found if row.key in missing]
            done += sum(row.key in missing for row in batch)
            self._progress(done, len(missing))
            if len(fresh) >= WRITTEN:
                _write(cache, fresh)
                fresh = []
        _write(cache, fresh)


def _stored(cache: sqlite3.Connection, key: str) -> bytes | None:
    found = cache.execute("SELECT value FROM features WHERE key = ?", (key,)).fetchone()
    return None if found is None else bytes(found[0])


def _write(cache: sqlite3.Connection, rows: Sequence[tuple[str, bytes]]) -> None:
    # What another process has written in the meantime is kept, so that every process reads the same digits.
    with cache:
        cache.executemany("INSERT OR IGNORE INTO features VALUES (?, ?)", rows)


def _batches(rows: Sequence[_Row], tokens: int) -> Iterator[list[_Row]]:
    """Batches of rows, which come longest first: as many as fit into ``tokens`` padded tokens, at least one."""
    batch: list[_Row] = []
    for row in rows:
        if batch and len(batch[0].ids) * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _states(backend: Any, batch: Sequence[_Row], layers: Sequence[int]) -> list[np.ndarray]:
    """One forward pass. Padding is on the right, where a causal model does not see it."""
    width = len(batch[0].ids)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(batch):
        ids[i, : len(row.ids)], mask[i, : len(row.ids)] = torch.tensor(row.ids), 1
    output = backend.model(
        ids.to(backend.device),
        attention_mask=mask.to(backend.device),
        output_hidden_states=True,
        logits_to_keep=1,
        use_cache=False,
    )
    pooled = []
    for i, row in enumerate(batch):
        states = [output.hidden_states[layer][i, row.start : len(row.ids)].float() for layer in layers]
        pooled.append(torch.cat([part for each in states for part in (each.mean(0), each[-1])]))
    # One transfer, since each waits for the device.
    found: np.ndarray = torch.stack(pooled).cpu().numpy()
    if not np.isfinite(found).all():
        raise ModelError(
            f"hidden states overflow in {str(backend.dtype).removeprefix('torch.')}: set model.dtype: float32"
        )
    return [*found]
