"""The page of an evaluation: self-contained, and hostile text stays text."""

from __future__ import annotations

import json
import re
from pathlib import Path

from gramr2.comparison import Comparison, Label, LabeledComparison, as_messages
from gramr2.evaluation.evaluating import Asked, judge_items, summarised
from gramr2.evaluation.log import write_log
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
