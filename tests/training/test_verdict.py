"""The verdict's loss on numbers alone: what it is for two labels, and that following the position cannot lower it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import logsigmoid

from gramr2.config.training import VerdictConfig
from gramr2.training.verdict import EXCHANGE, combined, cross_entropy, orders_of, stored_order, verdict_losses

PLAIN = VerdictConfig()
A, B = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
NEVER = -1e4
"""a logit that leaves no room for the label"""


def as_tensor(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def loss_of(logits: Tensor, target: Tensor, units: list[int], config: VerdictConfig = PLAIN) -> tuple[float, float]:
    loss, read = verdict_losses(logits, target.to(logits), *orders_of(units), config)
    return float(loss), float(read)


def own(logits: Tensor, target: Tensor) -> list[float]:
    return [float(each) for each in cross_entropy(logits, target.to(logits), 0.0)]


@pytest.mark.parametrize(("target", "y"), [(A, 1.0), (B, -1.0)])
def test_for_two_labels_it_is_the_logistic_loss_of_the_mean_margin(target: Tensor, y: float) -> None:
    seen = as_tensor((1.3, -0.4, NEVER), (0.2, 0.9, NEVER))
    stored = stored_order(seen, torch.tensor([False, True]))
    loss, read = loss_of(stored, target.repeat(2, 1), [7, 7])
    # (z_A − z_B)(a, b) and (z_A − z_B)(b, a), as the two prompts give them.
    m = 0.5 * ((1.3 + 0.4) - (0.2 - 0.9))
    logistic = -float(logsigmoid(torch.tensor(y * m, dtype=torch.float64)))
    assert read == pytest.approx(logistic)
    assert loss == pytest.approx(logistic + 0.5 * sum(own(stored, target.repeat(2, 1))))


@pytest.mark.parametrize(("tie", "chance"), [(NEVER, math.log(2)), (0.0, math.log(3))])
@given(position=st.floats(-6, 6), target=st.sampled_from([A, B]))
def test_following_the_position_is_no_better_than_chance(
    tie: float, chance: float, position: float, target: Tensor
) -> None:
    seen = as_tensor((position, -position, tie), (position, -position, tie))
    stored = stored_order(seen, torch.tensor([False, True]))
    _, read = loss_of(stored, target.repeat(2, 1), [0, 0])
    assert read == pytest.approx(chance)
    both = combined(stored[:1], stored[1:])
    assert float(both[0, 0]) == pytest.approx(float(both[0, 1]))


def test_its_gradient_pushes_only_what_both_orders_agree_on() -> None:
    seen = as_tensor((2.0, -1.0, 0.3), (0.5, 0.1, -0.2)).requires_grad_()
    stored = stored_order(seen, torch.tensor([False, True]))
    cross_entropy(combined(stored[:1], stored[1:]), A.double(), 0.0).sum().backward()
    assert seen.grad is not None
    first, second = seen.grad[0], seen.grad[1, list(EXCHANGE)]
    # A step along the gradient adds the same to both orders: nothing to the part that follows the position.
    assert torch.allclose(first, second)
    assert first[0] < 0 < first[1]


def test_exchanging_responses_and_target_changes_nothing() -> None:
    stored, target = as_tensor((2.0, -1.0, 0.3), (0.5, 0.1, -0.2)), as_tensor((0.6, 0.3, 0.1), (0.6, 0.3, 0.1))
    # The comparison stored the other way round: what was seen first is now seen second, and A is B.
    other = stored[:, list(EXCHANGE)].flip(0)
    assert loss_of(stored, target, [0, 0]) == pytest.approx(loss_of(other, target[:, list(EXCHANGE)], [0, 0]))


def test_smoothing_spreads_the_target() -> None:
    logits = as_tensor((2.0, -1.0, 0.3))
    spread = as_tensor((0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3))
    smoothed = loss_of(logits, A, [0], VerdictConfig(smoothing=0.2))[0]
    assert smoothed == pytest.approx(own(logits, spread)[0])
    assert smoothed > loss_of(logits, A, [0])[0]
    # All certainty is now too much.
    assert loss_of(as_tensor((9.0, 0.0, 0.0)), A, [0], VerdictConfig(smoothing=0.2))[0] > smoothed


def test_one_order_has_its_own_loss_alone_beside_pairs() -> None:
    logits = as_tensor((2.0, -1.0, 0.3), (0.5, 0.1, -0.2), (0.0, 1.0, 0.0))
    alone, read = loss_of(logits[:1], A, [5])
    assert alone == read == pytest.approx(own(logits[:1], A)[0])
    target = torch.cat([B, A, A])
    together, _ = loss_of(logits[1:], target[1:], [2, 2])
    assert loss_of(logits, target, [9, 2, 2])[0] == pytest.approx(together + own(logits[:1], B)[0])
    assert loss_of(logits[[1, 0, 2]], target[[1, 0, 2]], [2, 9, 2])[0] == pytest.approx(
        loss_of(logits, target, [9, 2, 2])[0]
    )


def test_without_symmetry_each_order_has_its_own() -> None:
    logits, target = as_tensor((2.0, -1.0, 0.3), (0.5, 0.1, -0.2), (0.0, 1.0, 0.0)), torch.cat([A, A, B])
    loss, read = loss_of(logits, target, [0, 0, 1], VerdictConfig(symmetric=False))
    each = own(logits, target)
    assert loss == pytest.approx((each[0] + each[1]) / 2 + each[2])
    # What is logged is what is read, in either case.
    assert read == pytest.approx(loss_of(logits, target, [0, 0, 1])[1])


logit = st.floats(-8, 8)
triple = st.tuples(logit, logit, logit)


@st.composite
def units(draw: st.DrawFn) -> tuple[Tensor, Tensor, list[int]]:
    """Verdicts of a few comparisons, each in one order or two, rows in any order."""
    rows: list[tuple[tuple[float, ...], tuple[float, ...], int]] = []
    for unit in range(draw(st.integers(1, 5))):
        mass = draw(st.tuples(*[st.floats(0.01, 1)] * 3))
        target = tuple(value / sum(mass) for value in mass)
        rows += [(draw(triple), target, unit) for _ in range(draw(st.integers(1, 2)))]
    rows = draw(st.permutations(rows))
    return as_tensor(*[r[0] for r in rows]), as_tensor(*[r[1] for r in rows]), [r[2] for r in rows]


@given(units(), st.floats(0, 0.9))
def test_no_loss_is_below_the_entropy_of_its_target(drawn: tuple[Tensor, Tensor, list[int]], smoothing: float) -> None:
    logits, target, ids = drawn
    spread = (1 - smoothing) * target + smoothing / 3
    entropy = -(spread * spread.log()).sum(-1)
    least = sum(float(entropy[ids.index(unit)]) for unit in set(ids))
    config = VerdictConfig(smoothing=smoothing)
    loss, read = loss_of(logits, target, ids, config)
    doubled = sum(float(entropy[ids.index(unit)]) for unit in set(ids) if ids.count(unit) == 2)
    assert read >= least - 1e-9
    assert loss >= least + doubled - 1e-9
    best, _ = loss_of(spread.log(), target, ids, config)
    assert best == pytest.approx(least + doubled)


@given(units(), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_rows_does_not_matter(
    drawn: tuple[Tensor, Tensor, list[int]], random: object, symmetric: bool
) -> None:
    logits, target, ids = drawn
    places = list(range(len(ids)))
    random.shuffle(places)  # type: ignore[attr-defined]
    config = VerdictConfig(symmetric=symmetric)
    moved = loss_of(logits[places], target[places], [ids[i] for i in places], config)
    assert moved == pytest.approx(loss_of(logits, target, ids, config))
