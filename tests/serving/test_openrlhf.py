"""``/get_reward`` as OpenRLHF 0.11 asks it: one completion at a time, with template and end token, and the row's label."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from gramr2.backends.base import GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.errors import DataError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.serving.app import create_app
from gramr2.serving.model import Model
from gramr2.serving.openrlhf import EndTokens, Sample, samples
from gramr2.wire import RewardRequest

PROMPT = "<|im_start|>user\nSay x .<|im_end|>\n<|im_start|>assistant\n"
ENDS = ("<|im_end|>", "</s>")


def served(judge: Judge) -> TestClient:
    return TestClient(create_app(Model(lambda: judge), end_tokens=ENDS))


@pytest.fixture
def client() -> Iterator[TestClient]:
    with served(Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))) as each:
        while each.get("/readyz").status_code != 200:
            pass
        yield each


def asked(query: str, prompt: str, label: Any = None, ends: tuple[str, ...] = ENDS) -> Sample:
    (found,) = samples(RewardRequest(query=[query], prompts=[prompt], labels=[label]), EndTokens(ends))
    return found


def test_rewards_against_siblings(client: TestClient) -> None:
    """Several in a request; the reward is the share of the others that a completion beats."""
    body = {"query": ["p: x", "p: xxx", "q: x", "p: xx"], "prompts": ["p: ", "p: ", "q: ", "p: "], "labels": [""] * 4}
    found = client.post("/get_reward", json=body).json()
    assert found["rewards"] == [0.0, 1.0, None, 0.5]
    assert [reason is None for reason in found["reasons"]] == [True, True, False, True]
    assert "its label has no reference" in found["reasons"][2]


def test_what_has_a_reference_does_not_take_its_siblings_from_the_others(client: TestClient) -> None:
    body = {"query": ["p: x", "p: xxx", "p: xx"], "prompts": ["p: "] * 3, "labels": ["x", "", None]}
    assert client.post("/get_reward", json=body).json()["rewards"] == [0.5, 1.0, 0.0]
    body = {"query": ["p: x", "p: xx"], "prompts": ["p: "] * 2, "labels": [{"prompt": "A"}, {"prompt": "B"}]}
    assert client.post("/get_reward", json=body).json()["rewards"] == [None, None], "they answer different prompts"


@pytest.mark.parametrize(
    ("label", "reward"),
    [
        ("xx", 0.5),
        (["x", "xx", "xxx", "x"], 0.5),
        ({"reference": "x", "references": None, "prompt": None}, 1.0),
        ({"references": ["xxx"], "prompt": [{"role": "user", "content": "Say x ."}]}, 0.0),
    ],
)
def test_rewards_against_the_label(client: TestClient, label: Any, reward: float) -> None:
    for end in (*ENDS, ""):
        body = {"query": [f"{PROMPT}xx{end}"], "prompts": [PROMPT], "labels": [label]}
        found = client.post("/get_reward", json=body).json()
        assert (found["rewards"], found["reasons"]) == ([reward], [None])
    twice = {"query": [f"{PROMPT}xx"] * 2, "prompts": [PROMPT] * 2, "labels": [label] * 2}
    assert client.post("/get_reward", json=twice).json()["rewards"] == [reward] * 2


def test_an_undecided_reward_is_null_with_its_reason() -> None:
    with served(Judge(ScriptedBackend(lambda *_: "no idea"), sampling=Sampling(votes=1, temperature=0))) as client:
        body = {"query": ["p: x"], "prompts": ["p: "], "labels": ["xx"]}
        found = client.post("/get_reward", json=body).json()
    assert found["rewards"] == [None]
    assert "decided none" in found["reasons"][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompts": ["p: "]}, "there are 2 queries and 1 prompts"),
        ({"labels": ["x"]}, "there are 2 queries and 1 labels"),
        ({"prompts": ["z"] * 2}, "query 0 does not begin with its prompt"),
        ({"labels": ["x", 7]}, "label 1: reference must be a text"),
        ({"labels": [["x", None], "x"]}, "label 0: references[1] must be a text"),
        ({"labels": [["x"] * 65, "x"]}, "label 0: there are 65 references, and at most 64"),
        (
            {"labels": [{"answer": "x"}, "x"]},
            "label 0: an object may have prompt, reference, references, and not answer",
        ),
        ({"labels": [{"reference": "x", "references": ["y"]}, "x"]}, "label 0: it has both reference and references"),
        ({"labels": [{"reference": "x", "prompt": []}, "x"]}, "label 0: prompt must be a text"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(client: TestClient, change: dict[str, Any], words: str) -> None:
    body = {"query": ["p: x", "p: xxx"], "prompts": ["p: ", "p: "], "labels": ["x", "x"]}
    answer = client.post("/get_reward", json=body | change)
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text
    assert len(answer.text) < 400


def test_a_request_asks_for_so_many_comparisons_and_no_more(client: TestClient) -> None:
    """Siblings count as the pairs that they make."""
    texts = [f"p{i % 4}: {'x' * (i // 4)}" for i in range(256)]
    body = {"query": texts, "prompts": [text[:4] for text in texts]}
    answer = client.post("/get_reward", json=body)
    assert (answer.status_code, "8064 comparisons, and at most 2048 are allowed" in answer.text) == (422, True)
    copies = {"query": ["p: x"] * 64, "prompts": ["p: "] * 64}
    answer = client.post("/get_reward", json=copies)
    assert answer.status_code == 200, answer.text
    assert answer.json()["rewards"] == [0.5] * 64


def test_the_judge_is_shown_neither_template_nor_end_token() -> None:
    seen: list[str] = []

    def remember(request: GenerationRequest, seed: int) -> str:
        seen.append(request.messages[-1].content)
        return "<think>\nFeedback: fine\n</think>\n<answer>A</answer>"

    with served(Judge(ScriptedBackend(remember), sampling=Sampling(votes=1, temperature=0))) as client:
        label = {"prompt": "Say x.", "reference": "the reference"}
        body = {"query": [f"{PROMPT}mine<|im_end|>"], "prompts": [PROMPT], "labels": [label]}
        assert client.post("/get_reward", json=body).status_code == 200
    assert len(seen) == 2
    assert all("Say x." in text and "mine" in text and "the reference" in text and "<|" not in text for text in seen)


def test_only_what_is_named_is_taken_off(caplog: pytest.LogCaptureFixture) -> None:
    for text in ("<s>old</s>", "type <eos>", "xx\n", "a<|im_end|>\n"):
        assert asked(f"p: {text}", "p: ", ends=()).completion == text
    ends = EndTokens(["</s>", "<|im_end|></s>"])
    assert ends.cut("a<|im_end|></s>") == "a"
    assert ends.cut("a</s></s>") == "a</s>"
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert [ends.cut(text) for text in ("a[|endofturn|]", "b<|eot|>", "5 < 6")] == [
            "a[|endofturn|]",
            "b<|eot|>",
            "5 < 6",
        ]
        ends.cut("see [1]"), ends.cut("again [|endofturn|]"), ends.cut("a<|im_end|>\n")
    told = [record.getMessage().partition("--end-token ")[2].partition(",")[0] for record in caplog.records]
    assert told == ["'[|endofturn|]'", "'<|eot|>'", "'[1]'", "'<|im_end|>'"], "each once"


@pytest.mark.parametrize(
    ("prompt", "decoded"),
    [
        ("Say x .\n", "Say x.\n"),
        ("cafe\u0301 :", "caf\u00e9:"),
        ("a  b ", "a b "),
        ("ends in space ", "ends in space "),
    ],
)
def test_a_prompt_that_the_tokenizer_changed_is_found_again(prompt: str, decoded: str) -> None:
    assert asked(f"{decoded} x y\n", prompt).completion.strip() == "x y"
    with pytest.raises(DataError, match="query 0 does not begin with its prompt"):
        asked(decoded[1:], prompt)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["prompt", "reference", "references"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(json_values, st.text(max_size=8), st.text(max_size=8))
def test_any_label_is_a_sample_or_a_sentence(label: Any, prompt: str, completion: str) -> None:
    try:
        found = asked(prompt + completion, prompt, label, ends=())
    except DataError as error:
        error_text = str(error)
        assert error_text.startswith("label 0: ") and len(error_text) < 400
        error_text.encode("utf-8")
    else:
        assert found.completion == completion
        assert all(isinstance(text, str) for text in found.references)


def test_half_a_character_in_a_label_is_a_sentence(client: TestClient) -> None:
    for label in ('{"\\ud800": 1}', '"\\ud800"', '{"reference": "\\ud800"}'):
        content = '{"query": ["p: x"], "prompts": ["p: "], "labels": [' + label + "]}"
        answer = client.post("/get_reward", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 422, answer.text
