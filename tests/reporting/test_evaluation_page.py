"""The page of an evaluation: self-contained, and hostile text stays text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gramr2.comparison import Comparison, Label, LabeledComparison, as_messages
from gramr2.errors import RunError
from gramr2.evaluation.evaluating import Asked, judge_items, summarised
from gramr2.evaluation.log import read_log, write_log
from gramr2.evaluation.ranked import RankedSet
from gramr2.loading import JudgeOptions, preference_model
from gramr2.reporting.evaluation import write_view

HOSTILE = "</script><script>alert(1)</script><!-- {{ 7 * 7 }} \u2028 &amp;"


def page(tmp_path: Path, items: list[LabeledComparison], model: str = "scripted:longer") -> str:
    judge = preference_model(model, JudgeOptions())
    asked = Asked("<b>bench</b>", model, items, {}, 0)
    write_log(tmp_path / "e", *summarised(asked, judge, judge_items(judge, asked)))
    return write_view(tmp_path / "e").read_text(encoding="utf-8")


def test_hostile_text_is_data(tmp_path: Path) -> None:
    items = [
        LabeledComparison(
            Comparison(HOSTILE, as_messages(HOSTILE), (HOSTILE, "b"), category=HOSTILE, group="g"), Label.B
        )
    ]
    text = page(tmp_path, items)
    assert "<b>bench</b>" not in text and "&lt;b&gt;bench" in text
    assert text.count("</script>") == 2
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert data is not None
    [row] = json.loads(data[1])
    assert (row["id"], row["prompt"], row["responses"][0]) == (HOSTILE, HOSTILE, HOSTILE)
    assert "alert(1)</script>" not in text.replace(data[0], "")


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    items = [
        LabeledComparison(Comparison(f"i{n}", as_messages("p"), ("a" * n, "bb")), Label.A if n % 2 else Label.B)
        for n in range(1, 8)
    ]
    text = page(tmp_path, items)
    assert not re.search(r"""(?:src|href)\s*=|@import|url\(""", text)
    assert "decided 7 of 7" in text


def test_a_judge_without_answers_has_a_page(tmp_path: Path) -> None:
    text = page(tmp_path, [LabeledComparison(Comparison("i", as_messages("p"), ("a", "b")), Label.TIE)], "longer")
    assert "shown first –" in text


def embedded(text: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    rows: list[dict[str, object]] = json.loads(found[1])
    return rows


def test_people_are_on_the_page(tmp_path: Path) -> None:
    items = [
        LabeledComparison(
            Comparison(f"i{n}", as_messages(f"p{n}"), ("a" * (1 + n % 5), "bb"), category=f"c{n % 2}"), Label.B
        )
        for n in range(40)
    ]
    labels = {f"i{n}": {HOSTILE: Label.B, "bea": Label.B if n % 4 else Label.A, "cem": Label.B} for n in range(40)}
    judge = preference_model("scripted:longer", JudgeOptions())
    asked = Asked("bench", "scripted:longer", items, {}, 0, labels=labels)
    write_log(tmp_path / "e", *summarised(asked, judge, judge_items(judge, asked)))
    text = write_view(tmp_path / "e").read_text(encoding="utf-8")
    assert "Agreement with people" in text and "3 annotators gave 120 labels of 40 comparisons" in text
    assert "The judge <b>is not shown to be as good as a person</b>" in text
    assert "Labels until the interval excludes 50.0 %" in text and "Where the judge differs from people" in text
    assert '<option value="against">' in text
    assert embedded(text)[1]["annotations"] == {HOSTILE: "B", "bea": "B", "cem": "B"}
    assert text.count("</script>") == 2 and not re.search(r"""(?:src|href)\s*=|@import|url\(""", text)


def test_one_label_has_no_annotators_on_the_page(tmp_path: Path) -> None:
    items = [LabeledComparison(Comparison(f"i{n}", as_messages("p"), ("a", "bb")), Label.B) for n in range(12)]
    text = page(tmp_path, items)
    assert "No row names its annotator" in text and "The judge agrees with the labels with κ" in text
    assert "The judge and its annotators" not in text and 'id="order"' not in text


def test_sets_are_on_the_page(tmp_path: Path) -> None:
    asked = Asked("bench", "scripted:longer", [], {}, 0)
    judge = preference_model("scripted:longer", JudgeOptions())
    summary, _ = summarised(asked, judge, judge_items(judge, asked))
    places: list[tuple[int | None, ...]] = [(1, 2, 3), (2, 1, 3), (1, 1, 3), (1, 2, None)]
    sets = [
        RankedSet(
            id=f"s{n}",
            prompt=HOSTILE,
            responses=(HOSTILE, "b", "c"),
            chosen=(0,),
            ranks=ranks,
            scores=(1.0, 0.5, None),
            score=0.5,
        )
        for n, ranks in enumerate(places)
    ]
    official = {
        "official": {"overall": 0.5},
        "official_low": None,
        "official_high": None,
        "metric": "m",
        "policy": "wrong",
        "version": "v",
        "digest": "d",
        "sets": {"n": 4, "accuracy": 0.5, "ranked": 3, "chance": 0.3},
    }
    summary = summary.model_copy(update={"official": official, "prompt_tokens": 1200, "completion_tokens": 40})
    write_log(tmp_path / "e", summary, [], sets)
    log = read_log(tmp_path / "e")
    assert log.sets == tuple(sets)
    text = write_view(tmp_path / "e").read_text(encoding="utf-8")
    rows = embedded(text)
    assert [row["state"] for row in rows] == ["right", "wrong", "tie", "undecided"]
    assert rows[0]["responses"] == [HOSTILE, "b", "c"]
    assert "1.20 k prompt tokens" in text and "Agreement with people" not in text
    assert text.count("</script>") == 2
    (tmp_path / "e" / "sets.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match="sets.jsonl is damaged"):
        read_log(tmp_path / "e")
    (tmp_path / "e" / "sets.jsonl").write_text("")
    with pytest.raises(RunError, match=r"has 0 items, and eval\.json counts 4"):
        read_log(tmp_path / "e")
