"""When a run of remote requests is hopeless."""

from __future__ import annotations

from gramr2.backends.breaker import CircuitBreaker


def test_a_dozen_failures_from_the_start_trip_it_whatever_the_reason() -> None:
    breaker = CircuitBreaker(12)
    assert [breaker.failed(of_prompt=True) for _ in range(12)] == [0] * 11 + [12]
    assert breaker.failed(of_prompt=True) == 0, "the next attempt has a dozen of its own"


def test_bad_prompts_never_trip_it_once_any_was_answered() -> None:
    breaker = CircuitBreaker(3)
    breaker.answered()
    assert {breaker.failed(of_prompt=True) for _ in range(50)} == {0}


def test_a_server_that_dies_trips_it_and_one_that_recovers_does_not() -> None:
    breaker = CircuitBreaker(3)
    breaker.answered()
    assert [breaker.failed(of_prompt=False) for _ in range(2)] == [0, 0]
    breaker.answered()
    assert [breaker.failed(of_prompt=False) for _ in range(3)] == [0, 0, 3]
