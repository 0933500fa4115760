"""A labelling session of a person in Chromium, from the first comparison to the last, through a killed server.

pytest -m web tests/web/test_browser_session.py --trace-to session.zip; playwright show-trace session.zip
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from windows import check, started, sync_api, windows

from gramr2.data import load_labeled

pytestmark = pytest.mark.web
COUNT = 40
SKIPPED, TIED, REASONED, UNDONE, KILLED = {9, 22}, {4, 13, 31}, {6, 17, 28}, {5, 11, 12, 30}, {15, 33}
"""turns, by what happens in them; those undone are answered again, and first wrongly"""


def truth(number: int) -> str:
    return "skip" if number in SKIPPED else "tie" if number in TIED else "AB"[number % 2]


def rows() -> list[dict[str, Any]]:
    """Sums, of which one response or both are right."""
    found = []
    for number in range(COUNT):
        right, wrong = f"It is {2 * number}.", f"It is {2 * number + 1}."
        told = truth(number)
        pair = [right, f"{2 * number}"] if told == "tie" else [right, wrong] if told != "B" else [wrong, right]
        found.append({"id": f"sum-{number}", "prompt": f"What is {number} + {number}?", "responses": pair})
    return found


@contextmanager
def serving(words: list[str], end: signal.Signals) -> Iterator[None]:
    """``gramr2 ui`` until the end of the block, which this signal makes."""
    command = [sys.executable, "-m", "gramr2.cli.main", "ui", *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            assert any("listening on" in line for line in process.stderr)
            yield
        finally:
            process.send_signal(end)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Person:
    """Knows the sums, and answers by keys."""

    def __init__(self, page: Any) -> None:
        self.page = page

    @property
    def number(self) -> int:
        return int(re.findall(r"\d+", self.page.inner_text("#prompt"))[0])

    def key(self, number: int) -> str:
        told = truth(number)
        left = self.page.inner_text("#a").strip()
        return {"skip": "s", "tie": "t"}.get(told) or ("a" if left == f"It is {2 * number}." else "b")

    def press(self, key: str, message: str) -> None:
        """Press a key and wait until the page shows what became of it."""
        before = self.page.inner_text("#counts")
        self.page.keyboard.press(key)
        sync_api.expect(self.page.locator("#counts")).not_to_have_text(before)
        sync_api.expect(self.page.locator("#message")).to_have_text(message)

    def answer(self, turn: int) -> None:
        number = self.number
        key = self.key(number)
        told = {"a": "Saved: A is better.", "b": "Saved: B is better.", "t": "Saved: a tie.", "s": "Saved: skipped."}
        if turn in UNDONE:
            self.press("b" if key == "a" else "a", told["b" if key == "a" else "a"])
            self.press("u", "The last answer is taken back.")
            assert self.number == number, "it is asked again"
        if turn in REASONED:
            self.page.keyboard.press("r")
            self.page.keyboard.type(f"Response {key.upper()} abuts the sum {number}.")
            self.page.keyboard.press("Escape")
        self.press(key, told[key])


@pytest.mark.timeout(600)
def test_a_whole_session_survives_a_killed_server(
    tmp_path: Path, write: Callable[..., str], request: pytest.FixtureRequest
) -> None:
    out, port = tmp_path / "labels.jsonl", free_port()
    words = [write(*rows()), "--label", str(out), "--annotator", "Ann", "--port", str(port)]
    reasons: dict[int, str] = {}
    trace = request.config.getoption("--trace-to")
    with started() as chromium, windows(chromium, trace, "ERR_CONNECTION_REFUSED") as opened:
        page, turn = None, 0
        for until in [*sorted(KILLED), COUNT]:
            with serving(words, signal.SIGKILL if until < COUNT else signal.SIGINT):
                page = page or opened(f"http://127.0.0.1:{port}/label")
                page.wait_for_selector("#work:not([hidden])")
                person = Person(page)
                while turn < until:
                    number = person.number
                    person.answer(turn)
                    if turn in REASONED and truth(number) not in ("skip",):
                        reasons[number] = truth(number)
                    turn += 1
                if until == COUNT:
                    sync_api.expect(page.locator("#end")).to_be_visible()
                    check(page)
            if until < COUNT:
                # The window stays open, and says what is wrong; the answer is given again once the server is back.
                page.keyboard.press(person.key(person.number))
                sync_api.expect(page.locator("#message")).to_contain_text("is it still running?")
    items, _ = load_labeled(str(out))
    labels = {int(item.comparison.id.removeprefix("sum-").removesuffix("/Ann")): item for item in items}
    assert {number: item.label.value for number, item in labels.items()} == {
        number: truth(number) for number in range(COUNT) if truth(number) != "skip"
    }
    for number, told in reasons.items():
        reason = labels[number].rationale
        assert reason is not None and reason.endswith(f"abuts the sum {number}.")
        if told != "tie":
            assert reason.startswith(f"Response {told} "), "it names the response of the data, wherever that was shown"
    assert sum(item.rationale is not None for item in items) == len(reasons) > 0
    events = Counter(json.loads(line)["event"] for line in (tmp_path / "labels.jsonl.log").read_text().splitlines())
    assert events == {"label": COUNT - len(SKIPPED) + len(UNDONE), "skip": len(SKIPPED), "undo": len(UNDONE)}
