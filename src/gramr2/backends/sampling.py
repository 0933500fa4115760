"""The state of a sample while it is written, and how its next token is chosen.

Every row has its own random numbers, drawn from its seed: one per sampled token, turned into a token by inverting the
cumulative distribution. The rest of the batch cannot affect them.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch

from gramr2.backends.base import Completion, Decoding, GenerationRequest, VerdictReading
from gramr2.backends.encoding import Encoder
from gramr2.judgment import FinishReason
from gramr2.written import own

NUCLEUS_WIDTH, SORTED = 1024, 32
"""most likely tokens among which a nucleus is looked for first; rows that are sorted at a time where that is too few"""
BLOCK = 256
"""probabilities of a vocabulary that are summed up before one is looked for among them"""
TAIL = 16


@dataclass
class Row:
    """The state of one sample while its batch is decoded."""

    request: GenerationRequest
    index: int
    sample: int
    prompt_tokens: int
    rng: random.Random
    ids: list[int] = field(default_factory=list)
    written: int = 0
    queue: deque[int] = field(default_factory=deque)
    at_verdict: bool = False
    closed_early: bool = False
    label_logprobs: dict[str, float] | None = None
    label: str | None = None
    finish: FinishReason | None = None
    error: str | None = None
    barred: list[int] = field(default_factory=list)
    """tokens that must not be written before the verdict"""
    reach: int = field(init=False)
    """number of last tokens in which a stop text is looked for"""
    guided: bool = field(init=False)
    """whether the backend guides this sample to its verdict"""

    def __post_init__(self) -> None:
        # A character is at most four tokens, if its bytes are tokens.
        self.reach = max([TAIL, *(4 * len(stop) for stop in self.request.stop)])
        self.guided = self.request.verdict is not None and self.request.verdict.guided

    def fail(self) -> None:
        """End the sample: the model's numbers at this place are none, and no token or label can be chosen by them."""
        self.finish = FinishReason.ERROR
        self.error = f"the model's logits are NaN or infinite after {self.written} tokens of the answer"

    def close(self, encoder: Encoder, text: str) -> None:
        """Queue the text up to the verdict, written on the model's behalf."""
        self.queue.extend(encoder.fragment(own(text)))
        self.at_verdict = True


class Stepper:
    """Chooses tokens for rows and detects their ends; knows the tokenizer, not the model.

    Args:
        encoder: of the model's tokenizer.
        ends: tokens that end a turn, beside the tokenizer's special ones.
    """

    def __init__(self, encoder: Encoder, ends: Collection[int] = ()) -> None:
        self.encoder = encoder
        eos = encoder.tokenizer.eos_token_id
        self.ends = frozenset({*encoder.tokenizer.all_special_ids, *ends, *(() if eos is None else (eos,))})
        """the tokens that end a turn"""
        self._texts: dict[int, str] = {}
        self._firsts: dict[str, int] = {}
        self._barred: dict[tuple[str, str], list[int]] = {}

    def start(self, request: GenerationRequest, index: int, sample: int, prompt_tokens: int) -> Row:
        """A row for one seed of a request."""
        row = Row(request, index, sample, prompt_tokens, random.Random(request.seeds[sample]))
        if row.guided and request.verdict is not None:
            row.barred = self._barred_by(request.verdict)
            row.at_verdict = request.given.endswith(request.verdict.anchor)
        return row

    def step(self, rows: list[Row], logits: torch.Tensor, label_ids: dict[str, int]) -> list[int]:
        """Advance every row by one token, given logits of shape (rows, vocabulary), which are written over.

        Returns the token to feed for each row; a row that has ended gets 0 and has ``finish`` set. A row whose logits are NaN
        or infinite where its token or label is chosen ends with an error.
        """
        logits = self._keep_reasoning(rows, logits)
        opinions = _opinions(rows, logits, label_ids)
        needed = [i for i, row in enumerate(rows) if not (row.finish or row.queue or (row.guided and row.at_verdict))]
        chosen = (
            dict(zip(needed, self._sample([rows[i] for i in needed], _rows(logits, needed)), strict=True))
            if needed
            else {}
        )
        tokens: list[int] = []
        for i, row in enumerate(rows):
            if row.finish:
                pass
            elif row.queue:
                row.ids.append(row.queue.popleft())
            elif row.guided and row.at_verdict:
                self.read_verdict(row, opinions[i], list(label_ids), choose=True)
            else:
                if row.at_verdict:
                    self.read_verdict(row, opinions[i], list(label_ids), choose=False)
                if row.finish is None:
                    self.append(row, chosen[i])
            tokens.append(0 if row.finish else row.ids[-1])
        return tokens

    def _keep_reasoning(self, rows: list[Row], logits: torch.Tensor) -> torch.Tensor:
        """The logits in fp32, without the verdict's tag inside a guided rationale: a judge trained on labels alone would write
        nothing else.

        What is ruled out is the token that the tag begins with, so that no guided rationale has, say, a “<” of its own. Skipped
        for tokenizers that begin both tags with the same token; there a verdict in the thinking ends it.
        """
        places = [(i, token) for i, row in enumerate(rows) for token in self.forbidden(row)]
        found = logits.float()
        if places:
            found.index_put_(torch.tensor(places, device=logits.device).unbind(-1), found.new_tensor(-torch.inf))
        return found

    def forbidden(self, row: Row) -> list[int]:
        """The tokens that this row must not write now."""
        return [] if row.finish or row.queue or row.at_verdict else row.barred

    def _barred_by(self, verdict: VerdictReading) -> list[int]:
        tags = (verdict.anchor, verdict.close)
        if tags not in self._barred:
            firsts = [self._first(text) for text in (verdict.anchor, f" {verdict.anchor}")]
            # If the space is a token of its own, it begins every word, not only the tag.
            self._barred[tags] = [
                each for each in firsts if each != self._first(verdict.close) and self._text(each).strip()
            ]
        return self._barred[tags]

    def _first(self, text: str) -> int:
        if text not in self._firsts:
            self._firsts[text] = self.encoder.fragment(own(text))[0]
        return self._firsts[text]

    def text(self, row: Row) -> str:
        """The sample so far, without a character of which only some bytes have been written."""
        return (row.request.given + self._decode(row.ids)).rstrip("\ufffd")

    def completion(self, row: Row) -> Completion:
        """The finished sample."""
        text = row.request.given + self._decode(row.ids)
        if row.label is not None and row.request.verdict is not None:
            text += row.label + row.request.verdict.end
        assert row.finish is not None
        return Completion(text, row.finish, row.label_logprobs, row.prompt_tokens, len(row.ids), row.error)

    def _sample(self, rows: list[Row], logits: torch.Tensor) -> list[int]:
        """A token for each row; a row without usable logits fails, and its token means nothing."""
        # argmax takes twice as long on a CPU. One transfer for both; a token's id is exact in fp32.
        highest = logits.max(-1)
        greedy, heights = torch.stack([highest.indices.to(logits), highest.values]).tolist()
        failed = [i for i, height in enumerate(heights) if not math.isfinite(height)]
        for i in failed:
            rows[i].fail()
        if failed:
            logits = logits.index_fill(0, torch.tensor(failed, device=logits.device), 0.0)
        decodings = [row.request.decoding for row in rows]
        if all(d.temperature == 0 for d in decodings):
            return [int(token) for token in greedy]
        draws = [row.rng.random() if d.temperature else 0.0 for row, d in zip(rows, decodings, strict=True)]
        tokens = drawn(logits, decodings, draws)
        return [t if d.temperature else int(g) for t, d, g in zip(tokens, decodings, greedy, strict=True)]

    def read_verdict(self, row: Row, values: torch.Tensor, labels: list[str], *, choose: bool) -> None:
        """Read the verdict from the labels' logits or log-probabilities (labels,) at temperature 1, and ``choose`` one."""
        if not bool(values.isfinite().all()):
            row.fail()
            return
        logprobs = torch.log_softmax(values, -1)
        row.label_logprobs = dict(zip(labels, logprobs.tolist(), strict=True))
        row.at_verdict = False
        if not choose:
            return
        heat = row.request.decoding.temperature
        if heat == 0:
            row.label = labels[int(values.argmax())]
        else:
            row.label = labels[
                _invert(torch.softmax(values / heat, -1)[None], torch.tensor([row.rng.random()]).double())[0]
            ]
        row.finish = FinishReason.CLOSED if row.closed_early else FinishReason.STOP

    def append(self, row: Row, token: int) -> None:
        """Append a token that the model wrote, and check whether it ends the rationale, the turn or the budget."""
        verdict = row.request.verdict
        if token in self.ends:
            self._run_out(row, FinishReason.STOP)
            if row.queue:
                # The end-of-turn token is dropped, so this step feeds the first token written in its place.
                row.ids.append(row.queue.popleft())
            return
        row.ids.append(token)
        row.written += 1
        text = self._text(token)
        tail = self._decode(row.ids[-row.reach :]) if ">" in text or row.request.stop else text
        if row.guided and verdict is not None and verdict.close in tail:
            after = tail.rpartition(verdict.close)[2]
            row.close(self.encoder, verdict.bridge.removeprefix(after) if not after.strip() else verdict.bridge)
        elif row.guided and verdict is not None and tail.rstrip().endswith(verdict.anchor):
            # A verdict inside the thinking: the model has stopped reasoning.
            self._run_out(row, FinishReason.STOP)
        elif any(stop in tail for stop in row.request.stop):
            row.finish = FinishReason.STOP
        elif verdict is not None and not row.guided and tail.rstrip().endswith(verdict.anchor):
            row.at_verdict = True
        if row.finish is None and not row.queue and row.written >= row.request.decoding.max_new_tokens:
            self._run_out(row, FinishReason.LENGTH)

    def _run_out(self, row: Row, reason: FinishReason) -> None:
        """Handle a model that ended its turn, or used up its budget, before a verdict."""
        verdict = row.request.verdict
        if row.guided and verdict is not None and verdict.close_on_budget:
            row.closed_early = True
            newline = "" if self._decode(row.ids[-1:]).endswith("\n") else "\n"
            row.close(self.encoder, f"{newline}{verdict.close}{verdict.bridge}")
        else:
            row.finish = reason

    def _text(self, token: int) -> str:
        if token not in self._texts:
            self._texts[token] = self._decode([token])
        return self._texts[token]

    def _decode(self, ids: list[int]) -> str:
        return self.encoder.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def usable(logits: torch.Tensor) -> torch.Tensor:
    """Which rows (rows,) of logits (rows, vocabulary) a token can be chosen by: one that is NaN, or plus infinity, spoils its
    row; minus infinity only rules a token out."""
    return logits.amax(-1).isfinite()


def drawn(logits: torch.Tensor, decodings: Sequence[Decoding], draws: Sequence[float]) -> list[int]:
    """The token of each row of usable logits (rows, vocabulary) at which the cumulative probability exceeds the row's draw from
    [0, 1); what a row at temperature 0 gets means nothing."""
    heat = torch.tensor([each.temperature or 1.0 for each in decodings], device=logits.device)
    probs = torch.softmax(logits / heat[:, None], dim=-1)
    at = torch.tensor(draws).to(probs)
    tokens = _invert(probs, at)
    narrowed = [i for i, each in enumerate(decodings) if each.temperature and each.top_p < 1]
    if narrowed:
        shares = torch.tensor([decodings[i].top_p for i in narrowed]).to(probs)
        for i, token in zip(narrowed, _nucleus(_rows(probs, narrowed), _rows(at, narrowed), shares), strict=True):
            tokens[i] = token
    return tokens


def _rows(logits: torch.Tensor, needed: list[int]) -> torch.Tensor:
    """Some rows, in ascending order; a copy only if they are not all."""
    return logits if len(needed) == len(logits) else logits[needed]


def _opinions(rows: list[Row], logits: torch.Tensor, label_ids: dict[str, int]) -> dict[int, torch.Tensor]:
    """The label logits (labels,) of the rows that are at their verdict: one transfer, since each waits for the device."""
    at = [i for i, row in enumerate(rows) if row.at_verdict and not (row.finish or row.queue)]
    if not at:
        return {}
    values = logits[at][:, list(label_ids.values())].cpu().double()
    return dict(zip(at, values, strict=True))


def _invert(probs: torch.Tensor, draws: torch.Tensor) -> list[int]:
    """Index of the first entry whose cumulative probability exceeds the draw, per row."""
    width = probs.shape[-1]
    total = probs.sum(-1, keepdim=True)
    left, place = draws[:, None] * total, torch.zeros(len(probs), 1, dtype=torch.long, device=probs.device)
    if whole := width // BLOCK:
        # Cumulative sums of whole rows take longer than all the rest.
        sums = probs[:, : whole * BLOCK].view(len(probs), whole, BLOCK).sum(-1)
        if whole * BLOCK < width:
            sums = torch.cat([sums, probs[:, whole * BLOCK :].sum(-1, keepdim=True)], -1)
        block, left = _search(sums, left)
        at = block * BLOCK + torch.arange(BLOCK, device=probs.device)
        place = block * BLOCK
        probs = probs.gather(-1, at.clamp_max(width - 1)).masked_fill(at >= width, 0.0)
    found, _ = _search(probs, left)
    # Not every device sums up in order: a sum that rises over a 0 would lead behind the last entry.
    return [int(i) for i in (place + found).clamp_max(width - 1)[:, 0].tolist()]


def _search(sums: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first place (rows, 1) at which the cumulative sum exceeds the target (rows, 1), and what of it is left there."""
    cumulative = sums.cumsum(-1)
    total = cumulative[:, -1:]
    # A target may round to the total: below it, the search ends at an entry that is not zero.
    target = torch.minimum(target, total * (1 - torch.finfo(total.dtype).eps))
    place = torch.searchsorted(cumulative, target, right=True)
    before = cumulative.gather(-1, (place - 1).clamp_min(0)).where(place > 0, 0.0)
    return place, target - before


def _nucleus(probs: torch.Tensor, draws: torch.Tensor, shares: torch.Tensor) -> list[int]:
    """Sample each row of probabilities (rows, vocabulary) from the smallest set of its tokens that holds its share of the mass;
    draws and shares (rows,)."""
    top, order = probs.topk(min(NUCLEUS_WIDTH, probs.shape[-1]))
    tokens = _nucleus_of(top, order, draws, shares)
    short = (top.sum(-1) < shares).nonzero()[:, 0].tolist() if top.shape[-1] < probs.shape[-1] else []
    for start in range(0, len(short), SORTED):
        part = short[start : start + SORTED]
        top, order = probs[part].sort(descending=True)
        for i, token in zip(part, _nucleus_of(top, order, draws[part], shares[part]), strict=True):
            tokens[i] = token
    return tokens


def _nucleus_of(top: torch.Tensor, order: torch.Tensor, draws: torch.Tensor, shares: torch.Tensor) -> list[int]:
    kept = top * ((top.cumsum(-1) - top) < shares[:, None])
    found = torch.tensor(_invert(kept, draws), device=order.device)
    return [int(token) for token in order.gather(-1, found[:, None])[:, 0].tolist()]
