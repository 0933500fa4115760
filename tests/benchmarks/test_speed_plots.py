"""The figures of docs/performance.md: everything measured is drawn, and the committed figures are those of the committed files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from speed_plots import TRAINERS, WAYS, main, speed

DOCS = Path(__file__).parents[2] / "docs"
FILES = ("judging-speed-text", "training-speed", "gpu", "growth")
SVG = "{http://www.w3.org/2000/svg}"


def words(text: str) -> list[str]:
    """All texts but numbers: which ticks an axis has may differ between versions of matplotlib."""
    found = ["".join(each.itertext()) for each in ElementTree.fromstring(text).iter(f"{SVG}text")]
    return [each for each in found if not re.fullmatch(r"[\d.,]+", each)]


def marks(text: str) -> int:
    """Marks, among which are those of the axes."""
    return sum(1 for _ in ElementTree.fromstring(text).iter(f"{SVG}use"))


def test_the_committed_figures_are_those_of_the_committed_measurements(tmp_path: Path) -> None:
    for name in FILES:
        shutil.copy(DOCS / f"{name}.json", tmp_path)
    main(["--docs", str(tmp_path)])
    for name in ("speed", "gpu", "growth"):
        assert "e+" not in "".join(ElementTree.fromstring((DOCS / f"{name}.svg").read_text()).itertext()), name
        assert words((tmp_path / f"{name}.svg").read_text()) == words((DOCS / f"{name}.svg").read_text()), name


def test_every_way_and_every_repeat_is_drawn() -> None:
    judging, training = ({"ways": {}}, {})
    for key in WAYS:
        judging["ways"][key] = {"seconds": [1.0, 2.0, 4.0]}
    for key in TRAINERS:
        training[key] = {"tokens_per_s": [50.0, 60.0]}
    text = speed(judging, training)
    assert {*WAYS.values(), *TRAINERS.values()} <= set(words(text))
    fewer = {"ways": {"fixed": {"seconds": [1.0, 2.0, 4.0]}}}
    # Six ways with three repeats each are left out.
    assert marks(text) - marks(speed(fewer, training)) >= 3 * (len(WAYS) - 1)
    assert "vLLM" not in words(speed(fewer, training))


def test_a_missing_measurement_is_named(tmp_path: Path) -> None:
    (tmp_path / "judging-speed-text.json").write_text(json.dumps({"ways": {}}))
    with pytest.raises(FileNotFoundError, match=r"training-speed\.json"):
        main(["--docs", str(tmp_path)])
