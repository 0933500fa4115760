"""Group rewards on scripted judges: who is compared, what a failure becomes, and what chance may depend on."""

from __future__ import annotations

import pytest

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label, Message
from gramr2.errors import DataError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted, verdict_text
from gramr2.judging.template import extract
from gramr2.judgment import FinishReason
from gramr2.rewards.groups import Group, ReferenceReward, SiblingReward, WinRateReward
from gramr2.rewards.tournaments import Budget

ONCE = Sampling(votes=1, temperature=0)
LONGER = Judge(scripted("longer"), sampling=ONCE)
FIRST = Judge(scripted("always-a"), sampling=ONCE)


def group(*lengths: int, prompt: str = "Say x.", reference: str | None = None) -> Group:
    return Group((Message("user", prompt),), tuple("x" * length for length in lengths), reference)


def fails_on(length: int) -> Judge:
    """Prefers the longer response and breaks down where one has this length."""

    def answer(request: GenerationRequest, seed: int) -> Completion | str:
        _, a, b = extract(request.messages)
        if length in (len(a), len(b)):
            return Completion("", FinishReason.ERROR, error="out of memory")
        return verdict_text(Label.A if len(a) > len(b) else Label.B)

    return Judge(ScriptedBackend(answer), sampling=ONCE)


def test_against_a_reference() -> None:
    groups = [group(1, 3, 3, 5, reference="xxx"), group(2, prompt="Say more.", reference="x")]
    assert ReferenceReward(LONGER)(groups) == [[0.0, 0.5, 0.5, 1.0], [1.0]]
    assert ReferenceReward(FIRST)([group(1, 4, reference="xx")]) == [[0.5, 0.5]]
    assert ReferenceReward(fails_on(4))([group(1, 4, reference="xx")]) == [[0.0, None]]
    with pytest.raises(DataError, match="add a reference column"):
        ReferenceReward(LONGER)([group(1, 2)])


def test_the_share_of_siblings_beaten() -> None:
    assert WinRateReward(LONGER)([group(1, 5, 3), group(2, 2)]) == [[0.0, 1.0, 0.5], [0.5, 0.5]]
    assert WinRateReward(FIRST)([group(1, 2, 3)]) == [[0.5, 0.5, 0.5]]
    # The copies of one text meet the others once.
    assert WinRateReward(LONGER)([group(1, 1, 4)]) == [[0.0, 0.0, 1.0]]
    assert WinRateReward(fails_on(3))([group(1, 3, 5)]) == [[0.0, None, 1.0]]
    with pytest.raises(DataError, match="2 to 64"):
        WinRateReward(LONGER)([group(1)])


def test_with_a_budget_rewards_are_chances_against_an_average_sibling() -> None:
    (rewards,) = WinRateReward(LONGER, Budget(8))([group(1, 6, 2, 5, 3, 4)])
    known = [each for each in rewards if each is not None]
    assert len(known) == 6
    assert all(0 < each < 1 for each in known)
    assert rewards.index(max(known)) == 1
    assert rewards.index(min(known)) == 0


def test_a_sibling_by_lot() -> None:
    rewards = [SiblingReward(LONGER, 1.0)([group(1, 2, 3, 4, prompt=f"Say {i}.")])[0] for i in range(40)]
    siblings = [each.index(0.0) for each in rewards]
    assert set(siblings) == {0, 1, 2, 3}
    for each, place in zip(rewards, siblings, strict=True):
        assert each == [-1.0 if i < place else 1.0 if i > place else 0.0 for i in range(4)]
    # What the orders contradict each other on is not a win.
    assert set(SiblingReward(FIRST, 1.0)([group(1, 2, 3)])[0]) == {0.0, -1.0}


def test_a_group_that_wins_or_loses_as_a_whole_has_no_rewards() -> None:
    rewards = [SiblingReward(LONGER)([group(1, 2, 3, 4, 5, prompt=f"Say {i}.")])[0] for i in range(40)]
    for each in rewards:
        assert each == [None] * 5 or abs(sum(value or 0.0 for value in each)) / 5 <= 0.6
    assert [None] * 5 in rewards
    assert any(None not in each for each in rewards)


def test_a_failure_is_no_reward() -> None:
    found = [SiblingReward(fails_on(3), 1.0)([group(1, 2, 3, prompt=f"Say {i}.")])[0] for i in range(20)]
    assert any(each[2] is None and each[0] is not None for each in found)
    assert all(each[:2] == [None, None] for each in found if each[2] == 0.0)  # the sibling is the one that fails


@pytest.mark.parametrize("reward", [ReferenceReward, WinRateReward, SiblingReward])
def test_nothing_depends_on_the_batch(reward: type) -> None:
    judge = Judge(scripted("random"), sampling=Sampling(votes=3))
    groups = [group(1, 2, 3, 4, prompt=f"Say {i}.", reference="xx") for i in range(6)]
    together = reward(judge)([*groups, *groups])
    assert together[:6] == together[6:]
    assert together[:6] == [reward(judge)([each])[0] for each in groups]
