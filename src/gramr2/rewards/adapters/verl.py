"""A reward function for verl: the chance that a completion beats a reference, asked of a ``gramr2 serve``.

verl loads it by path and name and calls it once for each completion; its reward loop's ``naive`` manager does so in threads, and
the server batches what arrives together::

    reward.custom_reward_function.path=$(python -c "import gramr2.rewards.adapters.verl as v; print(v.__file__)")
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.url=http://127.0.0.1:8000

Older versions spell these keys without the leading ``reward.``.

verl knows no abstention: what its managers cannot read as a number becomes 0.0 in some of them, which is a lost comparison.
So an undecided completion raises, which stops the training, unless ``undecided`` names the number that shall stand for it;
``decided`` in the result, which verl logs, then says how often it did. The managers ``batch`` and ``rate_limited`` catch every
error and put 0.0 in its place: do not use them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from gramr2.client import TOKEN, TOO_MUCH, Client, ServerError
from gramr2.comparison import Message, SingleResponse
from gramr2.data.turns import BadRowError, read_prompt
from gramr2.errors import DataError, GramrError

RETRIES = 60
"""a whole batch of completions arrives at once, and waits its turn at the server's door"""


class UndecidedError(GramrError):
    """The judge did not decide, and nobody said what that is worth."""


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    url: str = "http://127.0.0.1:8000",
    undecided: float | None = None,
    seed: int = 0,
    **_: Any,
) -> dict[str, float]:
    """The reward of one completion, from 0 to 1: ``{"score": …, "decided": 1.0}``, in verl's own signature.

    Args:
        data_source: not used.
        solution_str: the completion.
        ground_truth: the reference, where ``extra_info`` has none.
        extra_info: ``prompt`` (text or chat messages, which verl does not hand over by itself) and perhaps ``reference``.
        url: of the server.
        undecided: the reward of a completion that the judge does not decide; None raises.
        seed: of the votes.

    Raises:
        DataError: the row has no prompt or no reference.
        ServerError: the server refuses, or cannot be reached.
        UndecidedError: the judge did not decide, and ``undecided`` is None.
    """
    item = _item(solution_str, ground_truth, extra_info or {})
    reason: str | None
    try:
        # From the environment: a reward_kwarg would be written to verl's logs.
        [found] = _client(url, os.environ.get(TOKEN)).score([item], seed=seed).scores
    except ServerError as error:
        if error.status not in TOO_MUCH:
            raise
        reason = str(error)
    else:
        if found.score is not None:
            return {"score": found.score, "decided": 1.0}
        reason = found.reason
    if undecided is None:
        raise UndecidedError(
            f"the judge did not decide a completion ({reason}): name the reward that shall stand for it with "
            "reward_kwargs.undecided, or give the judge more votes or tokens"
        )
    return {"score": float(undecided), "decided": 0.0}


def _item(completion: str, ground_truth: Any, extra: Mapping[str, Any]) -> SingleResponse:
    # In Parquet a column that some rows lack is there and null.
    reference = extra.get("reference") or ground_truth
    if not isinstance(reference, str) or not reference.strip():
        raise DataError("a row has no reference: put one into extra_info.reference or reward_model.ground_truth")
    if extra.get("prompt") is None:
        raise DataError(
            "a row has no extra_info.prompt: verl does not hand the prompt to reward functions, so put it there"
        )
    prompt = extra["prompt"]
    try:
        turns: tuple[Message, ...] = read_prompt(_plain(prompt))
    except BadRowError as error:
        raise DataError(f"extra_info.prompt: {error}") from error
    return SingleResponse("verl", turns, completion, (reference,))


def _plain(prompt: Any) -> Any:
    """Messages out of a Parquet file are an array; a list is what they were."""
    return list(prompt) if isinstance(prompt, Iterable) and not isinstance(prompt, str) else prompt


@cache
def _client(url: str, token: str | None) -> Client:
    return Client(url, token=token, retries=RETRIES)
