"""Scores of published decisions, and of judges whose score theory knows, on the real data where they are."""

from __future__ import annotations

import json

import pytest

from conftest import SHARED
from gramr2.comparison import Label
from gramr2.evaluation.benchmarks import OnFailure, Pair, Verdict, load

SOURCES = SHARED / "benchmarks"
pytestmark = pytest.mark.skipif(not SOURCES.is_dir(), reason=f"the real data are not here ({SOURCES})")
LABELS = {"A>B": Label.A, "B>A": Label.B}


def test_the_published_decisions_of_skywork_8b_give_its_published_scores() -> None:
    loaded = load("judgebench", SOURCES / "judgebench.jsonl")
    lines = (SOURCES / "judgebench_skywork8b_decisions.jsonl").read_text(encoding="utf-8").splitlines()
    decisions = {each["id"]: each for each in map(json.loads, lines)}
    items = [item for item in loaded.items if item.id in decisions]
    assert len(items) == len(decisions) == 350
    answers = []
    for item in items:
        first, second = (LABELS[said] for said in decisions[item.id]["decisions"])
        # The second decision is about the responses as they were shown, the other way round.
        answers.append(Verdict.of(first, second.swap()))
    found = loaded.benchmark.scores(items, answers)[loaded.benchmark.policy].values
    named = {
        name: round(100 * (found[name] or 0), 2) for name in ("knowledge", "reasoning", "math", "coding", "overall")
    }
    assert named == {"knowledge": 59.09, "reasoning": 64.29, "math": 76.79, "coding": 50.00, "overall": 62.29}


@pytest.mark.parametrize(
    ("name", "items", "missing"),
    [("hhh", 221, ()), ("judgebench", 619, ()), ("llmbar", 419, ()), ("rmbench", 9 * 798, ("math",))],
)
def test_the_copies_load_and_an_oracle_is_always_right(name: str, items: int, missing: tuple[str, ...]) -> None:
    loaded = load(name, SOURCES / f"{name}.jsonl")
    assert (len(loaded.items), loaded.missing) == (items, missing)
    truths = [item.label for item in loaded.items if isinstance(item, Pair) and item.label]
    right = loaded.benchmark.scores(loaded.items, [Verdict.of(truth, truth) for truth in truths])
    assert {score.values["overall"] for score in right.values()} == {1.0}
    always_a = loaded.benchmark.scores(loaded.items, [Verdict.of(Label.A, Label.B)] * items)[OnFailure.WRONG].values
    # One order is right and one is wrong: half, and for JudgeBench not enough.
    assert always_a["overall"] == (0.0 if name == "judgebench" else 0.5)
