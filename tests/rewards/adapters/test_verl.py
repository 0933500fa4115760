"""The reward function as verl calls it: by path and name, one completion at a time, with keywords of its own."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

import gramr2.rewards.adapters.verl as adapter
from gramr2.client import Client, ServerError
from gramr2.errors import DataError
from gramr2.rewards.adapters.verl import UndecidedError, compute_score

ROW = {"prompt": "Say x.", "reference": "xx"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Scores by length; a completion of dots is not decided."""
    import json

    seen: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        seen.append((request.url, request.headers.get("authorization"), body))
        [item] = body["items"]
        score = None if set(item["response"]) == {"."} else float(len(item["response"]) > len(item["references"][0]))
        row = {
            "id": item["id"],
            "score": score,
            "spread": None,
            "coverage": 1.0,
            "rationale": None,
            "reason": "truncated",
        }
        return httpx.Response(200, json={"judge": {"model": "m", "template": "t"}, "scores": [row]})

    def opened(url: str, token: str | None) -> Client:
        return Client(url, token=token, transport=httpx.MockTransport(answer))

    monkeypatch.setattr(adapter, "_client", opened)
    yield seen


def test_verl_finds_it_by_path_and_name_and_its_arguments_fit(server: list[Any]) -> None:
    spec = importlib.util.spec_from_file_location("custom_module", adapter.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = list(inspect.signature(module.compute_score).parameters)
    assert names[:4] == ["data_source", "solution_str", "ground_truth", "extra_info"]
    assert not inspect.iscoroutinefunction(module.compute_score), "verl's older manager calls it directly"
    found = compute_score(
        data_source="d", solution_str="xxx", ground_truth=None, extra_info=ROW | {"num_turns": 1, "rollout_reward_scores": {}},
        url="http://judge", reward_router_address=None,
    )  # fmt: skip
    assert found == {"score": 1.0, "decided": 1.0}


def test_prompts_are_text_or_messages_and_the_reference_may_be_the_ground_truth(
    server: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAMR2_TOKEN", "secret")
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say x."}]
    assert compute_score("d", "x", "xx", {"prompt": turns}, url="http://judge", seed=7)["score"] == 0.0
    assert compute_score("d", "x", "xx", {"prompt": np.array(turns, dtype=object)}, url="http://judge")["score"] == 0.0
    assert server[1][2]["items"] == server[0][2]["items"]
    assert compute_score("d", "x", "xx", {"prompt": turns, "reference": None}, url="http://judge")["score"] == 0.0
    url, token, body = server[0]
    assert (url.path, token, body["seed"], body["by"]) == ("/v1/score", "Bearer secret", 7, "reference")
    assert body["items"][0]["prompt"] == turns
    assert body["items"][0]["references"] == ["xx"]


def test_what_is_not_decided_is_no_number_unless_one_is_named(server: list[Any]) -> None:
    with pytest.raises(UndecidedError, match=r"did not decide a completion \(truncated\): .* reward_kwargs.undecided"):
        compute_score("d", "...", None, ROW)
    assert compute_score("d", "...", None, ROW, undecided=0.5) == {"score": 0.5, "decided": 0.0}


@pytest.mark.parametrize("status", [413, 504])
def test_a_completion_that_is_too_long_or_too_late_is_not_decided(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"detail": "the request: 1 of 1 comparisons exceed the budget"})

    monkeypatch.setattr(adapter, "_client", lambda *_: Client("http://judge", transport=httpx.MockTransport(refused)))
    with pytest.raises(UndecidedError, match="exceed the budget"):
        compute_score("d", "x", None, ROW)
    assert compute_score("d", "x", None, ROW, undecided=0.0) == {"score": 0.0, "decided": 0.0}


def test_rows_that_lack_something_are_named() -> None:
    with pytest.raises(DataError, match=r"no extra_info.prompt"):
        compute_score("d", "x", "ref", {})
    with pytest.raises(DataError, match=r"no reference: put one into extra_info.reference"):
        compute_score("d", "x", None, {"prompt": "p"})
    with pytest.raises(DataError, match=r"no reference: put one into extra_info.reference"):
        compute_score("d", "x", " ", {"prompt": "p"}, undecided=0.5)
    with pytest.raises(DataError, match=r"extra_info.prompt: "):
        compute_score("d", "x", "ref", {"prompt": 7})


def test_a_server_that_is_not_there_stops_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    def opened(url: str, token: str | None) -> Client:
        return Client(url, retries=0, transport=httpx.MockTransport(refused))

    monkeypatch.setattr(adapter, "_client", opened)
    with pytest.raises(ServerError, match="cannot be reached"):
        compute_score("d", "x", None, ROW)
