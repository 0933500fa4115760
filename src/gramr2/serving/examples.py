"""A request for each path, for the page about the server."""

from __future__ import annotations

from typing import Any

_PROMPT, _GOOD, _BAD = "What is 12 + 34?", "12 + 34 = 46.", "It is 44, I think."
_PAIR = {"prompt": _PROMPT, "responses": [_GOOD, _BAD]}
EXAMPLES: dict[str, dict[str, Any]] = {
    "/v1/judge": {"comparisons": [_PAIR]},
    "/v1/rank": {"prompt": _PROMPT, "responses": [_BAD, _GOOD, "46"]},
    "/v1/score": {"items": [{"prompt": _PROMPT, "response": _GOOD, "reference": _BAD}]},
    "/v1/chat/completions": {"model": "gramr2", "gramr2": _PAIR, "seed": 0},
    "/rerank": {"model": "gramr2", "query": _PROMPT, "documents": [_BAD, _GOOD, "46"], "top_n": 2},
    "/score": {"model": "gramr2", "text_1": _PROMPT, "text_2": [_BAD, _GOOD, "46"]},
    "/classify": {"model": "gramr2", "input": _PAIR},
    "/v1/cohort": {"group": "step-1/prompt-1", "size": 8, "prompt": _PROMPT, "response": _GOOD, "wait": 1},
    "/get_reward": {
        "query": [f"{_PROMPT} {_GOOD}"],
        "prompts": [f"{_PROMPT} "],
        "labels": [{"prompt": _PROMPT, "reference": _BAD}],
    },
}
EXAMPLES |= dict.fromkeys(("/v1/rerank", "/v2/rerank"), EXAMPLES["/rerank"])
