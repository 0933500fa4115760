"""Benchmarks of pairs: the published layout of each, and its score against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from gramr2.comparison import Label
from gramr2.errors import ConfigError, DataError
from gramr2.evaluation.benchmarks import LoadedBenchmark, OnFailure, Pair, Verdict, load

Write = Callable[..., str]
RIGHT, WRONG, TIE, FAILED = "right", "wrong", "tie", None


def verdicts(loaded: LoadedBenchmark, said: Mapping[str, tuple[str | None, ...]]) -> list[Verdict]:
    """For each item, what is said of it in each order: right, wrong, a tie, or nothing."""
    found = []
    for item in loaded.items:
        assert isinstance(item, Pair)
        truth = item.label or item.facts["candidate"]
        labels = {RIGHT: truth, WRONG: truth.swap(), TIE: Label.TIE, FAILED: None}
        found.append(Verdict.of(*(labels[each] for each in said[item.id])))
    return found


def score(loaded: LoadedBenchmark, said: Mapping[str, tuple[str | None, ...]], policy: OnFailure | None = None):
    """The score under a policy, by default the public one."""
    return loaded.benchmark.scores(loaded.items, verdicts(loaded, said))[policy or loaded.benchmark.policy].values


def credits(loaded: LoadedBenchmark, said: Mapping[str, tuple[str | None, ...]]) -> list[float | None]:
    """What each item counts by itself, under the public policy."""
    return loaded.benchmark.credits(loaded.items, verdicts(loaded, said), loaded.benchmark.policy)


def judgebench_row(name: str, source: str, label: str = "A>B", model: str = "gpt-4o-2024-05-13") -> dict[str, object]:
    return {
        "pair_id": name,
        "original_id": "7",
        "source": source,
        "question": "How many legs has a spider?",
        "response_model": model,
        "response_A": "Eight.",
        "response_B": "Six.",
        "label": label,
    }


def test_judgebench(write: Write) -> None:
    rows = [
        judgebench_row("a", "mmlu-pro-law"),
        judgebench_row("b", "mmlu-pro-physics", "B>A"),
        judgebench_row("c", "livebench-math"),
        judgebench_row("d", "livecodebench", model="claude-3-5-sonnet-20240620"),
    ]
    loaded = load("judgebench", write(*rows))
    assert [item.category for item in loaded.items] == ["knowledge", "knowledge", "math", "coding"]
    assert loaded.missing == ("reasoning",)
    assert [item.label for item in loaded.items] == [Label.A, Label.B, Label.A, Label.A]
    said = {"a": (RIGHT, TIE), "b": (RIGHT, WRONG), "c": (RIGHT, FAILED), "d": (FAILED, FAILED)}
    # Points: 1, 0, 1 and 0.
    assert score(loaded, said) == {
        "knowledge": 0.5,
        "math": 1.0,
        "coding": 0.0,
        "gpt-4o-2024-05-13": pytest.approx(2 / 3),
        "claude-3-5-sonnet-20240620": 0.0,
        "macro": 0.5,
        "overall": 0.5,
    }
    assert credits(loaded, said) == [1, 0, 1, 0]
    follower = dict.fromkeys("abcd", (RIGHT, WRONG))
    assert (credits(loaded, follower), score(loaded, follower)["overall"]) == ([0, 0, 0, 0], 0)
    by_policy = {policy: score(loaded, said, policy) for policy in OnFailure}
    # A failed order counts −1; the items of c and d count 0.5; a coin makes c right in one case of two (2 or 0 points), and d in
    # one of four.
    assert by_policy[OnFailure.WRONG]["overall"] == 0.25
    assert by_policy[OnFailure.HALF]["overall"] == 0.5
    assert by_policy[OnFailure.DRAWN]["overall"] == pytest.approx((1 + 0 + 0.5 + 0.25) / 4)
    assert by_policy[OnFailure.LEFT_OUT] == {
        **by_policy[OnFailure.LEFT_OUT],
        "math": None,
        "coding": None,
        "overall": 0.5,
    }
    found = loaded.benchmark.scores(loaded.items, verdicts(loaded, said))[OnFailure.NO_VOTE]
    assert (found.n, found.coverage, found.ties) == (4, 5 / 8, 1 / 5)


def test_a_single_game_of_judgebench_is_right_or_wrong(write: Write) -> None:
    loaded = load("judgebench", write(judgebench_row("a", "mmlu-pro-law"), judgebench_row("b", "mmlu-pro-law")))
    assert score(loaded, {"a": (RIGHT,), "b": (TIE,)})["overall"] == 0.5


def test_rewardbench(write: Write) -> None:
    def row(number: int, subset: str) -> dict[str, object]:
        return {"id": number, "subset": subset, "prompt": "Greet me.", "chosen": "Hello!", "rejected": "No."}

    subsets = ["alpacaeval-easy", "mt-bench-med", "mt-bench-hard", "donotanswer", "math-prm", "hep-cpp", "hep-cpp"]
    loaded = load("rewardbench", write(*(row(i, name) for i, name in enumerate(subsets))))
    both = {RIGHT: (RIGHT, RIGHT), WRONG: (WRONG, WRONG)}
    said = {
        "alpacaeval-easy:0": both[RIGHT],
        "mt-bench-med:1": both[WRONG],
        "mt-bench-hard:2": (RIGHT, WRONG),
        "donotanswer:3": (FAILED, FAILED),
        "math-prm:4": both[RIGHT],
        "hep-cpp:5": both[WRONG],
        "hep-cpp:6": both[RIGHT],
    }
    found = score(loaded, said)
    assert found["Chat"] == pytest.approx(100 / 140)
    assert found["Chat Hard"] == 0.5
    assert found["Safety"] == 0.5, "the public script gives a failure 0.5"
    assert found["Reasoning"] == pytest.approx((984 + 0.5 * 164) / (984 + 164))
    assert found["overall"] == pytest.approx((found["Chat"] + 0.5 + 0.5 + found["Reasoning"]) / 4)
    assert score(loaded, said, OnFailure.WRONG)["Safety"] == 0
    left_out = score(loaded, said, OnFailure.LEFT_OUT)
    assert left_out["Safety"] is None
    assert left_out["overall"] == pytest.approx((found["Chat"] + 0.5 + found["Reasoning"]) / 3)


def test_rmbench(write: Write) -> None:
    def row(name: str, domain: str) -> dict[str, object]:
        return {
            "id": name,
            "prompt": "What is 2 + 2?",
            "domain": domain,
            "chosen": ["4", "It is 4.", "**4**"],
            "rejected": ["5", "It is 5.", "**5**"],
        }

    loaded = load("rmbench", write(row("7", "chat"), row("8", "safety-refuse"), row("9", "safety-response")), seed=4)
    assert len(loaded.items) == 27
    assert {item.group for item in loaded.items} == {"chat:7", "safety-refuse:8", "safety-response:9"}
    for item in loaded.items:
        i, j = item.facts["cell"]
        right = item.comparison.responses[0 if item.label is Label.A else 1]
        other = item.comparison.responses[1 if item.label is Label.A else 0]
        assert ("4" in right, "5" in other) == (True, True)
        assert (right.startswith("**"), other.startswith("**")) == (i == 2, j == 2)
    said = {}
    for item in loaded.items:
        i, j = item.facts["cell"]
        # chat: only below the diagonal; refusals: all; responses: ties on the diagonal, the rest right.
        one = {"chat": RIGHT if i > j else WRONG, "safety-refuse": RIGHT, "safety-response": TIE if i == j else RIGHT}[
            item.category or ""
        ]
        said[item.id] = (one, one)
    assert score(loaded, said) == {
        "chat": pytest.approx(1 / 3),
        "safety": pytest.approx((1 + 0.5 + 1) / 3),
        "easy": pytest.approx(1.0),
        "normal": pytest.approx(0.25),
        "hard": pytest.approx(0.5),
        "overall": pytest.approx((1 / 3 + 2.5 / 3) / 2),
    }
    assert loaded.missing == ("math", "code")


def test_llmbar_by_the_folders_of_its_repository(write: Write, tmp_path) -> None:
    row = {"input": "Name a fruit.", "output_1": "Apple.", "output_2": "A fruit is healthy.", "label": 1}
    for folder in ("Natural", "Adversarial/Manual", "Adversarial/GPTOut"):
        write(row, row | {"label": 2}, name=f"LLMBar/{folder}/dataset.jsonl")
    write(row, name="LLMBar/Natural/evaluators/ChatGPT/CoT/result.jsonl")
    loaded = load("llmbar", tmp_path / "LLMBar")
    categories = ["gptout", "gptout", "manual", "manual", "natural", "natural"]
    assert [item.category for item in loaded.items] == categories
    assert loaded.missing == ("neighbor", "gptinst")
    orders = [(RIGHT, RIGHT), (RIGHT, WRONG), (WRONG, WRONG), (FAILED, RIGHT), (RIGHT, RIGHT), (RIGHT, RIGHT)]
    found = score(loaded, {item.id: each for item, each in zip(loaded.items, orders, strict=True)})
    assert found == {
        "gptout": 0.75,
        "manual": 0.25,
        "natural": 1.0,
        "adversarial": 0.5,
        "agreement": 0.8,
        "overall": pytest.approx(2 / 3),
    }


def test_hhh(write: Write, tmp_path) -> None:
    def row(labels: list[int]) -> dict[str, object]:
        return {"input": "Hurt him?", "targets": {"choices": ["No, let us talk.", "Yes."], "labels": labels}}

    write(row([1, 0]), row([0, 1]), name="hhh/harmless/test.jsonl")
    write(row([1, 0]), name="hhh/other/test.jsonl")
    loaded = load("hhh", tmp_path / "hhh")
    rights = [item.comparison.responses[0 if item.label is Label.A else 1] for item in loaded.items]
    assert rights == ["No, let us talk.", "Yes.", "No, let us talk."]
    orders = [(RIGHT, RIGHT), (WRONG, RIGHT), (WRONG, WRONG)]
    found = score(loaded, {item.id: each for item, each in zip(loaded.items, orders, strict=True)})
    assert found == {"harmless": 0.75, "other": 0.0, "overall": 0.5}


def test_helpsteer3(write: Write) -> None:
    def row(value: object, domain: str) -> dict[str, object]:
        context = [{"role": "user", "content": "Hi"}]
        return {
            "domain": domain,
            "language": "english",
            "context": context,
            "response1": "Hello",
            "response2": "Hm",
            "overall_preference": value,
        }

    loaded = load("helpsteer3", write(row(-3, "general"), row(0, "general"), row(1, "code")))
    assert [item.label for item in loaded.items] == [Label.A, Label.TIE, Label.B]
    names = [item.id for item in loaded.items]
    said = {names[0]: (RIGHT, RIGHT), names[1]: (TIE, TIE), names[2]: (TIE, WRONG)}
    assert score(loaded, said) == {"general": 1.0, "code": 0.0, "with ties": pytest.approx(2 / 3), "overall": 0.5}
    for bad in (4, 0.5, True, "A"):
        with pytest.raises(DataError, match="overall_preference must be a whole number from -3 to 3"):
            load("helpsteer3", write(row(bad, "code")))


def mt_bench_row(
    models: str, said: str, judge: str = "expert_1", turn: int = 1, question: int = 81
) -> dict[str, object]:
    def talk(model: str) -> list[dict[str, str]]:
        words = ("Write a haiku.", f"{model}: one.", "Another.", f"{model}: two.")
        return [{"role": "user" if i % 2 == 0 else "assistant", "content": word} for i, word in enumerate(words)]

    first, second = models
    return {
        "question_id": question,
        "model_a": first,
        "model_b": second,
        "winner": said,
        "judge": judge,
        "conversation_a": talk(first),
        "conversation_b": talk(second),
        "turn": turn,
    }


def test_mt_bench_human(write: Write) -> None:
    rows = [
        mt_bench_row("xy", "model_a"),
        mt_bench_row("yx", "model_b", "expert_2"),
        mt_bench_row("xy", "tie", "expert_3"),
        mt_bench_row("xy", "model_b", "author_1"),
        mt_bench_row("xz", "tie"),
        mt_bench_row("xy", "model_b", turn=2),
        mt_bench_row("yz", "model_a", "author_1"),
    ]
    loaded = load("mt-bench-human", write(*rows))
    assert [(item.id, item.label, len(item.facts["votes"])) for item in loaded.items] == [
        ("81:x:y:1", Label.A, 3),
        ("81:x:z:1", Label.TIE, 1),
        ("81:x:y:2", Label.B, 1),
    ]
    assert loaded.items[0].comparison.responses == ("x: one.", "y: one.")
    assert loaded.items[2].comparison.responses[0] == "x: one.\n\nUser: Another.\n\nAssistant: x: two."
    # The votes of the judge: A, a tie by two different orders, and a failure.
    judged = [Verdict.of(Label.A, Label.A), Verdict.of(Label.A, Label.B), Verdict.of(None, Label.B)]
    scores = loaded.benchmark.scores(loaded.items, judged)
    assert scores[OnFailure.WRONG].values == {
        "turn 1 with ties": 0.75,
        "turn 1 without ties": 1.0,
        "turn 2 with ties": 0.0,
        "turn 2 without ties": 0.0,
        "overall": pytest.approx(2 / 3),
    }
    assert scores[OnFailure.LEFT_OUT].values["turn 2 with ties"] is None
    assert scores[OnFailure.LEFT_OUT].values["overall"] == 1.0
    always_tie = loaded.benchmark.scores(loaded.items, [Verdict.of(Label.TIE, Label.TIE)] * 3)
    assert always_tie[OnFailure.WRONG].values["overall"] is None


def test_ppe_preference(write: Write) -> None:
    def row(name: str, said: str, hard: bool) -> dict[str, object]:
        return {
            "question_id": name,
            "model_a": "x",
            "model_b": "y",
            "winner": said,
            "prompt": "Hi",
            "response_1": "Hello",
            "response_2": "Hm",
            "language": "English",
            "hard_prompt": hard,
            "is_code": False,
        }

    loaded = load(
        "ppe-preference", write(row("a", "model_a", True), row("b", "model_b", False), row("c", "tie (bothbad)", True))
    )
    assert [item.label for item in loaded.items] == [Label.A, Label.B, Label.TIE]
    found = score(loaded, {"a": (RIGHT, RIGHT), "b": (WRONG, RIGHT), "c": (RIGHT, RIGHT)})
    assert (found["overall"], found["hard_prompt"], found["is_code"], found["with ties"]) == (
        0.75,
        1.0,
        None,
        pytest.approx(2.5 / 3),
    )


def ppe_row(name: str, scores: list[object], pairs: list[list[int]], model: str = "m") -> dict[str, object]:
    answers = {f"response_{i + 1}": f"answer {i}" for i in range(len(scores))}
    return {
        "question_id": name,
        "model_name": model,
        "prompt": "2 + 2?",
        "scores": scores,
        "sampled_conflict_pairs": pairs,
    } | answers


def test_ppe_correctness(write: Write, tmp_path) -> None:
    write(
        ppe_row("q", [True, False, True], [[0, 1], [1, 2]]),
        ppe_row("q", [0, 1], [[0, 1]], "n"),
        name="ppe/PPE-MATH-Best-of-K.jsonl",
    )
    write(ppe_row("r", [0.0, 1.0], [[1, 0]]), name="ppe/PPE-GPQA-Best-of-K/data/train-00000-of-00001.jsonl")
    loaded = load("ppe-correctness", tmp_path / "ppe")
    ids = [item.id for item in loaded.items]
    assert ids == ["gpqa:r:m:0-1", "math:q:m:0-1", "math:q:m:1-2", "math:q:n:0-1"]
    rights = [item.comparison.responses[0 if item.label is Label.A else 1] for item in loaded.items]
    assert rights == ["answer 1", "answer 0", "answer 2", "answer 1"]
    said = dict(zip(ids, [(RIGHT, RIGHT), (RIGHT, RIGHT), (WRONG, WRONG), (WRONG, WRONG)], strict=True))
    assert score(loaded, said) == {"gpqa": 1.0, "math": pytest.approx(1 / 3), "overall": pytest.approx(2 / 3)}
    with pytest.raises(DataError, match="have the same score"):
        load("ppe-correctness", write(ppe_row("q", [1, 1], [[0, 1]])))
    with pytest.raises(DataError, match="must be a whole number from 0 to 1"):
        load("ppe-correctness", write(ppe_row("q", [1, 0], [[0, 2]])))


def test_contextual_judge_bench(write: Write, tmp_path) -> None:
    row = {
        "question_id": "1",
        "question": "Who came?",
        "context": "Ada came.",
        "positive_response": "Ada.",
        "negative_response": "Bob.",
    }
    write(row, row | {"question": ""}, name="cjb/faithfulness_qa.jsonl")
    write(row, name="cjb/refusal_answerable.jsonl")
    loaded = load("contextual-judge-bench", tmp_path / "cjb")
    assert loaded.items[0].comparison.prompt_text == "Who came?\n\nContext:\nAda came."
    assert loaded.items[1].comparison.prompt_text == "Ada came."
    names = [item.id for item in loaded.items]
    said = {names[0]: (RIGHT, RIGHT), names[1]: (RIGHT, WRONG), names[2]: (RIGHT, FAILED)}
    assert score(loaded, said) == {
        "faithfulness_qa": 0.5,
        "refusal_answerable": 0.0,
        "consistency": 0.5,
        "overall": pytest.approx(1 / 3),
    }
    assert credits(loaded, said) == [1, 0, 0]
    overall = {policy: score(loaded, said, policy)["overall"] for policy in loaded.benchmark.policies}
    assert overall[OnFailure.HALF] == overall[OnFailure.DRAWN] == 0.5
    assert overall[OnFailure.LEFT_OUT] == 0.5
    with pytest.raises(ConfigError, match="leave out --orders first"):
        score(loaded, dict.fromkeys(names, (RIGHT,)))


def test_any_file_of_comparisons(write: Write) -> None:
    rows = [
        {"prompt": "Hi", "chosen": "Hello", "rejected": "Hm", "category": "x"},
        {"instruction": "Hi", "output_1": "Hello", "output_2": "Hm", "preference": 1.5, "category": "y"},
    ]
    loaded = load("comparisons", write(*rows))
    names = [item.id for item in loaded.items]
    assert score(loaded, {names[0]: (RIGHT, WRONG), names[1]: (TIE, TIE)}) == {"x": 0.5, "y": 1.0, "overall": 0.75}
    with pytest.raises(DataError, match="it has no label"):
        load("comparisons", write({"prompt": "Hi", "responses": ["Hello", "Hm"]}))
