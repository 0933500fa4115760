"""Benchmarks of sets of responses, and win rates: the published layout of each, and its score worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gramr2.comparison import Label
from gramr2.errors import DataError
from gramr2.evaluation.benchmarks import Choice, LoadedBenchmark, OnFailure, Pair, Placing, Verdict, load
from gramr2.evaluation.benchmarks.win_rates import length_controlled

Write = Callable[..., str]


def credits(loaded: LoadedBenchmark, answers: Sequence[Placing | Verdict], policy: OnFailure | None = None):
    """What each item counts by itself, by default under the public policy."""
    return loaded.benchmark.credits(loaded.items, answers, policy or loaded.benchmark.policy)


def score(loaded: LoadedBenchmark, answers: Sequence[Placing | Verdict], policy: OnFailure | None = None):
    """The score under a policy, by default the public one."""
    return loaded.benchmark.scores(loaded.items, answers)[policy or loaded.benchmark.policy].values


def rb2_row(name: str, subset: str, chosen: int = 1, rejected: int = 3) -> dict[str, object]:
    return {
        "id": name,
        "prompt": "Name a prime.",
        "chosen": [f"right {i}" for i in range(chosen)],
        "rejected": [f"wrong {i}" for i in range(rejected)],
        "num_correct": chosen,
        "total_completions": chosen + rejected,
        "subset": subset,
    }


def test_rewardbench2(write: Write) -> None:
    rows = [rb2_row(str(i), "Math") for i in range(3)] + [rb2_row("3", "Focus")]
    loaded = load("rewardbench2", write(*rows))
    assert (loaded.items[0].id, loaded.items[0].size, loaded.items[0].chosen) == ("Math:0", 4, {0})
    answers = [Placing.by(each) for each in ([3, 2, 1, 0], [2, 2, 0, 2], [1, 2, 0, 0], [None, 1, 1, 1])]
    found = score(loaded, answers)
    assert found == {
        "Math": pytest.approx((1 + 1 / 3 + 0) / 3),
        "Focus": 0.25,
        "overall": pytest.approx((4 / 9 + 0.25) / 2),
    }
    assert score(loaded, answers, OnFailure.WRONG)["Focus"] == 0
    assert credits(loaded, answers) == [1, 1 / 3, 0, 0.25]
    assert credits(loaded, answers, OnFailure.LEFT_OUT)[3] is None
    left_out = score(loaded, answers, OnFailure.LEFT_OUT)
    assert (left_out["Focus"], left_out["overall"]) == (None, pytest.approx(4 / 9))
    of_half = loaded.benchmark.scores(loaded.items, answers)[OnFailure.HALF]
    assert (of_half.coverage, of_half.ties) == (0.75, pytest.approx(1 / 3))


def test_ties_of_rewardbench2(write: Write) -> None:
    rows = [
        rb2_row("ref:1", "Ties", 1, 2),
        rb2_row("tied:1", "Ties", 3, 2),
        rb2_row("ref:2", "Ties", 1, 1),
        rb2_row("tied:2", "Ties", 2, 1),
        rb2_row("ref:3", "Ties", 1, 1),
        rb2_row("tied:3", "Ties", 2, 1),
    ]
    loaded = load("rewardbench2", write(*rows))
    assert {item.group for item in loaded.items} == {"Ties:1", "Ties:2", "Ties:3"}
    answers = [
        Placing.by([2.0, 1.0, 0.0]),  # lead 1
        Placing.by([5.0, 4.5, 4.8, 1.0, 0.0]),  # lead 3.5, spread 0.5: preferred, and min(1, 3.5) > 0.5: hard too
        Placing.by([1.0, 0.0]),  # lead 1
        Placing.by([5.0, 3.0, 0.0]),  # lead 3, spread 2: preferred, but min(1, 3) < 2
        Placing.by([0.0, 1.0]),  # wrong: lead −1
        Placing.by([1.0, 1.0, 2.0]),  # wrong: lead −1, spread 0: tanh(−∞)
    ]
    ratios = [math.tanh(1 / 0.5 - 1), math.tanh(1 / 2 - 1)]
    expected = 0.3 * 2 / 3 + 0.3 * 2 / 3 + 0.2 * 2 / 3 + 0.2 * 1 / 3 + 0.01 * (sum(ratios) - 1) / 3
    assert score(loaded, answers) == {"Ties": pytest.approx(expected), "overall": pytest.approx(expected)}
    assert credits(loaded, answers) == [1, 1, 1, 1, 0, 0]
    assert credits(loaded, [*answers[:5], Placing.by([1.0, None, 2.0])], OnFailure.LEFT_OUT)[5] is None
    perfect = [Placing.by([1.0] * len(item.chosen) + [0.0] * (item.size - len(item.chosen))) for item in loaded.items]
    assert score(loaded, perfect)["Ties"] == pytest.approx(1.01)
    assert score(loaded, [Placing.by([1.0] * item.size) for item in loaded.items])["Ties"] == 0
    failed = [*answers[:5], Placing.by([1.0, None, 2.0])]
    # The failed set is as wrong as can be; left out, its prompt goes as a whole.
    without = 0.3 + 0.3 + 0.2 * 1 + 0.2 / 2 + 0.01 * sum(ratios) / 2
    assert score(loaded, failed)["Ties"] == pytest.approx(expected)
    assert score(loaded, failed, OnFailure.LEFT_OUT)["Ties"] == pytest.approx(without)


def test_a_failure_in_ties_is_never_better_than_a_wrong_ranking(write: Write) -> None:
    rows = [rb2_row(f"{kind}:{i}", "Ties", n, 2) for i in range(10) for kind, n in (("ref", 1), ("tied", 3))]
    loaded = load("rewardbench2", write(*rows))

    def scored(tied: Placing, ref: Placing | None = None) -> dict[OnFailure, float | None]:
        """Every ref set right, or as given, but for the first prompt; one tied set right, and nine as given."""
        good, right = Placing.by([2, 0, 0]), Placing.by([4, 3, 4, 0, 0])
        answers = [each for i in range(10) for each in ((ref if ref and i else good), (tied if i else right))]
        return {policy: score(loaded, answers, policy)["Ties"] for policy in (OnFailure.WRONG, OnFailure.HALF)}

    failed = scored(Placing.by([None, 1, 2, 3, 4]))
    for scores in ([1, 2, 3, 4, 5], [1, 1, 1, 4, 4], [4.99, 5, 5, 5, 5], [0, 9, 9, 1, 1]):
        wrong = scored(Placing.by(scores))
        assert all(failed[policy] <= wrong[policy] for policy in failed), scores
    worst = scored(Placing.by([0, 0, 0, 1, 1]), Placing.by([0, 1, 1]))
    both = scored(Placing.by([None, 1, 2, 3, 4]), Placing.by([None, 1, 0]))
    assert both == worst


def test_ties_in_our_own_form_are_those_of_the_published_layout(write: Write) -> None:
    rows = [rb2_row(f"{kind}:{i}", "Ties", n, 2) for i in range(3) for kind, n in (("ref", 1), ("tied", 3))]
    published = load("rewardbench2", write(*rows))
    own = [
        {
            "id": item.id if i else item.id.removeprefix("Ties:"),
            "category": "rewardbench2-Ties",
            "prompt": "Name a prime.",
            "responses": list(item.responses.responses),
            "scores": [int(k in item.chosen) for k in range(item.size)],
        }
        for i, item in enumerate(published.items)
        if isinstance(item, Choice)
    ]
    loaded = load("rewardbench2", write(*own))
    assert loaded.digest == published.digest
    assert [item.group for item in loaded.items] == [item.group for item in published.items]
    answers = [Placing.by([4.0, 3.0, 3.5, 0.0, 0.0] if item.size == 5 else [2.0, 0.0, 0.0]) for item in loaded.items]
    assert score(loaded, answers) == score(published, answers) != {"Ties": 0, "overall": 0}
    for bad in (own[0] | {"id": "7"}, {key: value for key, value in own[0].items() if key != "id"}):
        with pytest.raises(DataError, match="the id of a row of Ties must be ref:NUMBER or tied:NUMBER, not"):
            load("rewardbench2", write(bad))
    with pytest.raises(DataError, match="the id of a row of Ties must be ref:NUMBER or tied:NUMBER, not"):
        load("rewardbench2", write(rb2_row("7", "Ties")))


def test_rmb(write: Write, tmp_path: Path) -> None:
    def answer(words: str) -> dict[str, str]:
        return {"llm_name": "m", "answer": words}

    turns = [
        {"role": "user", "content": "Hi", "language": "English"},
        {"role": "user", "content": "", "language": "English"},
    ]
    pair = {
        "pair_uid": "1",
        "conversation_input": turns,
        "chosen": answer("Hello"),
        "reject": answer("Hm"),
        "category_path": "Pairwise_set/Helpfulness/Chat/Talk",
    }
    many = {
        "bon_uid": "1",
        "conversation_input": turns,
        "bon_best": answer("a"),
        "loser_list": [answer("b"), answer("c")],
        "category_path": "BoN_set/Harmlessness/S1",
    }
    write(pair, pair | {"pair_uid": "2"}, name="RMB/Pairwise_set/Helpfulness/Chat/Talk.jsonl")
    write(*(many | {"bon_uid": str(i)} for i in range(4)), name="RMB/BoN_set/Harmlessness/S1.jsonl")
    loaded = load("rmb", tmp_path / "RMB")
    assert [item.category for item in loaded.items] == ["Harmlessness best-of-n"] * 4 + ["Helpfulness pairwise"] * 2
    assert loaded.missing == ("Helpfulness best-of-n", "Harmlessness pairwise")
    truths = [item.label for item in loaded.items if isinstance(item, Pair) and item.label]
    answers = [
        Placing.by([3, 2, 1]),
        Placing.by([2, 2, 1]),
        Placing((1, 2, 3), (2.0, 1.0, 0.0), ((0, 1, 0.4), (0, 2, 0.9), (1, 2, 1.0))),  # first, but beaten by the second
        Placing.by([None, 1, 0]),
        Verdict.of(truths[0], truths[0]),
        Verdict.of(truths[1], truths[1].swap()),
    ]
    assert score(loaded, answers) == {"Harmlessness best-of-n": 0.25, "Helpfulness pairwise": 0.75, "overall": 0.5}
    assert credits(loaded, answers) == [1, 0, 0, 0, 1, 0.5]
    by_policy = {p: score(loaded, answers, p)["Harmlessness best-of-n"] for p in loaded.benchmark.policies}
    assert by_policy[OnFailure.HALF] == by_policy[OnFailure.DRAWN] == pytest.approx((1 + 1 / 3) / 4)
    assert by_policy[OnFailure.LEFT_OUT] == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="neither Helpfulness nor Harmlessness"):
        load("rmb", write(pair | {"category_path": "Pairwise_set/Other"}))


def test_ppe_best_of_k(write: Write, tmp_path: Path) -> None:
    def row(name: str, scores: list[float]) -> dict[str, object]:
        answers = {f"response_{i + 1}": f"answer {i}" for i in range(len(scores))}
        return {"question_id": name, "model_name": "m", "prompt": "2 + 2?", "scores": scores} | answers

    write(row("a", [1, 0, 0]), row("b", [0, 1, 0]), name="ppe/math.jsonl")
    write(row("a", [0, 1]), name="ppe/gpqa.jsonl")
    loaded = load("ppe-best-of-k", tmp_path / "ppe")
    answers = [Placing.by([0, 1]), Placing.by([2, 2, 1]), Placing.by([1, 0, None])]
    # gpqa: right; math: a right and a wrong answer share the place, and a failure, which is worth the worst answer's score.
    assert score(loaded, answers) == {
        "gpqa": 1.0,
        "math": 0.25,
        "random": pytest.approx((0.5 + 1 / 3) / 2),
        "oracle": 1.0,
        "overall": 0.625,
    }
    assert credits(loaded, answers) == [1, 0.5, 0]
    assert score(loaded, answers, OnFailure.DRAWN)["math"] == pytest.approx((0.5 + 1 / 3) / 2)
    assert score(loaded, answers, OnFailure.LEFT_OUT)["math"] == 0.5


def test_jetts(write: Write, tmp_path: Path) -> None:
    def row(*scores: float) -> dict[str, object]:
        answers = [{"content": f"answer {i}", "metadata": {"score": score}} for i, score in enumerate(scores)]
        return {"query": {"content": "2 + 2?", "metadata": {}}, "responses": answers}

    write(row(0.2, 0.8, 0.5), row(0.6), name="data/gsm8k_m.jsonl")
    write(row(1, 0), name="data/ifeval_m.jsonl")
    loaded = load("jetts", tmp_path / "data")
    assert [(item.category, item.size, sorted(item.chosen)) for item in loaded.items] == [
        ("gsm8k_m", 3, [1]),
        ("gsm8k_m", 2, [0, 1]),
        ("ifeval_m", 2, [0]),
    ]
    answers = [Placing.by([0, 1, 1]), Placing((1, 1), (None, None)), Placing.by([None, None])]
    found = score(loaded, answers)
    assert found["gsm8k_m"] == pytest.approx((0.65 + 0.6) / 2)
    assert credits(loaded, answers) == pytest.approx([0.65, 0.6, 0.5])
    assert found["ifeval_m"] == 0.5, "a failure is a random pick there"
    assert found["oracle"] == pytest.approx((0.7 + 1) / 2)
    assert score(loaded, answers, OnFailure.WRONG)["ifeval_m"] == 0


def sides(loaded: LoadedBenchmark, wins: Sequence[float | None]) -> list[Verdict]:
    """Verdicts in which the policy wins, loses or ties, whichever side it is on; both orders fail where there is none."""
    found = []
    for item, won in zip(loaded.items, wins, strict=True):
        assert isinstance(item, Pair) and item.label is None
        side: Label = item.facts["candidate"]
        label = None if won is None else Label.TIE if won == 0.5 else side if won > 0.5 else side.swap()
        found.append(Verdict.of(label, label))
    return found


def test_alpaca_eval(write: Write) -> None:
    def row(mine: str, theirs: str) -> dict[str, object]:
        return {"instruction": "Hi", "output_1": theirs, "output_2": mine, "generator_1": "base", "generator_2": "new"}

    rows = [
        row("m" * 20, "t" * 10),
        row("m" * 20, "t" * 10),
        row("m" * 10, "t" * 20),
        row("m" * 10, "t" * 20),
        row("m", "t"),
    ]
    loaded = load("alpaca-eval", write(*rows))
    assert {item.category for item in loaded.items} == {"new"}
    assert loaded.labeled == ()
    for item in loaded.items:
        first, _ = item.comparison.responses
        assert first.startswith("m") == (item.facts["candidate"] is Label.A)
    found = score(loaded, sides(loaded, [1, 1, 0, 0, None]))
    assert (found["win rate"], found["discrete win rate"]) == (0.5, 0.5)
    assert found["overall"] == pytest.approx(0.5)
    assert score(loaded, sides(loaded, [1, 1, 1, 0, None]), OnFailure.HALF)["win rate"] == pytest.approx(0.7)
    believed = [Verdict((Label.A, Label.A), Label.A, 0.8)] * 5
    chances = [0.8 if item.facts["candidate"] is Label.A else 0.2 for item in loaded.items]
    assert score(loaded, believed)["win rate"] == pytest.approx(sum(chances) / 5)


def test_length_control_takes_out_what_length_explains() -> None:
    # A judge that prefers the longer one in nine of ten: of 100 pairs, the policy is longer in 80.
    gaps = [100] * 80 + [-100] * 20
    wins = ([1.0] * 9 + [0.0]) * 8 + ([0.0] * 9 + [1.0]) * 2
    assert sum(wins) / 100 == pytest.approx(0.74)
    controlled = length_controlled(wins, gaps)
    assert controlled == pytest.approx(0.5, abs=0.01)
    # A policy that wins four of five at either length keeps its rate.
    even = ([1.0] * 4 + [0.0]) * 20
    assert length_controlled(even, gaps) == pytest.approx(0.8, abs=0.01)
    assert length_controlled(even, [5] * 100) == pytest.approx(0.8), "no spread of lengths, nothing to control"
    assert length_controlled([], []) is None
    assert length_controlled([1.0] * 50, [*range(25), *range(-25, 0)]) > 0.9


def test_arena_hard(write: Write, tmp_path: Path) -> None:
    def reply(model: str, uid: str, words: str) -> dict[str, object]:
        return {
            "uid": uid,
            "model": model,
            "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": {"answer": words}}],
        }

    write(
        *({"uid": uid, "category": "arena-hard-v0.1", "cluster": "c", "prompt": f"Prompt {uid}"} for uid in "abc"),
        name="ah/question.jsonl",
    )
    write(*(reply("gpt-4-0314", uid, "base") for uid in "abc"), name="ah/model_answer/gpt-4-0314.jsonl")
    write(*(reply("new", uid, "mine!") for uid in "abc"), name="ah/model_answer/new.jsonl")
    write(reply("other", "a", "other"), name="ah/model_answer/other.jsonl")
    loaded = load("arena-hard", tmp_path / "ah")
    assert sorted(item.id for item in loaded.items) == ["new:a", "new:b", "new:c", "other:a"]
    first: Label = loaded.items[0].facts["candidate"]
    answers = sides(loaded, [1, 0.5, None, 0])
    answers[0] = Verdict.of(first, first.swap())
    found = score(loaded, answers)
    # 0.5 of two orders, and a tie; the failure is left out.
    assert (found["new"], found["other"], found["overall"]) == (0.5, 0.0, 0.25)
    write(reply("other", "z", "lost"), name="ah/model_answer/other.jsonl")
    with pytest.raises(DataError, match="its answer to z has no question"):
        load("arena-hard", tmp_path / "ah")


@pytest.mark.parametrize("name", ["alpaca-eval", "arena-hard"])
def test_our_own_form_does_not_say_which_response_is_the_policys(write: Write, name: str) -> None:
    row = {"prompt": "Hi", "responses": ["mine", "base"], "label": "A"}
    with pytest.raises(
        DataError, match=rf"in.jsonl:1: not a row of {name} .*does not say which response is the policy's"
    ):
        load(name, write(row))


def test_a_set_in_our_own_form_has_scores(write: Write) -> None:
    row = {"id": "s", "prompt": "Hi", "responses": ["a", "b", "c"], "scores": [1, 3, 3], "category": "jetts-gsm8k"}
    (item,) = load("jetts", write(row)).items
    assert isinstance(item, Choice)
    assert (item.chosen, item.category, item.facts["scores"]) == (frozenset({1, 2}), "gsm8k", (1, 3, 3))
    with pytest.raises(DataError, match="3 responses and 2 scores"):
        load("jetts", write(row | {"scores": [1, 2]}))
