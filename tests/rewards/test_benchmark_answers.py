"""Judges whose score theory knows, asked through the whole of a benchmark: always A, an oracle, the longer one, a coin."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence

import pytest

from gramr2.comparison import Comparison, Label
from gramr2.evaluation.benchmarks import LoadedBenchmark, OnFailure, Pair, Placing, Verdict, load
from gramr2.evaluation.metrics import length_baseline
from gramr2.judging.judge import Orders
from gramr2.judging.preference import PreferenceModel, Ties, decided
from gramr2.judgment import Decision
from gramr2.loading import load_judge
from gramr2.rewards.benchmarks import accuracy_of, answer, longest_pairs, picks_of, report, work
from gramr2.rewards.tournaments import tournament

Write = Callable[..., str]
N = 300


class Oracle:
    """Knows the right responses by their texts: those with “good” in them. It cannot tell two of a kind apart."""

    id = "oracle"

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        margins = [5.0 * (("good" in c.responses[0]) - ("good" in c.responses[1])) for c in comparisons]
        return decided(comparisons, margins, Ties())


class Diverged:
    """Never decides."""

    id = "diverged"

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        return decided(comparisons, [math.nan] * len(comparisons), Ties())


def judge(name: str, orders: Orders = Orders.BOTH) -> PreferenceModel:
    """A scripted judge, with one vote in each order."""
    return load_judge(f"scripted:{name}", orders=orders).model


@pytest.fixture
def pairs(write: Write) -> LoadedBenchmark:
    """RewardBench with texts of many lengths."""
    rng = random.Random(0)
    subsets = ("alpacaeval-easy", "llmbar-natural", "donotanswer", "hep-go")
    rows = [
        {
            "id": i,
            "subset": subsets[i % 4],
            "prompt": f"Question {i}",
            "chosen": "good " + "x" * rng.randint(0, 40),
            "rejected": "bad " + "x" * rng.randint(0, 30),
        }
        for i in range(N)
    ]
    return load("rewardbench", write(*rows))


@pytest.fixture
def sets(write: Write) -> LoadedBenchmark:
    """RewardBench 2 with one right response among four, and Ties."""
    rows = [
        {
            "id": str(i),
            "subset": "Math",
            "prompt": f"Question {i}",
            "chosen": ["good"],
            "rejected": [f"bad {'x' * k}" for k in range(3)],
        }
        for i in range(60)
    ]
    ties = [
        {
            "id": f"{kind}:{i}",
            "subset": "Ties",
            "prompt": f"Question {i}",
            "chosen": [f"good {k}" for k in range(count)],
            "rejected": ["bad", "bad too"],
        }
        for i in range(3)
        for kind, count in (("ref", 1), ("tied", 3))
    ]
    return load("rewardbench2", write(*rows, *ties))


def overall(
    loaded: LoadedBenchmark, answers: Sequence[Verdict | Placing], policy: OnFailure | None = None
) -> float | None:
    """The overall score, by default under the public policy."""
    return loaded.benchmark.scores(loaded.items, answers)[policy or loaded.benchmark.policy].values["overall"]


def test_an_oracle_is_always_right(pairs: LoadedBenchmark, sets: LoadedBenchmark) -> None:
    # In Ties, right answers with one score and ahead have the largest margin, which counts 0.01 more.
    for loaded, most in ((pairs, 1.0), (sets, (1.0 + 1.01) / 2)):
        answered = answer(loaded.items, Oracle())
        for score in loaded.benchmark.scores(loaded.items, answered.answers).values():
            assert score.values["overall"] == pytest.approx(most)
            assert score.coverage == 1.0
    accuracy = accuracy_of(pairs.items, answer(pairs.items, Oracle()))
    assert accuracy is not None and (accuracy.n, accuracy.accuracy, accuracy.coverage) == (N, 1.0, 1.0)
    picks = picks_of(sets.items, answer(sets.items, Oracle()))
    assert picks is not None and picks.n == 66
    # Ties with three right responses have no first place of its own.
    assert picks.accuracy == pytest.approx(63 / 66)
    assert picks.shared == pytest.approx(3 / 66)


def test_always_a_gets_half_in_both_orders_and_its_share_of_seeded_places_in_one(pairs: LoadedBenchmark) -> None:
    both = answer(pairs.items, judge("always-a"))
    assert {(v.orders, v.label) for v in both.answers if isinstance(v, Verdict)} == {((Label.A, Label.B), Label.TIE)}
    assert overall(pairs, both.answers) == pytest.approx(0.5)
    one = answer(pairs.items, judge("always-a", Orders.FIRST))
    share = sum(item.label is Label.A for item in pairs.items if isinstance(item, Pair)) / N
    counted = accuracy_of(pairs.items, one)
    assert counted is not None and counted.accuracy == pytest.approx(share)
    assert counted.low is not None and counted.high is not None and counted.low < 0.5 < counted.high
    tied = accuracy_of(pairs.items, both)
    assert tied is not None and tied.accuracy == 0.0, "a tie is never half a right answer"


def test_always_a_cannot_tell_one_response_of_a_set_from_another(sets: LoadedBenchmark) -> None:
    answered = answer(sets.items, judge("always-a"))
    values = sets.benchmark.scores(sets.items, answered.answers)[OnFailure.WRONG].values
    assert values["Math"] == pytest.approx(0.25)
    assert values["Ties"] == pytest.approx(0.0)
    picks = picks_of(sets.items, answered)
    assert picks is not None and (picks.accuracy, picks.shared, picks.coverage) == (0.0, 1.0, 1.0)
    assert picks.chance == pytest.approx((60 * 0.25 + 3 / 3 + 3 * 3 / 5) / 66)


def test_the_longer_one_is_the_length_baseline(pairs: LoadedBenchmark) -> None:
    answered = answer(pairs.items, judge("longer"))
    counted = accuracy_of(pairs.items, answered)
    assert counted is not None and counted.accuracy == pytest.approx(length_baseline(pairs.labeled))
    assert 0.5 < counted.accuracy < 0.8
    assert [a.orders for a in answered.answers if isinstance(a, Verdict)] == [
        a.orders for a in answer(pairs.items, load_judge("longer").model).answers if isinstance(a, Verdict)
    ]


def test_a_coin_is_within_its_interval_of_one_half(pairs: LoadedBenchmark) -> None:
    accuracies, inside = [], 0
    for seed in range(20):
        counted = accuracy_of(pairs.items, answer(pairs.items, judge("random", Orders.FIRST), seed=seed))
        assert counted is not None and counted.accuracy is not None
        assert counted.low is not None and counted.high is not None
        accuracies.append(counted.accuracy)
        inside += counted.low < 0.5 < counted.high
    assert abs(sum(accuracies) / 20 - 0.5) < 3 * math.sqrt(0.25 / (20 * N))
    assert inside >= 17
    first, again, other = (answer(pairs.items, judge("random"), seed=seed).answers for seed in (1, 1, 2))
    assert first == again != other
    found = overall(pairs, first)
    assert found is not None and abs(found - 0.5) < 0.1


def test_a_judge_that_fails_is_not_wrong_but_left_out(pairs: LoadedBenchmark, sets: LoadedBenchmark) -> None:
    answered = answer(pairs.items, Diverged())
    scores = pairs.benchmark.scores(pairs.items, answered.answers)
    found = {policy: score.values["overall"] for policy, score in scores.items()}
    assert found == {OnFailure.WRONG: 0, OnFailure.HALF: 0.5, OnFailure.DRAWN: 0.5, OnFailure.LEFT_OUT: None}
    assert {score.coverage for score in scores.values()} == {0.0}
    of_sets = answer(sets.items, Diverged())
    assert overall(sets, of_sets.answers, OnFailure.LEFT_OUT) is None
    values = sets.benchmark.scores(sets.items, of_sets.answers)[OnFailure.HALF].values
    assert (values["Math"], values["Ties"]) == (0.25, pytest.approx(-0.01))
    picks = picks_of(sets.items, of_sets)
    assert picks is not None and (picks.ranked, picks.accuracy, picks.coverage) == (0, None, 0.0)


def test_pairs_and_sets_of_one_benchmark_are_asked_together_and_counted(write: Write) -> None:
    def reply(text: str) -> dict[str, str]:
        return {"answer": text}

    turns = [{"role": "user", "content": "Hi"}]
    goal = {"conversation_input": turns, "category_path": "X/Helpfulness/Chat"}
    rows = [
        goal | {"bon_uid": "1", "bon_best": reply("good"), "loser_list": [reply("bad"), reply("worse")]},
        goal | {"pair_uid": "1", "chosen": reply("good"), "reject": reply("bad")},
        goal | {"bon_uid": "2", "bon_best": reply("good"), "loser_list": [reply("good too"), reply("worse")]},
    ]
    loaded = load("rmb", write(*rows))
    assert work(loaded.items) == 3 + 1 + 3
    assert work(loaded.items, tournament("knockout")) == 2 + 1 + 2
    steps: list[tuple[int, int]] = []
    answered = answer(loaded.items, Oracle(), progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (7, 7)
    assert steps == sorted(steps)
    assert [type(each).__name__ for each in answered.answers] == ["Placing", "Verdict", "Placing"]
    values = loaded.benchmark.scores(loaded.items, answered.answers)[OnFailure.WRONG].values
    # The oracle sees no difference between the best response and the second of the last set.
    assert values == {"Helpfulness best-of-n": 0.5, "Helpfulness pairwise": 1.0, "overall": 0.75}


def test_copies_of_one_response_need_no_comparison(write: Write) -> None:
    row = {"query": {"content": "Hi"}, "responses": [{"content": "good", "metadata": {"score": 0.5}}]}
    loaded = load("jetts", write(row))
    assert work(loaded.items) == 0
    answered = answer(loaded.items, Oracle())
    assert overall(loaded, answered.answers) == 0.5
    assert picks_of(loaded.items, answered) is not None
    assert accuracy_of(loaded.items, answered) is None


def test_the_report_has_the_keys_of_eval_and_the_official_score_under_each_policy(
    pairs: LoadedBenchmark, sets: LoadedBenchmark, write: Write
) -> None:
    found = json.loads(json.dumps(report(pairs, answer(pairs.items, judge("longer")))))
    first = ["benchmark", "version", "n", "accuracy", "low", "high", "order_flip_rate", "coverage"]
    assert list(found)[:8] == first
    assert (found["benchmark"], found["n"], found["items"], found["of"]) == ("rewardbench", N, N, N)
    assert found["accuracy"] == found["longer_response_accuracy"] == found["pairs"]["accuracy"]
    assert found["official"] == found["policies"]["half"]
    assert found["official_low"] < found["official"]["overall"] < found["official_high"]
    assert set(found["policies"]) == {"wrong", "half", "drawn", "left-out"}
    assert "math-prm" in found["missing"]
    of_sets = report(sets, answer(sets.items, Oracle()))
    assert (of_sets["n"], of_sets["accuracy"], of_sets["pairs"]) == (66, of_sets["sets"]["accuracy"], None)
    row = {"instruction": "Hi", "output_1": "base", "output_2": "mine", "generator_2": "new"}
    loaded = load("alpaca-eval", write(row))
    of_policy = report(loaded, answer(loaded.items, judge("always-a")))
    assert (of_policy["n"], of_policy["accuracy"], of_policy["official"]["win rate"]) == (1, None, 0.5)


def test_the_longest_pair_of_each_item_is_checked_against_the_context(
    pairs: LoadedBenchmark, sets: LoadedBenchmark
) -> None:
    (pair,) = longest_pairs(pairs.items[:1])
    assert pair.id == pairs.items[0].id
    (longest,) = longest_pairs(sets.items[:1])
    assert longest.responses == ("bad x", "bad xx")
