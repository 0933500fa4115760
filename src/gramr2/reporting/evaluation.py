"""An evaluation as one self-contained HTML file: the figures, and every item to filter, search and link to."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from markupsafe import Markup

from gramr2.evaluation.log import Log, read_log
from gramr2.evaluation.without_ties import accuracy_without_ties
from gramr2.files import write_text
from gramr2.reporting.pages import template

PAGE = "view.html"


def write_view(folder: Path, out: Path | None = None) -> Path:
    """Write the page of an evaluation, and return where it is (``view.html`` in its folder by default).

    Raises:
        RunError: the folder has no finished evaluation.
    """
    target = out or folder / PAGE
    write_text(target, render(read_log(folder)))
    return target


def render(log: Log) -> str:
    """The page as HTML."""
    measures = log.summary.measures
    return template("evaluation.html.j2").render(
        summary=log.summary,
        result=log.summary.result,
        official=log.summary.official,
        calibration=measures.get("calibration") or {"ece": None, "bins": []},
        slices=measures.get("slices") or {"length": {}, "place": {}},
        without_ties=measures.get("without_ties") or asdict(accuracy_without_ties(log.items)),
        agreement=log.summary.agreement,
        data=_embedded(
            [item.model_dump(mode="json") for item in log.items]
            + [each.model_dump(mode="json") | {"state": each.state} for each in log.sets]
        ),
    )


def _embedded(value: object) -> Markup:
    """JSON inside a script element, which ends at the first ``</script`` and may not contain ``<!--``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
