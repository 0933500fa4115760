"""A probe ends in time, and measures steps that can be compared."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from conftest import make
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Label, LabeledComparison
from gramr2.config import parse_config
from gramr2.config.training import TrainingConfig
from gramr2.judging.judge import Progress
from gramr2.selftraining.cost.probe import SECONDS, _Probe, _short, _typical
from gramr2.selftraining.cost.sizes import Lengths
from gramr2.selftraining.cost.stages import Kind, Learnt, Stage
from gramr2.selftraining.run.data import RunData


def seen_by(begun: float, pause: float) -> tuple[list[int], float, float]:
    """The steps of a training of ten that a probe sees, tokens a second, and seconds beside the steps."""
    seen: list[int] = []

    def train(watch: Progress) -> None:
        time.sleep(0.1)
        for done in range(1, 11):
            time.sleep(pause)
            seen.append(done)
            watch(done, 10)

    probe = object.__new__(_Probe)
    probe.begun, probe.clock = begun, time.monotonic
    return seen, *probe._steps(train, 40.0)


def test_a_training_is_stopped_when_the_time_is_over() -> None:
    now = time.monotonic()
    assert seen_by(now - SECONDS - 1, 0.01)[0] == [1]
    assert seen_by(now - SECONDS + 0.4, 0.1)[0] == [1, 2], "eight more take longer than is left"
    seen, rate, beside = seen_by(now, 0.02)
    assert seen == [*range(1, 11)]
    assert 100 < rate <= 2000
    assert 0.05 < beside < 2


def test_a_run_that_judges_with_vllm_is_measured_without_it(tmp_path: Path) -> None:
    model = {"name": "tiny-random", "backend": "vllm"}
    config = parse_config({"model": model, "data": {"seed": "x", "gold": "starter:gold"}, "rounds": 0})
    gold = (LabeledComparison(make("g"), Label.A),)
    notes: list[str] = []
    probe = _Probe(config, RunData((), (), gold, {}), (), tmp_path, notes.append, time.monotonic)
    assert isinstance(probe._open(), TransformersBackend)
    assert notes == ["judging is measured with transformers, not with vllm"]


def test_a_training_is_measured_with_rationales_that_are_yet_to_be_written() -> None:
    probe = object.__new__(_Probe)
    stage = Stage(
        "", Kind.TRAIN, 1, "round 0", (), (Learnt(1, Lengths(60, 3600), 40.0), Learnt(1, Lengths(20, 400), 3.0))
    )
    own = LabeledComparison(make("a"), Label.A, "why")
    bare = LabeledComparison(make("b"), Label.B)
    data = {"seed": "x", "gold": "y"}
    for rationale, words in (({}, None), ({"own_for_seed": 2}, 40), ({"source": "proving"}, 40)):
        probe.config = parse_config({"model": "none", "data": data, "rounds": 0, "rationale": rationale})
        assert probe._as_learnt(own, stage) is own
        found = probe._as_learnt(bare, stage).rationale
        assert (found and len(found.split())) == words
    probe.config = parse_config({"model": "none", "data": data, "rounds": 0, "judge": {"mode": "label"}})
    assert probe._as_learnt(bare, stage) is bare


def test_a_slow_machine_takes_smaller_steps() -> None:
    probe = object.__new__(_Probe)
    probe.config = parse_config({"model": "none", "data": {"seed": "x", "gold": "y"}, "rounds": 0})
    probe.begun, probe.clock = 0.0, lambda: SECONDS - 40.0
    assert probe._affordable(8, 400.0, 1e6) == 8
    assert probe._affordable(8, 400.0, 500.0) == 2, (
        "28 s of reading at 500 tokens a second are 2.9 examples in four steps"
    )
    assert probe._affordable(8, 400.0, 1.0) == 1
    short = _short(TrainingConfig(batch_size=8, micro_batch_size=4, soup=3), 2)
    assert (short.batch_size, short.micro_batch_size, short.soup, short.epochs_for(8)) == (2, 2, 1, 1)


def test_steps_are_of_comparisons_of_typical_length() -> None:
    items = [make(str(size), "x" * size, "y") for size in (1, 50, 54, 400, 20)]
    assert [each.id for each in _typical(items, 2, lambda item: item)] == ["54", "50"]
    assert len(_typical(items, 12, lambda item: item)) == 12, "again, if there are fewer"
    with pytest.raises(ValueError, match="mean"):
        _typical([], 1, lambda item: item)
