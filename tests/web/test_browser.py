"""The page in Chromium: by mouse, keys and touch, at phone and desk width, in both colour schemes, with axe-core's rules."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from listening import listening
from windows import LOOKS, Open, check, page_check, started, sync_api, windows

from gramr2.comparison import Comparison, Label, Message, Order
from gramr2.config import parse_config
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.selftraining.loop import SelfTraining
from gramr2.serving.model import Model
from gramr2.testing import ScriptedEngine
from gramr2.web.app import ui_app
from gramr2.web.labelling.opening import session_of
from gramr2.web.labelling.opinions import Opinion
from gramr2.web.labelling.order import side
from gramr2.web.labelling.session import Session
from gramr2.web.labelling.store import LabelStore
from gramr2.web.runs.shelf import Shelf

pytestmark = pytest.mark.web
HOSTILE = "</div><script>alert(1)</script><img src=x onerror=alert(2)> \u202e ``` x"
ITEMS = [
    Comparison(
        f"i{k}", (Message("user", f"What is {k}? {HOSTILE if k == 0 else ''}"),), (f"It is {k}. " * 30, f"No {k}.")
    )
    for k in range(20)
]
OPINIONS = {each.id: Opinion(Label.A, 0.04 * k, False, rationale="Response A says it.") for k, each in enumerate(ITEMS)}
CONFIG = {
    "model": "none",
    "data": {
        "seed": {"path": "starter:labeled", "limit": 6},
        "pool": {"path": "starter:unlabeled", "limit": 60},
        "gold": {"path": "starter:gold", "limit": 10},
    },
    "judge": {"verdict": "reasoned", "pool": {"votes": 2}},
    "filters": [{"kind": "confidence", "threshold": 0.7}, {"kind": "consistency"}],
    "rounds": 1,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mine"
    SelfTraining(parse_config(CONFIG), folder, engine=ScriptedEngine()).run()
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with started() as browser:
        yield browser


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "labels.jsonl"


@pytest.fixture
def url(out: Path, run: Path) -> Iterator[str]:
    yield from served(out, run)


def served(out: Path, run: Path, token: str | None = None) -> Iterator[str]:
    """The page with all its parts on a port of its own."""
    with LabelStore(out, "Ann") as store:
        session = session_of(ITEMS, store, OPINIONS, judge="j", seed=0, share=0.3, show=False)
        judge = Judge(scripted("longer"), sampling=Sampling(votes=2, temperature=0.7))
        app = ui_app(shelf=Shelf([run]), session=session, model=Model(lambda: judge), token=token)
        with listening(app) as address:
            yield address


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    with windows(chromium) as opened:
        yield opened


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def saved(page: Any, told: str = "Saved") -> None:
    sync_api.expect(page.locator("#message")).to_contain_text(told)


def counts(page: Any, told: str) -> None:
    sync_api.expect(page.locator("#counts")).to_contain_text(told)


def test_the_check_finds_what_is_wrong(url: str, open_page: Open) -> None:
    page = open_page(f"{url}/label", 390)
    page.wait_for_selector("#work:not([hidden])")
    page.evaluate(
        "document.getElementById('answer-tie').textContent = ''; Object.assign(document.getElementById('undo').style, {minHeight: '20px', padding: 0, alignSelf: 'start'});"
        "document.getElementById('counts').style.fontSize = '9px'; document.getElementById('prompt').style.width = '900px'"
    )
    found = "\n".join(page_check.faults(page))
    for each in ("axe: button-name", "it scrolls sideways by", "has 9 pixels", "'UndoU' is"):
        assert each in found, found


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_labelling_looks_right(url: str, open_page: Open, width: int, scheme: str) -> None:
    page = open_page(f"{url}/label", width, scheme)
    page.wait_for_selector("#work:not([hidden])")
    check(page)
    for turn in range(4):
        page.click(f"#answer-{'ab'[turn % 2]}")
        counts(page, f"{turn + 1} labelled")
    page.click("#give-reason")
    page.click("#agreement summary")
    page.wait_for_selector("#agreed table")
    check(page)


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_playground_looks_right(url: str, open_page: Open, width: int, scheme: str) -> None:
    page = open_page(f"{url}/play", width, scheme)
    check(page)
    page.click("button.act")
    page.wait_for_selector("#result .vote")
    check(page)
    page.click("#add")
    page.keyboard.type("A third one.")
    page.click("button.act")
    page.wait_for_selector("#ranking table")
    check(page)


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_run_browser_looks_right(url: str, open_page: Open, width: int, scheme: str) -> None:
    page = open_page(f"{url}/runs", width, scheme)
    page.wait_for_selector("table")
    check(page)
    page.click("th a")
    page.wait_for_selector(".plot img")
    assert page.evaluate("document.querySelector('.plot img').naturalWidth") > 0
    check(page)
    page.click("text=comparisons of round 1")
    page.wait_for_selector(".item")
    check(page)
    page.click(".item a")
    page.wait_for_selector(".vote")
    check(page)


def test_reports_look_right(
    run: Path, open_page: Open, cli: Callable[..., Any], write: Callable[..., str], tmp_path: Path
) -> None:
    data = write(
        *(
            {
                "id": f"i{k}/{who}",
                "prompt": f"What is {k}?",
                "responses": ["x" * (k + 1), "x" * 12],
                "category": f"c{k % 2}",
            }
            | {"label": "A" if k % 5 == place else "B", "annotator": who}
            for k in range(12)
            for place, who in enumerate(("Ann", "Ben", "Cem"))
        )
    )
    pages = [tmp_path / "report.html", tmp_path / "compare.html"]
    assert cli("report", run, "--out", pages[0])[0] == 0
    for name in ("longer", "always-a"):
        assert cli("eval", "-m", f"scripted:{name}", "-b", data, "-o", tmp_path / name, "-q")[0] == 0
        pages.append(tmp_path / name / "view.html")
        assert cli("view", tmp_path / name)[0] == 0
    assert cli("compare", tmp_path / "longer", tmp_path / "always-a", "--out", pages[1])[0] == 0
    for width, scheme in LOOKS:
        for each in pages:
            page = open_page(each.as_uri(), width, scheme)
            check(page)
            for closed in page.locator("summary, .item > button").all()[:4]:
                closed.click()
            check(page)


def test_labelling_by_keys(url: str, open_page: Open, out: Path) -> None:
    page = open_page(f"{url}/label")
    for turn, key in enumerate("abts"):
        page.wait_for_selector("#work:not([hidden])")
        shown = page.inner_text("#a")
        page.keyboard.press(key)
        counts(page, f"{min(turn + 1, 3)} labelled, {int(turn == 3)} skipped")
        if turn < 3:
            row = rows(out)[-1]
            turned = row["metadata"]["shown"] == "ba"
            assert row["responses"][turned].strip() == shown.strip()
            expected = {"a": Label.A, "b": Label.B, "t": Label.TIE}[key]
            assert row["label"] == (expected.swap() if turned else expected).value
    before = rows(out)
    page.keyboard.press("u")
    counts(page, "0 skipped")
    page.keyboard.press("u")
    counts(page, "2 labelled")
    assert rows(out) == before[:2]
    page.keyboard.press("r")
    page.keyboard.type("Response A abuts best")
    assert len(rows(out)) == 2, "letters of a reason are no answers"
    page.keyboard.press("Escape")
    page.keyboard.press("A")
    counts(page, "3 labelled")
    row = rows(out)[-1]
    assert row["rationale"] == f"Response {row['label']} abuts best"
    assert page.input_value("#reason") == ""
    page.keyboard.press("Control+a")
    page.wait_for_timeout(200)
    assert len(rows(out)) == 3, "a shortcut of the browser is no answer"


def test_a_key_that_is_held_down_answers_once(url: str, open_page: Open, out: Path) -> None:
    page = open_page(f"{url}/label")
    page.wait_for_selector("#work:not([hidden])")
    for _ in range(5):
        page.keyboard.down("a")
    page.keyboard.up("a")
    saved(page)
    page.wait_for_timeout(300)
    assert len(rows(out)) == 1


def test_a_reload_goes_on_where_it_was(url: str, open_page: Open, out: Path) -> None:
    page = open_page(f"{url}/label")
    page.wait_for_selector("#work:not([hidden])")
    page.click("#answer-a")
    counts(page, "1 labelled")
    shown = page.inner_text("#a")
    page.reload()
    counts(page, "1 labelled")
    assert page.inner_text("#a") == shown
    other = open_page(f"{url}/label")
    counts(other, "1 labelled")
    other.click("#answer-b")
    counts(other, "2 labelled")
    page.click("#undo")
    counts(page, "1 labelled")


def test_an_older_window_is_told(url: str, open_page: Open, out: Path) -> None:
    first, second = (open_page(f"{url}/label") for _ in range(2))
    for page in (first, second):
        page.wait_for_selector("#work:not([hidden])")
    first.click("#answer-a")
    counts(first, "1 labelled")
    second.click("#answer-b")
    saved(second, "another window")
    assert len(rows(out)) == 1
    counts(second, "1 labelled")
    second.click("#answer-b")
    counts(second, "2 labelled")


def test_a_full_disk_is_told_and_the_answer_can_be_given_again(
    url: str, open_page: Open, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def slow(session: Session) -> Any:
        time.sleep(0.5)
        return state(session)

    page = open_page(f"{url}/label")
    page.wait_for_selector("#work:not([hidden])")
    page.keyboard.press("r")
    page.keyboard.type("Because")
    # A server that is slow to say what is next must not swallow the second answer, nor what is written in the meantime.
    state = Session.state
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(Session, "state", slow)
        page.click("#answer-a")
        page.focus("#reason")
        page.keyboard.type(" I say.")
        saved(page, "No space left on device: the answer is not saved.")
    assert (rows(out), page.input_value("#reason")) == ([], "Because I say.")
    page.click("#answer-a")
    counts(page, "1 labelled")
    assert rows(out)[0]["rationale"] == "Because I say."


def test_text_of_data_is_text(url: str, open_page: Open) -> None:
    page = open_page(f"{url}/label")
    for _ in range(len(ITEMS)):
        page.wait_for_selector("#work:not([hidden])")
        if HOSTILE in (page.text_content("#prompt") or ""):
            break
        left = int(re.findall(r"(\d+) left", page.inner_text("#counts"))[0])
        page.keyboard.press("s")
        counts(page, f"{left - 1} left")
    else:
        raise AssertionError("the hostile prompt was not shown")
    assert page.evaluate("document.querySelectorAll('#work script, #work img').length") == 0


def test_to_the_end_and_the_agreement(url: str, open_page: Open, out: Path) -> None:
    page = open_page(f"{url}/label")
    for turn in range(len(ITEMS)):
        counts(page, f"{turn} labelled")
        shown = page.inner_text("#a")
        page.keyboard.press("a" if shown.startswith("It is") else "b")
    sync_api.expect(page.locator("#end")).to_be_visible()
    assert page.is_disabled("#answer-a")
    assert {row["label"] for row in rows(out)} == {"A"}
    page.click("#agreement summary")
    cells = page.locator("#agreed tr").nth(1).locator("td, th").all_inner_texts()
    random = sum(row["metadata"]["pick"] == "random" for row in rows(out))
    assert 0 < random < 20
    assert cells[:3] == ["random ones", f"{random} of {random}", "100.0 %"]
    assert (
        {row["metadata"]["shown"] for row in rows(out)}
        == {side(0, "Ann", each.id).value for each in ITEMS}
        == {*map(str, Order)}
    )


def test_the_playground_judges_and_ranks(url: str, open_page: Open) -> None:
    page = open_page(f"{url}/play")
    sync_api.expect(page.locator("#judge")).to_have_text("scripted:longer")
    page.fill("#response-1", "short")
    page.fill("#response-2", "a longer one")
    page.keyboard.press("Control+Enter")
    sync_api.expect(page.locator("#result-title")).to_have_text("Response 2 is better")
    orders = page.locator(".order").all_inner_texts()
    assert len(orders) == 2
    assert "Response 1 shown first" in orders[0] and "Response 2 shown first" in orders[1]
    assert all("Response 2 is better" in each for each in orders)
    assert page.evaluate("document.activeElement.id") == "result-title"
    for _ in range(6):
        page.click("#add")
    assert page.is_disabled("#add")
    for _ in range(5):
        page.click("[aria-label='Remove response 8'], [aria-label='Remove response 7'], .response:last-child button")
    page.fill("#responses .response:last-child textarea", "by far the longest of the three")
    page.click("button.act")
    sync_api.expect(page.locator("#ranking-title")).to_have_text("Response 3 is best")
    page.click("text=1 against 3")
    sync_api.expect(page.locator("#result-title")).to_have_text("Response 3 is better")
    page.fill("#prompt", " ")
    page.click("button.act")
    sync_api.expect(page.locator("#message")).to_have_text("Write a prompt first.")


def test_comparisons_are_found_and_linked_to(url: str, open_page: Open, run: Path) -> None:
    page = open_page(f"{url}/runs#run=0&round=1")
    page.wait_for_selector(".item")
    kept = [json.loads(line) for line in (run / "rounds/1/kept.jsonl").read_text().splitlines()]
    page.select_option("#fate", "kept")
    sync_api.expect(page.locator(".tools [role=status]")).to_have_text(f"{len(kept)} of 60")
    page.fill("#text", kept[0]["id"])
    sync_api.expect(page.locator(".item")).to_have_count(1)
    address = page.url
    assert "fate=kept" in address and f"text={kept[0]['id']}" in address
    page.click(".item a")
    sync_api.expect(page.locator("h1")).to_have_text(kept[0]["id"])
    page.go_back()
    sync_api.expect(page.locator(".item")).to_have_count(1)
    assert page.input_value("#text") == kept[0]["id"]


def test_the_token_is_asked_for_and_kept(tmp_path: Path, run: Path, open_page: Open) -> None:
    for address in served(tmp_path / "labels.jsonl", run, token="secret"):
        page = open_page(f"{address}/label")
        for typed in ("wrong", "secret"):
            page.fill("#token", typed)
            page.keyboard.press("Enter")
        page.wait_for_selector("#work:not([hidden])")
        check(page)
        page.goto(f"{address}/runs#run=0")
        page.wait_for_selector(".plot img")
        assert page.evaluate("document.querySelector('.plot img').naturalWidth") > 0
