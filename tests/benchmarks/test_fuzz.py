"""A small part of the fuzzing: nothing hostile ends in a traceback, and a traceback or a hang is counted."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from random import Random

import fuzz
import fuzz_inputs
import pytest

from gramr2.errors import DataError


@pytest.mark.parametrize(("kind", "count"), [("rows", 300), ("files", 60), ("configs", 30), ("completions", 150)])
def test_nothing_hostile_ends_in_a_traceback(kind: str, count: int, tmp_path: Path) -> None:
    one = fuzz.KINDS[kind](tmp_path)
    fates = {number: fuzz.tried(one, Random(f"2 {kind} {number}")) for number in range(count)}
    assert {number: why for number, (_, why) in fates.items() if why} == {}
    assert {fate for fate, _ in fates.values()} == {fuzz.ACCEPTED, fuzz.REFUSED}


def test_the_server_answers_as_its_document_says() -> None:
    pytest.importorskip("schemathesis")
    from fuzz_server import requests

    fates = list(requests(2, 24))
    assert [why for _, why, _ in fates if why] == []
    assert len(fates) == 24


def test_the_same_number_is_the_same_input() -> None:
    assert json.dumps(fuzz_inputs.row(Random("7"))) == json.dumps(fuzz_inputs.row(Random("7")))
    assert fuzz_inputs.config(Random("7")) == fuzz_inputs.config(Random("7"))


def test_what_is_no_sentence_is_a_traceback() -> None:
    def raised(error: Exception) -> fuzz.Try:
        def one(rng: Random) -> str:
            def work() -> None:
                raise error

            return fuzz.asked(work)

        return one

    assert fuzz.tried(raised(DataError("it is bad: mend it")), Random()) == (fuzz.REFUSED, "")
    for error in (DataError("two\nlines"), DataError(""), DataError("x" * 3000), KeyError("a")):
        fate, why = fuzz.tried(raised(error), Random())
        assert (fate, type(error).__name__ in why) == (fuzz.TRACEBACK, True)


def test_hangs_and_ends_are_counted_and_the_next_input_is_tried() -> None:
    def followed(*said: object, end: bool = False) -> tuple[int, fuzz.Found]:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        for each in said:
            theirs.send(each)
        if end:
            theirs.close()
        found = fuzz.Found()
        return fuzz._follow(ours, found, 3, 9, 0.0), found

    again, found = followed(3, ("accepted", "", 0.1), 4)
    assert (again, dict(found.counts)) == (5, {"accepted": 1, "hang": 1})
    again, found = followed(3, ("refused", "", 0.2), 4, end=True)
    assert (again, dict(found.counts), found.slowest) == (5, {"refused": 1, "traceback": 1}, 0.2)
    assert "of input 4" in next(iter(found.failures.values()))
    again, found = followed(3, ("refused", "", 0.2), None)
    assert (again, found.failures) == (9, {})
