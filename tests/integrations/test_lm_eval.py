"""The win rate as a metric of lm-evaluation-harness; in its own runner where it is installed."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import pytest

from gramr2.errors import DataError
from gramr2.integrations.lm_eval import WinRate
from gramr2.judging.scripted import SCRIPTS

DOCS = [
    {"question": "Why?", "answer": "ab"},
    {"question": "How?", "answer": ["x", "much longer than that"]},
    {"question": "odd", "answer": "a"},
]
YAML = """
task: judged
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: ""
generation_kwargs: {until: ["\\n"]}
process_results: !function judged.process_results
metric_list:
  - {metric: win_rate, aggregation: !function judged.win_rate, higher_is_better: true}
"""
MODULE = """
from gramr2.integrations.lm_eval import WinRate

judge = WinRate("scripted:longer", prompt="question", references="answer")
process_results, win_rate = judge.process_results, judge.win_rate
"""


def test_outputs_of_a_task_are_judged_together() -> None:
    judge = WinRate("scripted:longer", prompt="question", references="answer")
    kept = [judge.process_results(doc, ["lol"])["win_rate"] for doc in DOCS]
    json.dumps(kept)  # the harness writes them into its logs
    assert judge.win_rate(kept) == pytest.approx((1 + 0.5 + 1) / 3)


def test_undecided_outputs_are_left_out_and_counted(monkeypatch, caplog) -> None:
    def sometimes(request, seed):
        return "No idea." if "odd" in request.messages[-1].content else SCRIPTS["longer"](request, seed)

    monkeypatch.setitem(SCRIPTS, "sometimes-lm", sometimes)
    judge = WinRate("scripted:sometimes-lm", prompt="question", references="answer")
    kept = [judge.process_results(doc, ["lol"])["win_rate"] for doc in DOCS]
    with caplog.at_level(logging.WARNING):
        assert judge.win_rate(kept) == pytest.approx(0.75)
        assert math.isnan(judge.win_rate(kept[2:]))
    assert "the judge decided 2 of 3 outputs" in caplog.text


def test_a_document_without_a_reference_is_named_by_its_keys() -> None:
    judge = WinRate("scripted:longer", prompt="question", references="gold")
    with pytest.raises(DataError, match=r"no 'gold': its keys are question, answer"):
        judge.process_results(DOCS[0], ["lol"])
    with pytest.raises(DataError, match="no 'question'"):
        judge.process_results({"gold": "x"}, ["lol"])


def test_in_the_harness(tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.tasks import TaskManager

    (tmp_path / "docs.jsonl").write_text("".join(json.dumps({**doc, "answer": "ab"}) + "\n" for doc in DOCS))
    (tmp_path / "judged.py").write_text(MODULE)
    (tmp_path / "judged.yaml").write_text(YAML.replace("FILE", str(tmp_path / "docs.jsonl")))
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    found = lm_eval.simple_evaluate(model="dummy", tasks=["judged"], task_manager=manager, bootstrap_iters=100)
    assert found["results"]["judged"]["win_rate,none"] == 1  # the dummy's output is "lol"
