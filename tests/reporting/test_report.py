"""The report and the inspection of whole scripted runs: complete, partial, hostile."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from gramr2.config import parse_config
from gramr2.errors import ConfigError, RunError
from gramr2.evaluation.reliability import expected_calibration_error, reliability_bins
from gramr2.reporting import plots
from gramr2.reporting.examples import example, first_words, missed, prompt_text, rejection
from gramr2.reporting.report import render, write_report
from gramr2.reporting.run import RoundView, RunView, read_run
from gramr2.reporting.summary import sentences
from gramr2.selftraining.loop import SelfTraining
from gramr2.testing import ScriptedEngine

HOSTILE = '</pre></script><img src=x onerror="alert(1)"> {{ 7*7 }} &amp;'
CONFIG: dict[str, Any] = {
    "model": "none",
    "data": {
        "seed": {"path": "starter:labeled", "limit": 6},
        "pool": {"path": "starter:unlabeled", "limit": 20},
        "gold": {"path": "starter:gold", "limit": 10},
    },
    "judge": {"verdict": "reasoned", "pool": {"votes": 2}},
    "filters": [{"kind": "confidence", "threshold": 0.7}, {"kind": "consistency"}, {"kind": "balance"}],
    "guards": {"faithfulness": 4},
    "rounds": 2,
    "final": {},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mine"
    SelfTraining(parse_config(CONFIG), folder, engine=ScriptedEngine()).run()
    return folder


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_first_lines_say_what_the_run_means(run: Path) -> None:
    page = write_report(run).read_text()
    view = read_run(run)
    final = view.measured[-1]
    said = sentences(view, final)
    assert len(said) == 3
    assert all(str(escape(each)) in page for each in said)
    gold = final.metrics.gold
    assert f"is right on {100 * gold.accuracy:.1f} %" in said[0]
    assert f"of the {gold.decided} gold comparisons" in said[0]
    best = max((row["gold"]["accuracy"] or 0) for row in view.baselines.values() if row.get("gold"))
    assert f"has {100 * best:.1f} %" in said[1]
    assert f"learnt from {final.metrics.trained_on} comparisons" in said[2]
    assert page.index("Warnings") < page.index(str(escape(said[0]))) < page.index("Accuracy on gold")
    assert "UTC, " in page and "Python 3" in page
    assert sentences(view, None) == []


def test_wrong_gold_comparisons_are_shown_by_their_first_words(run: Path) -> None:
    page, view = write_report(run).read_text(), read_run(run)
    gold = view.measured[-1].gold
    wrong = [each for each in gold if each["label"] != each["truth"]]
    assert wrong
    found = missed(gold)
    assert {each.id for each in found} == {each["id"] for each in wrong}
    assert [each.confidence or 0 for each in found] == sorted((each.confidence or 0 for each in found), reverse=True)
    listed = page[page.index('id="missed"') :]
    for each in found:
        assert f"<b>{escape(each.beginning)}</b>" in listed
    assert first_words("one\n two") == "one two"
    assert first_words("word " * 40).endswith("word …") and len(first_words("word " * 40)) <= 92


def test_the_report_says_what_the_run_did(run: Path) -> None:
    page = write_report(run).read_text()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        assert f"{100 * row['gold']['accuracy']:.1f} %" in page
    for name, count in rows[1]["pool"]["dropped"].items():
        assert re.search(rf"<span>{name}</span>.*?−{count} →", page, re.DOTALL), name
    for words in (
        "expected calibration error",
        "Does it use its rationale?",
        "confidence.threshold",
        "Always choosing",
    ):
        assert words in page
    assert "final stage" in page
    assert "not finished" not in page


def test_the_report_shows_the_baselines_and_the_warnings_above_all(run: Path, tmp_path: Path) -> None:
    page = write_report(run).read_text()
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["warnings"]
    for warning in last["warnings"]:
        assert 0 < page.index(str(escape(warning))) < page.index("Accuracy on gold")
    records = json.loads((run / "baselines.json").read_text())
    test = last["against_baselines"]["bag-of-words"]
    lines = (
        rf"{100 * records['bag-of-words']['gold']['accuracy']:.1f} %",
        rf"{100 * test['difference']:+.1f}".replace("+", r"\+"),
    )
    for text in lines:
        assert re.search(rf"<td>bag-of-words</td>.*?{text}.*?</tr>", page, re.DOTALL), text
    assert re.search(r"<td>frozen-features</td><td[^>]*>left out: the backbone", page)
    # A run that is under way has its baselines, and nothing to warn of yet.
    copy = tmp_path / "partial"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "judge")
    (copy / "metrics.jsonl").write_text("".join((run / "metrics.jsonl").read_text().splitlines(keepends=True)[:2]))
    page = render(read_run(copy))
    assert "<td>bag-of-words</td>" in page
    assert "<h2>Warnings</h2>" not in page


def test_the_report_says_how_verdicts_were_read(run: Path, tmp_path: Path) -> None:
    page = render(read_run(run))
    found = json.loads((run / "rounds/0/readings.json").read_text())
    assert f"Seed judge: the verdict is read with weights direct 0, reasoned 1 ({escape(found['why'])})." in flat(page)
    # Rounds that read as the one before are not repeated, and one reading alone is the accuracy above.
    assert page.count("the verdict is read with weights") == 1
    assert "On gold by itself" not in page
    folder = tmp_path / "both"
    both = parse_config(
        CONFIG | {"judge": {"verdict": "both", "pool": {"votes": 2}}, "guards": {}, "rounds": 1, "final": None}
    )
    SelfTraining(both, folder, engine=ScriptedEngine()).run()
    gold = json.loads((folder / "rounds/0/metrics.json").read_text())["gold"]["readings"]
    told = ", ".join(f"{name} {100 * value:.1f} %" for name, value in gold.items())
    assert list(gold) == ["direct", "reasoned"]
    assert f"On gold by itself: {told}." in flat(render(read_run(folder)))
    # Weights that were fitted anew stand beside their round.
    metrics = json.loads((folder / "rounds/1/metrics.json").read_text())
    # Their manifests would say that they are damaged.
    for file in folder.glob("rounds/*/manifest.json"):
        file.unlink()
    metrics["verdict_read"] |= {"weights": {"direct": 0.25, "reasoned": 1.5}, "why": HOSTILE}
    (folder / "rounds/1/metrics.json").write_text(json.dumps(metrics))
    page = render(read_run(folder))
    assert f"Round 1: the verdict is read with weights direct 0.25, reasoned 1.5 ({escape(HOSTILE)})" in flat(page)
    # A run of before there were two readings says nothing of it.
    for row in folder.glob("rounds/*/metrics.json"):
        metrics = json.loads(row.read_text())
        row.write_text(json.dumps({key: value for key, value in metrics.items() if key != "verdict_read"}))
    assert "the verdict is read" not in render(read_run(folder))


def test_the_report_says_which_votes_were_spared(run: Path, tmp_path: Path) -> None:
    assert "Votes:" not in render(read_run(run))
    folder = tmp_path / "spared"
    pool = {"votes": 8, "stop_certainty": 0.7, "audit": 3}
    SelfTraining(
        parse_config(
            CONFIG | {"judge": {"verdict": "reasoned", "pool": pool}, "rounds": 1, "final": None, "guards": {}}
        ),
        folder,
        engine=ScriptedEngine(),
    ).run()
    votes = json.loads((folder / "rounds/1/metrics.json").read_text())["votes"]
    assert votes["most"] == 20 * 16 and votes["cast"] < votes["most"] and votes["audited"] == 3
    page = flat(render(read_run(folder)))
    assert f"Votes: {votes['cast']} of 320 were cast." in page
    assert f"Of 3 that were spared some, all votes decide {votes['differ']} otherwise (" in page


def flat(page: str) -> str:
    """The page with every stretch of white space as one space."""
    return " ".join(page.split())


def test_direct_votes_are_marked(run: Path) -> None:
    direct = row(votes=[{**vote, "reading": "direct"} for vote in row()["votes"]] + row()["votes"])
    view = read_run(run)
    view = RunView(view.path, view.config, (RoundView(1, None, (direct,), (), ()),))
    page = render(view)
    assert page.count("<td>ab, direct</td>") == 1
    assert page.count("<td>ab</td>") == 1


def test_it_is_one_file_that_loads_nothing_and_the_same_bytes_twice(run: Path, tmp_path: Path) -> None:
    first, second = write_report(run, tmp_path / "a.html"), write_report(run, tmp_path / "b.html")
    page = first.read_text()
    assert page == second.read_text()
    tags = Tags(page).tags
    names = {name for name, _ in tags}
    assert not names & {"link", "img", "iframe"}
    assert [attrs for name, attrs in tags if name == "script"] == [{}]  # our own, with nothing of the data in it
    loaded = [attrs[key] for _, attrs in tags for key in ("src", "href", "xlink:href") if attrs.get(key)]
    assert all(each and each.startswith("#") for each in loaded)
    figures = [attrs for name, attrs in tags if name == "svg"]
    assert len(figures) >= 6
    assert all(attrs.get("aria-label") for attrs in figures)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 10
    assert all(name in ids for name in re.findall(r"url\(#([^)]+)\)", page))


@pytest.mark.parametrize("gone", [["judge", "metrics.jsonl", "rounds/3", "rounds/2"], ["judge", "rounds", "data.json"]])
def test_a_run_under_way_gives_what_there_is(run: Path, tmp_path: Path, gone: list[str]) -> None:
    copy = tmp_path / "partial"
    shutil.copytree(run, copy)
    for name in gone:
        shutil.rmtree(copy / name) if (copy / name).is_dir() else (copy / name).unlink()
    page = render(read_run(copy))
    assert "not finished" in page
    assert ("No judge has been measured yet" in page) == ("rounds" in gone)


def test_what_is_not_a_run_is_a_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        write_report(tmp_path)
    shutil.copytree(run, tmp_path / "broken")
    (tmp_path / "broken/rounds/1/kept.jsonl").write_text("{")
    with pytest.raises(RunError, match="kept.jsonl is not what the run wrote"):
        write_report(tmp_path / "broken")


def row(**texts: Any) -> dict[str, Any]:
    vote = {"order": "ab", "outcome": "A", "rationale": texts.get("rationale"), "probabilities": None}
    base = {"id": "x", "prompt": "p", "responses": ["a", "b"], "label": "A", "confidence": 0.9, "agreement": 1.0}
    return base | {"order_flip": False, "rationale": None, "votes": [vote]} | texts


@pytest.fixture(scope="module")
def drawn() -> Iterator[None]:
    """Figures are made of numbers and titles: the same ones need not be drawn a hundred times."""
    with pytest.MonkeyPatch.context() as patched:
        real = plots.histogram
        known: dict[str, str] = {}

        def histogram(*given: Any) -> str:
            return known.get(repr(given)) or known.setdefault(repr(given), real(*given))

        patched.setattr(plots, "histogram", histogram)
        yield


@pytest.mark.usefixtures("drawn")
@given(st.text(max_size=30).map(lambda text: HOSTILE + text))
def test_text_of_the_data_stays_text(text: str) -> None:
    hostile = row(id=text, prompt=[{"role": "user", "content": text}], responses=[text, text], rationale=text)
    dropped = hostile | {"filter": "confidence", "reason": text, "value": text, "threshold": 1}
    view = RunView(
        Path("run"),
        {"model": {"name": text}, "seed": 1, "filters": [{"kind": "confidence"}]},
        (RoundView(1, None, (hostile,), (dropped,), ()),),
    )
    page = render(view)
    assert "<img" not in page
    assert "onerror=&#34;alert(1)&#34;" in page
    assert "{{ 7*7 }}" in page
    tags = [name for name, _ in Tags(page).tags]
    assert "img" not in tags
    assert tags.count("script") == 1


def test_a_example_that_was_learnt_swapped_is_shown_as_it_is_stored() -> None:
    shown = example(row(responses=["b", "a"], label="B", swapped=True), kept=True)
    assert (shown.responses, shown.label, shown.rationale_swapped) == (("a", "b"), "A", True)
    dropped = row(rationale_order="ba", filter="f", reason="r", value=None, threshold=None)
    assert example(dropped, kept=False).rationale_swapped
    assert rejection(dropped) == "f: r"
    assert rejection(dropped | {"value": 1, "threshold": 2}) == "f: r (1, wanted 2)"
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    assert prompt_text(turns) == "User: hi\n\nAssistant: yes"


def test_reliability() -> None:
    bins = reliability_bins([(0.95, True), (0.95, False), (0.35, False), (1.0, True)])
    assert [each.n for each in bins] == [1, 3]
    assert bins[1].accuracy == pytest.approx(2 / 3)
    expected = (1 * 0.35 + 3 * abs(2 / 3 - (0.95 + 0.95 + 1) / 3)) / 4
    assert expected_calibration_error(bins) == pytest.approx(expected)
    assert expected_calibration_error([]) is None


def inspected(capsys: pytest.CaptureFixture[str], run: Path, **options: Any) -> str:
    from gramr2.cli.inspect import inspect

    usual: dict[str, Any] = {
        "number": None,
        "dropped_by": None,
        "kept": False,
        "name": None,
        "limit": 5,
        "as_json": False,
    }
    inspect(run, **(usual | options))
    return capsys.readouterr().out


def test_inspect_prints_what_was_dropped_and_why(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = inspected(capsys, run, number=1, dropped_by="confidence", limit=2)
    assert text.count("confidence: the label's probability is too low") == 2
    assert "[Response B]" in text
    assert "more: raise --limit" in text
    kept = [
        json.loads(line) for line in inspected(capsys, run, number=1, kept=True, as_json=True, limit=99).splitlines()
    ]
    assert kept == [json.loads(line) for line in (run / "rounds/1/kept.jsonl").read_text().splitlines()]
    one = inspected(capsys, run, number=1, name=kept[0]["id"])
    assert f"── {kept[0]['id']} · kept" in one


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"number": 7}, "has labelled the pool in rounds 1, 2"),
        ({"number": 1, "dropped_by": "taste"}, "comparisons were dropped by confidence"),
        ({"name": "nobody"}, "no such comparison as 'nobody'"),
        ({"kept": True, "dropped_by": "confidence"}, "exclude each other"),
    ],
)
def test_inspect_names_what_there_is(run: Path, options: dict[str, Any], sentence: str, capsys: Any) -> None:
    with pytest.raises(ConfigError, match=sentence):
        inspected(capsys, run, **options)
