"""Which comparisons a round takes: fresh ones, drawn by the seed or the easy ones first, and never others once they are drawn."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from contexts import Notes, context
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import Script
from gramr2.comparison import Comparison
from gramr2.judging.template import extract
from gramr2.judgment import FinishReason
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.pool import slice_of
from gramr2.testing import ScriptedEngine

JUDGE = Path("rounds/0/model")
NAMES = [f"n{i:02}" for i in range(10)]


def never(request: GenerationRequest, seed: int) -> str:
    raise AssertionError("nobody should be asked")


def run(
    path: Path, script: Script = never, *, names: list[str] = NAMES, observer: Notes | None = None, **curriculum: Any
) -> RunContext:
    seed = curriculum.pop("seed", 0)
    engine = ScriptedEngine(never, {"0": script})
    pool = [make(name) for name in names]
    return context(path, engine, observer, pool=pool, settings={"seed": seed, "curriculum": curriculum})


def ids(comparisons: list[Comparison]) -> list[str]:
    return [each.id for each in comparisons]


def test_without_a_curriculum_every_round_takes_the_whole_pool(tmp_path: Path) -> None:
    here = run(tmp_path)
    assert [slice_of(here, number, JUDGE) for number in (1, 2)] == [list(here.data.pool)] * 2
    assert not (tmp_path / "rounds").exists()


@settings(max_examples=25)
@given(st.integers(0, 12), st.integers(1, 5), st.integers(0, 3))
def test_the_rounds_part_the_pool_among_them(size: int, per_round: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = run(Path(folder), names=[f"n{i:02}" for i in range(size)], per_round=per_round, seed=seed)
        rounds = [ids(slice_of(here, number, JUDGE)) for number in range(1, size + 2)]
    full, rest = divmod(size, per_round)
    assert [len(each) for each in rounds if each] == [per_round] * full + [rest] * bool(rest)
    taken = [name for each in rounds for name in each]
    assert sorted(taken) == ids(list(here.data.pool))
    # A round's comparisons stand in the order of the pool.
    assert all(each == sorted(each) for each in rounds)


def test_the_draw_belongs_to_the_seed_and_the_ids_not_to_the_order_of_the_pool(tmp_path: Path) -> None:
    first = ids(slice_of(run(tmp_path / "a", per_round=4), 1, JUDGE))
    turned = ids(slice_of(run(tmp_path / "b", names=NAMES[::-1], per_round=4), 1, JUDGE))
    assert turned == first[::-1]
    others = {tuple(ids(slice_of(run(tmp_path / str(n), per_round=4, seed=n), 1, JUDGE))) for n in range(1, 6)}
    assert len(others | {tuple(first)}) > 3
    # Fewer a round are the first of those.
    assert set(ids(slice_of(run(tmp_path / "c", per_round=2), 1, JUDGE))) < set(first)


def test_what_was_drawn_stays_drawn(tmp_path: Path) -> None:
    first = ids(slice_of(run(tmp_path, per_round=4), 1, JUDGE))
    before = (tmp_path / "rounds/1/slice.json").read_bytes()
    # Another seed and another order would draw others, and ask for it.
    again = run(tmp_path, per_round=4, seed=5, order="easy_first")
    assert ids(slice_of(again, 1, JUDGE)) == first
    assert (tmp_path / "rounds/1/slice.json").read_bytes() == before
    # What is no longer in the pool is passed over, and nothing takes its place.
    smaller = run(tmp_path, names=[name for name in NAMES if name != first[0]], per_round=4)
    assert ids(slice_of(smaller, 1, JUDGE)) == first[1:]


def sure(levels: dict[str, float]) -> Script:
    """Prefers the longer response, with the confidence that is given for the prompt; at 0 it gives no verdict."""

    def script(request: GenerationRequest, seed: int) -> Completion:
        prompt, a, b = extract(request.messages)
        level = levels[prompt.removeprefix("Prompt of ")]
        if not level:
            return Completion("no verdict", FinishReason.STOP)
        chances = (level, 1 - level) if len(a) > len(b) else (1 - level, level)
        logs = {"A": math.log(chances[0]), "B": math.log(chances[1]), "tie": math.log(1e-9)}
        return Completion(f"<answer>{'A' if len(a) > len(b) else 'B'}</answer>", FinishReason.STOP, logs)

    return script


def test_easy_ones_come_first_and_what_gets_no_verdict_last(tmp_path: Path) -> None:
    levels = dict(zip("abcdef", (0.6, 0.95, 0.7, 0.0, 0.9, 0.8), strict=True))
    here = run(tmp_path, sure(levels), names=list("abcdef"), per_round=2, order="easy_first")
    assert [ids(slice_of(here, number, JUDGE)) for number in (1, 2, 3)] == [["b", "e"], ["c", "f"], ["a", "d"]]
    # On the disk they stand as they were taken.
    files = [json.loads((tmp_path / f"rounds/{number}/slice.json").read_text()) for number in (1, 2, 3)]
    assert files == [["b", "e"], ["f", "c"], ["a", "d"]]


def test_ease_is_asked_of_what_is_left_without_a_rationale_and_in_both_orders(tmp_path: Path) -> None:
    asked: list[GenerationRequest] = []
    script = sure(dict.fromkeys("abcde", 0.9))

    def counted(request: GenerationRequest, seed: int) -> Completion | str:
        asked.append(request)
        return script(request, seed)

    observer = Notes()
    here = run(tmp_path, counted, names=list("abcde"), observer=observer, per_round=3, order="easy_first")
    left = set("abcde") - set(ids(slice_of(here, 1, JUDGE)))
    assert sorted(extract(request.messages)[:2] for request in asked) == sorted(
        (f"Prompt of {name}", a) for name in "abcde" for a in ("short", "a longer one")
    )
    assert {(request.prefill, request.decoding.temperature, len(request.seeds)) for request in asked} == {
        ("<answer>", 0.0, 1)
    }
    asked.clear()
    # By another judge, whose answers are not known yet.
    here.engine.scripts["1"] = counted  # type: ignore[attr-defined]
    assert set(ids(slice_of(here, 2, Path("rounds/1/model")))) == left
    assert {extract(request.messages)[0] for request in asked} == {f"Prompt of {name}" for name in left}
    # Nothing is left to ask about.
    assert slice_of(here, 3, Path("rounds/2/model")) == []
    assert [title.split(" of ")[1].split()[0] for title in observer.titles] == ["5", "2"]


@pytest.mark.parametrize("level", [0.0, 0.8])
def test_equally_easy_ones_are_drawn_like_any_others(tmp_path: Path, level: float) -> None:
    easy = run(tmp_path / "easy", sure(dict.fromkeys(NAMES, level)), per_round=4, order="easy_first")
    random = run(tmp_path / "random", per_round=4)
    for number in (1, 2, 3):
        assert slice_of(easy, number, JUDGE) == slice_of(random, number, JUDGE)
