"""A reward function for verl with the judge as verl's own generative reward model: verl serves it, and no other server is needed.

``reward.reward_model.enable=True`` starts the judge's folder behind verl's router, on the GPUs of the policy or on some of its
own. verl then awaits this function for each completion, with the router's address::

    reward.reward_model.model_path=JUDGE          # a folder that gramr2 export wrote
    reward.custom_reward_function.path=$(python -c "import gramr2.rewards.adapters.verl_genrm as v; print(v.__file__)")

It asks ``/v1/chat/completions`` for a verdict in both orders. A row needs what ``gramr2.rewards.adapters.verl`` says, and an
undecided completion is what it is there. Written against verl 0.9.1 (``verl/experimental/reward_loop``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from gramr2.backends.openai import OpenAIBackend
from gramr2.errors import ConfigError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.saved import PROMPT_FILE, load_options, load_template, own_prompt
from gramr2.rewards.adapters.verl import item_of, not_decided
from gramr2.rewards.pointwise import against_references

CONCURRENT = 64
"""completions that are judged at once in a process; verl has eight processes by default"""
ORDERS = 2


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
    *,
    model: str | None = None,
    votes: int = 1,
    temperature: float | None = None,
    max_new_tokens: int = 512,
    undecided: float | None = None,
    seed: int = 0,
    **_: Any,
) -> dict[str, float]:
    """The chance from 0 to 1 that a completion beats its reference: ``{"score": …, "decided": 1.0}``.

    Args:
        data_source: not used.
        solution_str: the completion.
        ground_truth: the reference, if ``extra_info`` has none.
        extra_info: ``prompt`` and optionally ``reference``.
        reward_router_address: host and port, which verl gives.
        reward_model_tokenizer: verl gives it; its folder is the judge's.
        model: the judge's folder, which is also its name at the router; default: the tokenizer's.
        votes: in each order.
        temperature: default: 0 for one vote, 0.75 for several.
        max_new_tokens: of a rationale.
        undecided: the reward of a completion that the judge does not decide; None raises.
        seed: for the votes.

    Raises:
        ConfigError: verl gives no router, or the judge's folder does not say how it is asked.
        DataError: the row has no prompt or no reference.
        ModelError: the router does not know the judge, or cannot be reached.
        UndecidedError: the judge did not decide, and ``undecided`` is None.
    """
    name = model or getattr(reward_model_tokenizer, "name_or_path", None)
    if not reward_router_address or not name:
        raise ConfigError(
            "verl passed no address of a reward model: set reward.reward_model.enable=True and its model_path, or use "
            "gramr2.rewards.adapters.verl with a gramr2 serve"
        )
    heat = temperature if temperature is not None else (0.0 if votes == 1 else 0.75)
    judge = _judge(reward_router_address, name, Sampling(votes=votes, temperature=heat, max_new_tokens=max_new_tokens))
    item = item_of(solution_str, ground_truth, extra_info or {})
    work = asyncio.get_running_loop().run_in_executor(_threads(), lambda: against_references(judge, [item], seed=seed))
    [found] = await work
    if found.score is None:
        return not_decided(found.reason or "no verdict", undecided)
    return {"score": found.score, "decided": 1.0}


@cache
def _judge(address: str, name: str, sampling: Sampling) -> Judge:
    folder = own_prompt(name)
    if folder is None:
        raise ConfigError(
            f"{name} has no {PROMPT_FILE}, so how this judge was asked in training is not known: give "
            "reward.reward_model.model_path a folder that gramr2 export wrote, which every reward worker can read"
        )
    options = load_options(folder)
    backend = OpenAIBackend(
        f"{name}@http://{address}/v1", workers=ORDERS * sampling.votes, chat_template_options=options
    )
    return Judge(backend, load_template(folder), sampling)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(CONCURRENT, thread_name_prefix="gramr2-verl")
