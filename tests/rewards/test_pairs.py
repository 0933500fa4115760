"""Pairs for preference training: the extremes of a ranking, and nothing where there are none."""

from __future__ import annotations

from gramr2.comparison import Message, ResponseSet
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.rewards.aggregation import Aggregation
from gramr2.rewards.pairs import preference_row
from gramr2.rewards.ranking import Ranking, rank

EACH = ResponseSet("s", (Message("system", "Be brief."), Message("user", "Say x.")), ("xx", "x", "xxxx", "xxx"))


def ranked(judge: str, each: ResponseSet = EACH) -> Ranking:
    sampling = Sampling(votes=1, temperature=0)
    return rank(Judge(scripted(judge), sampling=sampling), [each], aggregation=Aggregation.WIN_RATE)[0]


def test_the_best_and_the_worst() -> None:
    assert preference_row(EACH, ranked("longer")) == {
        "id": "s",
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say x."}],
        "chosen": [{"role": "assistant", "content": "xxxx"}],
        "rejected": [{"role": "assistant", "content": "x"}],
        "score_chosen": 1.0,
        "score_rejected": 0.0,
    }


def test_equals_and_small_differences_are_no_preference() -> None:
    assert preference_row(EACH, ranked("always-a")) is None
    assert preference_row(EACH, ranked("longer"), least=1.0) is not None
    assert preference_row(EACH, ranked("longer"), least=1.1) is None
    copies = ResponseSet("c", EACH.prompt, ("x", "x"))
    assert preference_row(copies, ranked("longer", copies)) is None
