"""The gate and the alarms, each on both sides of its limit."""

from __future__ import annotations

from typing import Any

import pytest

from gramr2.config.method import AlarmsConfig, GuardsConfig
from gramr2.evaluation.metrics import PairedTest
from gramr2.selftraining.gate.guards import gate, gold_alarms, pool_alarms
from gramr2.selftraining.run.records import GateResult, GoldReport, LabellingRecord

LIMITS = AlarmsConfig()


@pytest.mark.parametrize(
    ("difference", "p_value", "high", "test", "on_worse", "expected"),
    [
        (-0.1, 0.04, 0.01, "mcnemar", "stop", GateResult.ROLLED_BACK),
        (-0.1, 0.06, -0.01, "mcnemar", "stop", GateResult.ACCEPTED),
        (-0.1, 0.06, -0.01, "bootstrap", "tighten", GateResult.ROLLED_BACK),
        (-0.1, 0.04, 0.01, "bootstrap", "tighten", GateResult.ACCEPTED),
        (-0.1, 0.001, -0.05, "mcnemar", "accept", GateResult.ACCEPTED),
        (0.1, 0.001, 0.2, "mcnemar", "stop", GateResult.ACCEPTED),
        (0.0, 1.0, 0.0, "bootstrap", "stop", GateResult.ACCEPTED),
    ],
)
def test_the_gate(
    difference: float, p_value: float, high: float, test: Any, on_worse: Any, expected: GateResult
) -> None:
    change = PairedTest(5, 1, p_value, difference, -0.2, high)
    guards = GuardsConfig(test=test, on_worse=on_worse)
    same = PairedTest(0, 0, 1.0, 0.0, 0.0, 0.0)
    assert gate([change], guards) is expected
    assert gate([same, change], guards) is gate([change, same], guards) is expected


def words(mean: float | None) -> dict[str, Any]:
    return {"source": "joint", "kept": 40, "mean_words": mean}


def labelling(**changes: Any) -> LabellingRecord:
    usual: dict[str, Any] = {
        "pool": {"judged": 100, "kept": 40, "dropped": {"abstained": 10, "confidence": 50}},
        "labels": {"A": 45, "B": 45},
        "thresholds": {},
        "calibration": None,
        "rationales": words(30.0),
    }
    return LabellingRecord.model_validate(usual | changes)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, None),
        ({"labels": {"A": 81, "B": 9}}, None),
        ({"labels": {"A": 82, "B": 8}}, "label collapse"),
        ({"labels": {}}, None),
        ({"rationales": words(46.0)}, "length drift"),
        ({"rationales": words(19.0)}, "length drift"),
        ({"rationales": words(None)}, None),
        ({"pool": {"judged": 100, "kept": 99, "dropped": {"confidence": 1}}}, "filters pass all"),
        ({"pool": {"judged": 100, "kept": 1, "dropped": {"confidence": 99}}}, "filter drops all"),
        ({"pool": {"judged": 100, "kept": 0, "dropped": {"abstained": 50, "rationale": 50}}}, "filter drops all"),
        ({"pool": {"judged": 0, "kept": 0, "dropped": {}}, "labels": {}}, None),
    ],
)
def test_alarms_about_pseudo_labels(changes: dict[str, Any], kind: str | None) -> None:
    found = pool_alarms(labelling(**changes), 30.0, LIMITS)
    assert [alarm.kind for alarm in found] == ([kind] if kind else [])


def test_order_flips_that_grow() -> None:
    def gold(rate: float | None) -> GoldReport:
        return GoldReport(n=10, accuracy=0.5, low=0.2, high=0.8, order_flip_rate=rate, coverage=1.0)

    assert gold_alarms(gold(0.2), gold(0.3), LIMITS) == []
    assert gold_alarms(gold(None), gold(0.9), LIMITS) == []
    [alarm] = gold_alarms(gold(0.2), gold(0.35), LIMITS)
    assert (alarm.kind, alarm.value, alarm.limit) == ("order flips", 0.15, 0.1)
