"""Screenshots of every page, at phone and desk width, light and dark; a page on which something is wrong is an error.

    python tools/screenshots.py --run runs/quickstart --out build/screenshots

The pages are those of the commands, served and written for a finished run. See page_check.py for what must not be wrong.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import page_check
from playwright.sync_api import Page, sync_playwright

from gramr2.files import write_jsonl
from gramr2.research.lab.comparisons import PREFIX, rows

LOOKS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]
ITEMS = 40
"""comparisons of the evaluation"""
STOP_AT = 60
"""characters of a rationale after which the judge is stopped, to show it at work"""
Shoot = Callable[[str], None]


def command(*words: object) -> list[str]:
    """The words that start gramr2."""
    return [sys.executable, "-m", "gramr2.cli.main", *map(str, words)]


@contextmanager
def serving(*words: object) -> Iterator[str]:
    """The address of ``gramr2 ui`` with these words; it is ended at the end."""
    with subprocess.Popen(command("ui", *words), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            told: list[str] = []
            for line in process.stderr:
                told.append(line)
                if "listening on" in line:
                    break
            else:
                raise SystemExit("".join(told))
            yield told[-1].split()[2].rstrip(",")
        finally:
            process.terminate()


def playground(page: Page, address: str, shoot: Shoot) -> None:
    """Empty, stopped while the judge writes, a pair, and a ranking."""
    found = [*islice(rows(f"{PREFIX}test"), 12)]
    first, other = found[0], next(each for each in found[1:] if each["prompt"] != found[0]["prompt"])
    page.goto(f"{address}/play")
    page.wait_for_function("() => document.getElementById('judge').textContent.includes('@')")
    shoot("play-empty")
    page.fill("#prompt", str(first["prompt"]))
    for number, text in enumerate(first["responses"], 1):
        page.fill(f"#response-{number}", text)
    page.evaluate(
        "most => new MutationObserver((_, watch) => { if (document.querySelector('#result .text')?.textContent.length > most)"
        " { watch.disconnect(); document.getElementById('stop').click(); } })"
        ".observe(document.getElementById('result'), {subtree: true, childList: true, characterData: true})",
        STOP_AT,
    )
    page.click("#judge-it")
    page.wait_for_selector("text=The judge did not finish")
    shoot("play-stopped")
    page.click("#judge-it")
    page.wait_for_selector("#result .facts")
    shoot("play-pair")
    for text in other["responses"]:
        page.click("#add")
        page.keyboard.type(text)
    page.click("#judge-it")
    page.wait_for_selector("#ranking table")
    shoot("play-ranking")


def runs(page: Page, address: str, shoot: Shoot) -> None:
    """The list, a run, a round's comparisons, and one of them."""
    page.goto(f"{address}/runs")
    page.wait_for_selector("th a")
    shoot("runs")
    page.click("th a")
    page.wait_for_selector(".plot img")
    shoot("run")
    page.click("text=comparisons of round 1")
    page.wait_for_selector(".item")
    shoot("round")
    page.select_option("#fate", "dropped")
    page.click(".item a")
    page.wait_for_selector(".vote")
    shoot("comparison")


def labelling(page: Page, address: str, shoot: Shoot) -> None:
    """The first comparison, and a later one with a reason and the agreement."""
    page.goto(f"{address}/label")
    page.wait_for_selector("#work:not([hidden])")
    shoot("label")
    for key in "abta":
        before = page.inner_text("#counts")
        page.keyboard.press(key)
        page.wait_for_function("before => document.getElementById('counts').textContent !== before", arg=before)
    page.keyboard.press("r")
    page.keyboard.type("Response A has the right digits.")
    page.click("#agreement summary")
    page.wait_for_selector("#agreed table")
    shoot("label-reason")
    page.keyboard.press("Escape")
    while not page.is_disabled("#undo"):
        before = page.inner_text("#counts")
        page.click("#undo")
        page.wait_for_function("before => document.getElementById('counts').textContent !== before", arg=before)


def written(run: Path, folder: Path) -> dict[str, Path]:
    """Files that commands write: the run's report, two evaluations of it and what they differ in."""
    data = folder / "test.jsonl"
    write_jsonl(data, [*islice(rows(f"{PREFIX}test"), ITEMS)])
    found = {"report": folder / "report.html", "compare": folder / "compare.html"}
    told = [["report", run, "--out", found["report"]]]
    for name, model in (("judge", run), ("longer", "longer")):
        told += [["eval", "-m", model, "-b", data, "-o", folder / name, "-q"], ["view", folder / name, "-q"]]
        found[f"view-{name}"] = folder / name / "view.html"
    told.append(["compare", folder / "judge", folder / "longer", "--out", found["compare"]])
    for words in told:
        subprocess.run(command(*words), check=True, stdout=subprocess.DEVNULL)
    return found


def taken(run: Path, out: Path, chromium: str) -> list[str]:
    """Take all of them, and return what is wrong."""
    faults: list[str] = []
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as started:
        folder = Path(temporary)
        files = written(run, folder)
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with (
            serving(run, "-m", run, "--port", 0) as ui,
            serving(run, "--label", folder / "labels.jsonl", "--port", 0) as labels,
        ):
            for width, scheme in LOOKS:
                phone, said = width < page_check.PHONE, []
                context = browser.new_context(
                    viewport={"width": width, "height": 844}, color_scheme=scheme, has_touch=phone, is_mobile=phone
                )
                page = context.new_page()
                page_check.listen(page, said)

                def shoot(name: str, page: Any = page, look: str = f"{width}-{scheme}", said: list[str] = said) -> None:
                    faults.extend(f"{name} at {look}: {each}" for each in [*page_check.faults(page), *said])
                    said.clear()
                    page.screenshot(path=out / f"{name}-{look}.png", full_page=True)

                playground(page, ui, shoot)
                runs(page, ui, shoot)
                labelling(page, labels, shoot)
                for name, file in files.items():
                    page.goto(file.as_uri())
                    shoot(name)
                context.close()
    return faults


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; 1 if something is wrong with a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run of the laboratory")
    parser.add_argument("--out", type=Path, required=True, help="folder of the screenshots")
    parser.add_argument("--chromium", default=os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    given = parser.parse_args(words)
    faults = taken(given.run, given.out, given.chromium)
    sys.stderr.write("".join(f"{each}\n" for each in faults))
    sys.stderr.write(f"{len([*given.out.glob('*.png')])} screenshots in {given.out}, {len(faults)} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
