"""The win rate as a metric of lighteval, where it is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gramr2.errors import DataError
from gramr2.judging.scripted import SCRIPTS

pytest.importorskip("lighteval")


def docs_and_outputs():
    from lighteval.models.model_output import ModelResponse
    from lighteval.tasks.requests import Doc

    docs = [
        Doc(query="Why?", choices=["ab"], gold_index=0, id="1"),
        Doc(query="How?", choices=["x", "much longer than that"], gold_index=[0, 1], id="2"),
        Doc(query="odd", choices=["a"], gold_index=0, id="3"),
    ]
    return docs, [ModelResponse(text=["lol"]) for _ in docs]


def test_what_lighteval_calls(monkeypatch) -> None:
    from lighteval.metrics import apply_metric

    from gramr2.integrations.lighteval import win_rate

    def sometimes(request, seed):
        return "No idea." if "odd" in request.messages[-1].content else SCRIPTS["longer"](request, seed)

    monkeypatch.setitem(SCRIPTS, "sometimes-light", sometimes)
    docs, outputs = docs_and_outputs()
    metric = win_rate("scripted:sometimes-light")
    found = [each["win_rate"] for each in apply_metric(outputs, docs, [metric])]
    assert found[:2] == pytest.approx([1, 0.5])
    assert math.isnan(found[2])
    assert metric.corpus_level_fn(np.array(found)) == pytest.approx(0.75)


def test_a_document_without_a_reference_is_named() -> None:
    from gramr2.integrations.lighteval import win_rate

    docs, outputs = docs_and_outputs()
    with pytest.raises(DataError, match="document 1 has nothing under 'baseline'"):
        win_rate("scripted:longer", references="baseline").sample_level_fn.compute(outputs, docs)
