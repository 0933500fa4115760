"""The prompts of requests as ids, and whether they fit the model."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.backends.base import GenerationRequest
from gramr2.backends.encoding import Encoder
from gramr2.errors import PromptTooLongError
from gramr2.written import own


def prompts_of(
    encoder: Encoder, requests: Sequence[GenerationRequest], context: int
) -> tuple[list[list[int]], list[int]]:
    """The ids of each prompt with the given part of its answer, and how many tokens may follow them.

    Raises:
        PromptTooLongError: the two exceed ``context`` tokens.
    """
    prompts = [encoder.prompt(request.messages, request.prefill, *request.written) for request in requests]
    room = [request.decoding.max_new_tokens + _bridge_tokens(encoder, request) for request in requests]
    for ids, extra in zip(prompts, room, strict=True):
        if len(ids) + extra > context:
            raise PromptTooLongError(
                f"a prompt of {len(ids)} tokens and {extra} new ones exceed the model's context of {context}"
            )
    return prompts, room


def _bridge_tokens(encoder: Encoder, request: GenerationRequest) -> int:
    verdict = request.verdict
    return 0 if verdict is None else len(encoder.fragment(own(f"\n{verdict.close}{verdict.bridge}"))) + 1
