"""The judge as NeMo Gym's resources server, over HTTP with the bodies of its ``genrm_compare``; with Gym itself where it is there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict

from gramr2.integrations.judges import NoSiblingsError
from gramr2.judging.scripted import SCRIPTS

MODULE = "gramr2.integrations.nemo_gym"
REAL = find_spec("nemo_gym") is not None
EXAMPLE = Path(__file__).parents[2] / "examples" / "nemo_gym"


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")


class Config(BaseModel):
    """The fields that Gym's own configuration needs."""

    host: str
    port: int
    entrypoint: str
    domain: str


class Verify(BaseModel):
    responses_create_params: Loose
    response: Loose


class Verified(Verify):
    reward: float


class Server(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    config: Any
    server_client: Any

    def setup_webserver(self) -> FastAPI:
        app = FastAPI()
        app.post("/verify")(self.verify)  # type: ignore[attr-defined]
        return app


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def sometimes(request: Any, seed: int) -> Any:
        return "No idea." if "odd" in request.messages[-1].content else SCRIPTS["longer"](request, seed)

    monkeypatch.setitem(SCRIPTS, "gym", sometimes)
    monkeypatch.setenv("GRAMR2_JUDGE", "scripted:gym")
    monkeypatch.delenv("GRAMR2_UNDECIDED", raising=False)
    if not REAL:
        base = ModuleType("nemo_gym.base_resources_server")
        base.BaseResourcesServerConfig, base.SimpleResourcesServer = Config, Server  # type: ignore[attr-defined]
        base.BaseVerifyRequest, base.BaseVerifyResponse = Verify, Verified  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "nemo_gym", ModuleType("nemo_gym"))
        monkeypatch.setitem(sys.modules, "nemo_gym.base_resources_server", base)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


def client(module: Any, **settings: Any) -> TestClient:
    config = module.JudgeServerConfig(host="h", port=1, entrypoint="app.py", domain="rlhf", **settings)
    server = module.JudgeServer.model_construct(config=config, server_client=MagicMock())
    return TestClient(server.setup_webserver(), raise_server_exceptions=False)


def rollout(text: str, question: str = "Why?", **row: Any) -> dict[str, Any]:
    """What Gym's ``simple_agent`` sends: the row, and the response of the policy."""
    message = {
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "type": "message",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    thought = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "longer than every answer"}],
    }
    response = {
        "id": "resp_1",
        "created_at": 1.0,
        "model": "policy",
        "object": "response",
        "output": [thought, message],
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
    }
    asked = {"input": [{"role": "user", "content": question, "type": "message"}], "max_output_tokens": 64}
    return {"responses_create_params": asked, "response": response, "_ng_task_index": 0} | row


def verified(gym: TestClient, *bodies: dict[str, Any]) -> list[Any]:
    with gym, ThreadPoolExecutor(8) as pool:
        return [*pool.map(lambda body: gym.post("/verify", json=body), bodies)]


def test_rollouts_of_a_prompt_are_rewarded_when_all_have_come(module: Any) -> None:
    bodies = [rollout(text, _ng_task_index=task) for task in (0, 1) for text in ("x", "xxx", "xx")]
    found = verified(client(module, num_rollouts_per_prompt=3), *bodies)
    assert [each.json()["reward"] for each in found] == [0, 1, 0.5] * 2
    assert found[0].json()["response"]["output"][1]["content"][0]["text"] == "x"
    assert found[0].json()["responses_create_params"]["input"][0]["content"] == "Why?"


def test_a_rollout_that_never_comes_is_not_waited_for(module: Any) -> None:
    gym = client(module, num_rollouts_per_prompt=3, cohort_wait_s=0.3)
    assert [each.json()["reward"] for each in verified(gym, rollout("x"), rollout("xx"))] == [0, 1]


def test_one_that_is_alone_has_no_reward_whatever_the_undecided_get(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAMR2_UNDECIDED", "0.25")
    gym = TestClient(client(module, num_rollouts_per_prompt=16, cohort_wait_s=0.05).app)
    with pytest.raises(NoSiblingsError, match=r"no other of the group's 16 completions came within 0\.05 s"):
        verified(gym, rollout("x"))


def test_a_request_that_is_repeated_has_the_place_and_the_reward_of_the_first(module: Any) -> None:
    gym = client(module, num_rollouts_per_prompt=3, cohort_wait_s=20)
    bodies = [rollout("x" * n, _ng_rollout_index=n) for n in (1, 2, 3)]
    with gym, ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(gym.post, "/verify", json=body) for body in (bodies[0], bodies[0], bodies[1])]
        assert not wait(waiting, 0.3).done, "two of three have come"
        assert gym.post("/verify", json=bodies[2]).json()["reward"] == 1
        assert [each.result().json()["reward"] for each in waiting] == [0, 0, 0.5]
        assert [gym.post("/verify", json=body).json()["reward"] for body in bodies] == [0, 0.5, 1], "after it, too"


def test_a_reference_is_compared_with_at_once(module: Any) -> None:
    found = verified(client(module), rollout("xx", reference="x"), rollout("xx", reference=["x", "xxx"]))
    assert [each.json()["reward"] for each in found] == [1, 0.5]
    (nothing,) = verified(client(module), rollout("xx"))
    assert nothing.status_code == 500


def test_what_is_not_decided_is_no_number_unless_one_is_named(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gym = client(module, num_rollouts_per_prompt=3)
    found = verified(gym, rollout("odd"), rollout("xx"), rollout("xxx"))
    assert [each.status_code for each in found] == [500, 200, 200]
    monkeypatch.setenv("GRAMR2_UNDECIDED", "0.25")
    found = verified(gym, rollout("odd"), rollout("xx"), rollout("xxx"))
    assert [each.json()["reward"] for each in found] == [0.25, 0, 1]


def test_what_is_not_decided_is_masked_by_a_gym_that_can(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    base = sys.modules["nemo_gym.base_resources_server"]

    class Masked(base.BaseVerifyResponse):  # type: ignore[name-defined]
        mask_sample: bool = False
        failure_reason: str | None = None

    monkeypatch.setattr(base, "BaseVerifyResponse", Masked)
    module = importlib.reload(module)
    bodies = [rollout(text) for text in ("odd", "xx", "xxx")]
    gym = client(module, num_rollouts_per_prompt=3, cohort_wait_s=0.2)
    found = [each.json() for each in verified(gym, *bodies)]
    assert [each["mask_sample"] for each in found] == [True, False, False]
    assert [each["reward"] for each in found[1:]] == [0, 1]
    assert [each["failure_reason"] for each in found] == ["the judge came to no decision", None, None]
    assert verified(gym, bodies[0])[0].status_code == 500, "nothing was asked"
    monkeypatch.setenv("GRAMR2_UNDECIDED", "0.25")
    found = [each.json() for each in verified(gym, *bodies)]
    assert [(each["reward"], each["mask_sample"]) for each in found] == [(0.25, False), (0, False), (1, False)]


def test_a_principle_is_refused(module: Any) -> None:
    (refused,) = verified(client(module, num_rollouts_per_prompt=2), rollout("x", principle="Be kind."))
    assert refused.status_code == 500


def response_obj(text: str) -> dict[str, Any]:
    return {"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]}


def test_compare_has_the_body_and_the_answer_of_genrm_compare(module: Any) -> None:
    body = {
        "conversation_history": [{"role": "user", "content": "What is the capital of France?"}],
        "response_objs": [response_obj("Paris."), response_obj("It is Paris."), response_obj("It")],
    }
    gym = client(module, judge="scripted:longer")
    found = gym.post("/compare", json=body)
    assert found.json() == {"rewards": [0.5, 1, 0], "comparison_results": None, "metrics": {"decided": 1}}
    for change in ({"response_objs": [response_obj("Paris.")]}, {"principle": "Be concise."}, {"response_objs": [{"output": [{"type": "image"}]}] * 2}):  # fmt: skip
        assert gym.post("/compare", json=body | change).status_code == 500


def test_the_example_is_what_gym_starts(module: Any) -> None:
    config = yaml.safe_load((EXAMPLE / "gramr2_judge.yaml").read_text())
    ours = config["gramr2_judge_resources_server"]["resources_servers"]["gramr2_judge"]
    assert (EXAMPLE / ours["entrypoint"]).is_file()
    assert module.JudgeServerConfig(host="h", port=1, **ours).num_rollouts_per_prompt == 16
    agent = config["gramr2_judge_simple_agent"]["responses_api_agents"]["simple_agent"]
    assert agent["resources_server"]["name"] in config
