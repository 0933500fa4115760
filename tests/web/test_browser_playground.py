"""The playground in Chromium while the judge writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from listening import listening
from speaking import Speaking, held, speaking
from windows import Open, check, started, sync_api, windows

from gramr2.errors import ModelError
from gramr2.serving.model import Model
from gramr2.web.app import ui_app

pytestmark = pytest.mark.web


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with started() as browser:
        yield browser


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    with windows(chromium) as opened:
        yield opened


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_rationales_appear_while_the_judge_writes(open_page: Open, width: int, scheme: str) -> None:
    go, pause = held(6)
    with listening(ui_app(model=Model(lambda: speaking(pause)))) as address:
        page = open_page(address, width, scheme)
        sync_api.expect(page.locator("#judge")).to_have_text("speaking")
        page.click("#judge-it")
        orders = page.locator(".order")
        for number in (1, 2):
            # Two votes in each order, side by side.
            sync_api.expect(orders.nth(number - 1).locator(".vote .text")).to_have_text(
                [f"Response {number} is short, and"] * 2
            )
        assert page.inner_text("#result-title") == "The judge is writing …"
        assert page.evaluate("document.activeElement.id") == "result-title"
        assert "is better" not in page.inner_text("#result")
        assert (
            page.evaluate(
                "[...document.querySelectorAll('[aria-live], [role=status]')].some(each => each.closest('#result'))"
            )
            is False
        )
        assert page.get_attribute("#result", "aria-busy") == "true"
        check(page)
        go.set()
        sync_api.expect(page.locator("#result-title")).to_have_text("Response 1 is better")
        sync_api.expect(page.locator("#message")).to_contain_text("Response 1 is better. Answered in")
        assert page.evaluate("document.activeElement.id") == "result-title"
        assert page.get_attribute("#result", "aria-busy") is None
        assert page.is_hidden("#stop")
        assert all("<longer> than it" in each for each in page.locator(".vote").all_inner_texts())
        check(page)


def test_stop_ends_the_judging(open_page: Open) -> None:
    judge = speaking(lambda words: time.sleep(0.1))
    with listening(ui_app(model=Model(lambda: judge))) as address:
        page = open_page(address)
        page.click("#judge-it")
        page.wait_for_selector(".vote .text")
        page.click("#stop")
        sync_api.expect(page.locator("#message")).to_have_text("Stopped.")
        assert page.inner_text("#result-title") == "The judge did not finish"
        assert page.evaluate("document.activeElement.id") == "judge-it"
        assert isinstance(judge.backend, Speaking)
        assert judge.backend.ended.wait(10)
        page.click("#judge-it")
        sync_api.expect(page.locator("#result-title")).to_have_text("Response 1 is better")


def test_an_error_while_the_judge_writes_is_one_sentence(open_page: Open) -> None:
    def pause(words: int) -> None:
        if words > 5:
            raise ModelError("the card is full")

    with listening(ui_app(model=Model(lambda: speaking(pause)))) as address:
        page = open_page(address)
        page.click("#judge-it")
        sync_api.expect(page.locator("#message")).to_have_text("The card is full.")
        assert page.inner_text("#result-title") == "The judge did not finish"
        assert "Response 1 is short" in page.inner_text("#result")
        check(page)


def test_a_ranking_tells_how_far_it_is(open_page: Open) -> None:
    with listening(ui_app(model=Model(speaking, batch=1))) as address:
        page = open_page(address)
        sync_api.expect(page.locator("#judge")).to_have_text("speaking")
        page.evaluate(
            "new MutationObserver(() => (window.told ??= new Set()).add(document.querySelector('#ranking .muted')?.textContent))"
            ".observe(document.getElementById('ranking'), {subtree: true, childList: true, characterData: true})"
        )
        for _ in range(2):
            page.click("#add")
            page.keyboard.type("Another.")
        page.click("#judge-it")
        page.wait_for_selector("#ranking table")
        told = page.evaluate("[...window.told]")
        assert "0 of 3 pairs" in told and "3 of 3 pairs" in told, "copies are compared once"
        assert page.inner_text("#message").startswith("Response 1 is best. Answered in")
