"""The real data go in whole, where they are."""

from __future__ import annotations

import pytest

from conftest import SHARED
from gramr2.data import load_labeled, load_unlabeled


@pytest.mark.parametrize(
    "name",
    [
        "seed/ukp_arguments",
        "seed/truthfulqa",
        "eval/ukp_arguments",
        "eval/truthfulqa",
        "pool/truthfulqa",
        "benchmarks/llmbar",
    ],
)
def test_real_files(name: str) -> None:
    file = SHARED / f"{name}.jsonl"
    if not file.exists():
        pytest.skip(f"the real data are not here ({file})")
    source = str(file)
    items, report = load_unlabeled(source) if name.startswith("pool/") else load_labeled(source)
    assert len(items) == report.kept == report.rows > 100
    assert report.skipped == ()
