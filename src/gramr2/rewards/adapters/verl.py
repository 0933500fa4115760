"""A reward function for verl: the chance that a completion beats a reference, as judged by a ``gramr2 serve``.

verl loads it by path and name and calls it once for each completion; the ``naive`` manager of its reward loop does so in
threads, and the server batches what arrives together::

    reward.custom_reward_function.path=$(python -c "import gramr2.rewards.adapters.verl as v; print(v.__file__)")
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.url=http://127.0.0.1:8000

Older versions spell these keys without the leading ``reward.``.

verl does not support abstention: some of its managers turn everything that is not a number into 0.0, which is a lost
comparison. So an undecided completion raises an error, which stops training, unless ``undecided`` gives a number to use
instead; ``decided`` in the result, which verl logs, then tells how often it was used. The managers ``batch`` and
``rate_limited`` catch every error and use 0.0 instead: do not use them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from gramr2.client import TOKEN, TOO_MUCH, Client, ServerError
from gramr2.comparison import Message, SingleResponse
from gramr2.data.turns import BadRowError, read_prompt
from gramr2.errors import DataError, GramrError

RETRIES = 60
"""many, because a whole batch of completions arrives at once and has to wait for its turn"""


class UndecidedError(GramrError):
    """The judge did not decide, and there is no reward for this case."""


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
        ground_truth: the reference, if ``extra_info`` has none.
        extra_info: ``prompt`` (text or chat messages, which verl does not pass by itself) and optionally ``reference``.
        url: the server's address.
        undecided: the reward of a completion that the judge does not decide; None raises.
        seed: for the votes.

    Raises:
        DataError: the row has no prompt or no reference.
        ServerError: the server refuses, or cannot be reached.
        UndecidedError: the judge did not decide, and ``undecided`` is None.
    """
    item = item_of(solution_str, ground_truth, extra_info or {})
    reason: str | None
    try:
        # The token comes from the environment: a reward_kwarg would be written to verl's logs.
        [found] = _client(url, os.environ.get(TOKEN)).score([item], seed=seed).scores
    except ServerError as error:
        if error.status not in TOO_MUCH:
            raise
        reason = str(error)
    else:
        if found.score is not None and math.isfinite(found.score):
            return {"score": found.score, "decided": 1.0}
        reason = found.reason or f"its score is {found.score}"
    return not_decided(reason, undecided)


def not_decided(reason: str, undecided: float | None) -> dict[str, float]:
    """The reward of a completion that the judge does not decide.

    Raises:
        UndecidedError: there is none.
    """
    if undecided is None:
        raise UndecidedError(
            f"the judge did not decide a completion ({reason}): set the reward for this case with "
            "reward_kwargs.undecided, or give the judge more votes or tokens"
        )
    return {"score": float(undecided), "decided": 0.0}


def item_of(completion: str, ground_truth: Any, extra: Mapping[str, Any]) -> SingleResponse:
    """A completion with the prompt and the reference that verl's row has for it.

    Raises:
        DataError: the row has no prompt or no reference.
    """
    # In Parquet, a column that some rows lack is null there.
    reference = extra.get("reference") or ground_truth
    if not isinstance(reference, str) or not reference.strip():
        raise DataError("a row has no reference: put one into extra_info.reference or reward_model.ground_truth")
    if extra.get("prompt") is None:
        raise DataError(
            "a row has no extra_info.prompt: verl does not pass the prompt to reward functions, so put it there"
        )
    prompt = extra["prompt"]
    try:
        turns: tuple[Message, ...] = read_prompt(_plain(prompt))
    except BadRowError as error:
        raise DataError(f"extra_info.prompt: {error}") from error
    return SingleResponse("verl", turns, completion, (reference,))


def _plain(prompt: Any) -> Any:
    """Messages from a Parquet file are an array; turn them back into a list."""
    return list(prompt) if isinstance(prompt, Iterable) and not isinstance(prompt, str) else prompt


@cache
def _client(url: str, token: str | None) -> Client:
    return Client(url, token=token, retries=RETRIES)
