"""What a journal keeps of a backend's answers, and what it asks again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from conftest import make
from gramr2.backends.base import Completion, Decoding, GenerationRequest, ScoreRequest
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Message
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.judgment import FinishReason

PROMPT = (Message("user", "p"),)


def request(*seeds: int, text: str = "p", temperature: float = 1.0) -> GenerationRequest:
    return GenerationRequest((Message("user", text),), seeds, Decoding(temperature))


def answer(asked: GenerationRequest, seed: int) -> Completion:
    return Completion(f"{asked.messages[0].content} {seed}", FinishReason.CLOSED, {"A": -0.1, "B": -2.5}, 3, 4)


def ask(backend: JournaledBackend, *requests: GenerationRequest) -> dict[int, list[Completion]]:
    return dict(backend.generate(requests))


def test_an_answer_is_asked_for_once(tmp_path: Path) -> None:
    first, again = ScriptedBackend(answer, "m"), ScriptedBackend(answer, "m")
    requests = [request(1, 2), request(3, text="q")]
    with Journal(tmp_path / "j") as journal:
        found = ask(JournaledBackend(first, journal), *requests)
    assert [each.text for each in found[0]] == ["p 1", "p 2"]
    with Journal(tmp_path / "j") as journal:
        assert ask(JournaledBackend(again, journal), *requests) == found
    assert (len(first.requests), len(again.requests)) == (2, 0)


@pytest.mark.parametrize(
    "other", [request(1, 4), request(1, 2, text="q"), request(1, 2, temperature=0.5), request(2, 3)]
)
def test_another_request_is_another_answer(tmp_path: Path, other: GenerationRequest) -> None:
    """A request of which one seed is new is asked whole: a batch has the same shape after a stop."""
    backend = ScriptedBackend(answer, "m")
    with Journal(tmp_path / "j") as journal:
        journaled = JournaledBackend(backend, journal)
        ask(journaled, request(1, 2))
        ask(journaled, other)
    assert backend.requests == [request(1, 2), other]


def test_another_model_is_another_answer(tmp_path: Path) -> None:
    other = ScriptedBackend(answer, "another")
    with Journal(tmp_path / "j") as journal:
        ask(JournaledBackend(ScriptedBackend(answer, "m"), journal), request(1))
        ask(JournaledBackend(other, journal), request(1))
    assert len(other.requests) == 1


def test_what_failed_is_asked_again(tmp_path: Path) -> None:
    failed = ScriptedBackend(lambda *_: Completion("", FinishReason.ERROR, error="503"), "m")
    works = ScriptedBackend(answer, "m")
    with Journal(tmp_path / "j") as journal:
        assert ask(JournaledBackend(failed, journal), request(1))[0][0].error == "503"
        assert ask(JournaledBackend(works, journal), request(1))[0][0].text == "p 1"


def test_a_line_that_was_cut_off_is_asked_again(tmp_path: Path) -> None:
    file, backend = tmp_path / "j", ScriptedBackend(answer, "m")
    with Journal(file) as journal:
        ask(JournaledBackend(ScriptedBackend(answer, "m"), journal), request(1), request(2))
    file.write_bytes(file.read_bytes()[:-20])
    with Journal(file) as journal:
        assert ask(JournaledBackend(backend, journal), request(1), request(2))[1][0].text == "p 2"
    assert backend.requests == [request(2)]


def test_answers_are_kept_as_they_come(tmp_path: Path) -> None:
    class Breaks(ScriptedBackend):
        def generate(
            self, requests: Sequence[GenerationRequest], known: Collection[int] = ()
        ) -> Iterator[tuple[int, list[Completion]]]:
            for done, each in enumerate(super().generate(requests, known)):
                if done == 3:
                    raise RuntimeError("killed")
                yield each

    comparisons = [make(str(i), "a" * i, "bb") for i in range(6)]
    sampling = Sampling(votes=1, temperature=0)
    script = scripted("longer")._script
    whole = Judge(ScriptedBackend(script, "m"), sampling=sampling).judge(comparisons)
    with Journal(tmp_path / "j") as journal, pytest.raises(RuntimeError):
        Judge(JournaledBackend(Breaks(script, "m"), journal), sampling=sampling).judge(comparisons)
    rest = ScriptedBackend(script, "m")
    with Journal(tmp_path / "j") as journal:
        assert Judge(JournaledBackend(rest, journal), sampling=sampling).judge(comparisons) == whole
    assert len(rest.requests) == 12 - 3


def test_what_is_known_already_is_neither_asked_nor_told(tmp_path: Path) -> None:
    backend = ScriptedBackend(answer, "m")
    with Journal(tmp_path / "j") as journal:
        found = dict(JournaledBackend(backend, journal).generate([request(1), request(2)], {0}))
    assert list(found) == [1]


def test_the_rest_is_the_backends(tmp_path: Path) -> None:
    backend = ScriptedBackend(answer, "m", context_length=77)
    with Journal(tmp_path / "j") as journal:
        journaled = JournaledBackend(backend, journal)
        assert (journaled.id, journaled.context_length, journaled.count_tokens(PROMPT, "a b")) == ("m", 77, 3)
        assert journaled.score([ScoreRequest(PROMPT, "p")]) == backend.score([ScoreRequest(PROMPT, "p")])
