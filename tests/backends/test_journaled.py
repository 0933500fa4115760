"""What a journal keeps of a backend's answers, and what it asks again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import make
from gramr2.backends.base import (
    Completion,
    Decoding,
    Enough,
    GenerationRequest,
    Score,
    ScoreRequest,
    generate_in_stages,
    generate_until,
)
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.scripted import ScriptedBackend
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Message
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.judgment import FinishReason

PROMPT = (Message("user", "p"),)


class Scoring(ScriptedBackend):
    """Gives every text the same score."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        return [Score(-1.0, 1) for _ in requests]


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
    ("other", "asked"),
    [
        (request(1, 4), request(4)),
        (request(1, 2, text="q"), request(1, 2, text="q")),
        (request(1, 2, temperature=0.5), request(1, 2, temperature=0.5)),
        (request(2, 3), request(3)),
    ],
)
def test_another_request_or_seed_is_another_answer(other: GenerationRequest, asked: GenerationRequest) -> None:
    backend, journal = ScriptedBackend(answer, "m"), Journal()
    journaled = JournaledBackend(backend, journal)
    ask(journaled, request(1, 2))
    found = ask(journaled, other)
    assert [each.text for each in found[0]] == [answer(other, seed).text for seed in other.seeds]
    assert backend.requests == [request(1, 2), asked]


def test_another_model_is_another_answer(tmp_path: Path) -> None:
    other = ScriptedBackend(answer, "another")
    with Journal(tmp_path / "j") as journal:
        ask(JournaledBackend(ScriptedBackend(answer, "m"), journal), request(1))
        ask(JournaledBackend(other, journal), request(1))
    assert len(other.requests) == 1


NOW, FORMER = "m@111111111111-222222222222", "m@111111111111"


@pytest.mark.parametrize("checked", [False, True])
def test_what_an_earlier_version_kept_under_its_id_is_found_if_it_wrote_it(tmp_path: Path, checked: bool) -> None:
    file, asked = tmp_path / "j", (request(1, 2), request(3, text="q"))
    scores = [ScoreRequest(PROMPT, "x")]
    with Journal(file) as journal:
        old = JournaledBackend(Scoring(answer, FORMER), journal)
        found, scored = ask(old, *asked), old.score(scores)
    if not checked:
        file.write_text(re.sub(', "check": "[0-9a-f]{12}"}', "}", file.read_text()))
    with Journal(file) as journal:
        backend = Scoring(answer, NOW)
        again = JournaledBackend(backend, journal)
        assert (ask(again, *asked), again.score(scores)) == (found, scored)
        assert len(backend.requests) == (2 if checked else 0)


def test_what_an_earlier_version_kept_of_a_local_model_is_found(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = TransformersBackend(tiny_model, dtype="float32", device="cpu")
    former = re.sub("-[0-9a-f]{12}:float32$", ":float32", backend.id)
    assert former != backend.id
    file, asked = tmp_path / "j", (request(1, 2), request(3, text="q"))
    with Journal(file) as journal:
        found = ask(JournaledBackend(ScriptedBackend(answer, former), journal), *asked)
    file.write_text(re.sub(', "check": "[0-9a-f]{12}"}', "}", file.read_text()))
    monkeypatch.setattr(backend, "generate", lambda requests: pytest.fail("asked again"))
    with Journal(file) as journal:
        assert ask(JournaledBackend(backend, journal), *asked) == found


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
        def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
            for done, each in enumerate(super().generate(requests)):
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


class Local(ScriptedBackend):
    """Like a model of this process: an answer's digits depend on all that is asked with it."""

    chunk = 3

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        shape = len(requests), sum(len(each.seeds) for each in requests)
        for index, completions in super().generate(requests):
            yield index, [Completion(f"{each.text} in {shape}", each.finish_reason) for each in completions]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        self.scored = [*getattr(self, "scored", ()), list(requests)]
        return [Score(-float(len(requests)), 1) for _ in requests]


ASKED = [request(1, 2, text=text) for text in "abcdefgh"]


@pytest.mark.parametrize("kept", range(16))
def test_a_chunk_of_which_an_answer_is_missing_is_computed_again_whole(tmp_path: Path, kept: int) -> None:
    with Journal(tmp_path / "j") as journal:
        whole = ask(JournaledBackend(Local(answer, "m"), journal), *ASKED)
    lines = (tmp_path / "j").read_text().splitlines(keepends=True)
    assert len(lines) == 16
    (tmp_path / "j").write_text("".join(lines[:kept]))
    again = Local(answer, "m")
    with Journal(tmp_path / "j") as journal:
        assert ask(JournaledBackend(again, journal), *ASKED) == whole
    assert again.requests == ASKED[3 * (kept // 6) :]
    assert (tmp_path / "j").read_text().splitlines(keepends=True) == lines


def test_of_two_answers_to_one_question_the_first_stays() -> None:
    backend, journal = ScriptedBackend(lambda asked, seed: f"{len(backend.requests)}", "m"), Journal()
    journaled = JournaledBackend(backend, journal)
    first = ask(journaled, request(1), request(1))
    assert [found[0].text for found in first.values()] == ["1", "1"]
    assert ask(journaled, request(1), request(1)) == first


@pytest.mark.parametrize("chunk", [None, 3])
def test_scores_are_asked_for_once(monkeypatch: pytest.MonkeyPatch, chunk: int | None) -> None:
    monkeypatch.setattr(Local, "chunk", chunk)
    requests = [ScoreRequest(PROMPT, text) for text in "abcde"]
    backend, journal = Local(answer, "m"), Journal()
    journaled = JournaledBackend(backend, journal)
    first = journaled.score(requests[:4])
    assert journaled.score(requests[:4]) == first
    assert [len(part) for part in backend.scored] == ([3, 1] if chunk else [4])
    journaled.score(requests)
    assert backend.scored[-1] == (requests[3:] if chunk else requests[4:])
    assert journaled.score(requests)[:4] == first


def test_the_rest_is_the_backends() -> None:
    backend = ScriptedBackend(answer, "m", context_length=77)
    journaled = JournaledBackend(backend, Journal())
    assert (journaled.id, journaled.context_length, journaled.count_tokens(PROMPT, "a b")) == ("m", 77, 3)
    assert journaled.chunk is None
    assert journaled.score([ScoreRequest(PROMPT, "p")]) == backend.score([ScoreRequest(PROMPT, "p")])


class PatientScripted(ScriptedBackend):
    """A backend with chunks that counts what it is asked, and may die after some answers."""

    chunk = 4
    dies_after = 1000

    def generate_until(
        self, requests: Sequence[GenerationRequest], groups: Sequence[Sequence[int]], enough: Enough
    ) -> Iterator[tuple[int, list[Completion]]]:
        for count, found in enumerate(generate_in_stages(self, requests, groups, enough)):
            if count == self.dies_after:
                raise KeyboardInterrupt
            yield found


def until(backend: JournaledBackend, upto: dict[int, int]) -> dict[int, list[str]]:
    requests = [request(*range(8), text=f"p{i}") for i in range(6)]
    groups = [[0, 1], [2, 3], [4, 5]]
    found = generate_until(
        backend, requests, groups, lambda number, votes: len(votes[0]) >= upto.get(number, 8) and len(votes) == 2
    )
    return {i: [each.text for each in completions] for i, completions in found}


@pytest.mark.parametrize("dies_after", [0, 1, 3, 5])
def test_votes_that_stop_early_are_resumed_with_whole_chunks(tmp_path: Path, dies_after: int) -> None:
    with Journal(tmp_path / "whole") as journal:
        whole = until(JournaledBackend(PatientScripted(answer, "m"), journal), {0: 2, 1: 4})
    assert {i: len(each) for i, each in whole.items()} == {0: 2, 1: 2, 2: 4, 3: 4, 4: 8, 5: 8}
    dying = PatientScripted(answer, "m")
    dying.dies_after = dies_after
    with Journal(tmp_path / "j") as journal, suppress(KeyboardInterrupt):
        until(JournaledBackend(dying, journal), {0: 2, 1: 4})
    again = PatientScripted(answer, "m")
    with Journal(tmp_path / "j") as journal:
        assert until(JournaledBackend(again, journal), {0: 2, 1: 4}) == whole
    third = PatientScripted(answer, "m")
    with Journal(tmp_path / "j") as journal:
        assert until(JournaledBackend(third, journal), {0: 2, 1: 4}) == whole
    assert len(third.requests) == 0
    for name in ("whole", "j"):
        with Journal(tmp_path / name) as journal:
            assert len(journal) == 28


def test_without_chunks_only_what_is_missing_is_asked(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        until(JournaledBackend(ScriptedBackend(answer, "m"), journal), {0: 2, 1: 2, 2: 2})
        more = ScriptedBackend(answer, "m")
        found = until(JournaledBackend(more, journal), {0: 2, 1: 2, 2: 4})
    assert [len(found[i]) for i in range(6)] == [2, 2, 2, 2, 4, 4]
    assert [each.seeds for each in more.requests] == [(2, 3), (2, 3)]
