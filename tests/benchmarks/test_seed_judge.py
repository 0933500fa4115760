"""What a few labels teach, with and without a pretext before them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from seed_judge import belongs, main

from conftest import make
from gramr2.comparison import Label


def test_a_pretext_needs_no_label() -> None:
    pool = [make(f"c{i}", f"own {i}", f"also {i}") for i in range(20)]
    made = belongs(pool, 12)
    assert made == belongs(pool, 12)
    assert len(belongs(pool, 99)) == 20
    assert {item.label for item in made} == {Label.A, Label.B}
    for item in made:
        number = item.comparison.prompt_text.rpartition("c")[2]
        right, wrong = item.comparison.responses if item.label is Label.A else item.comparison.responses[::-1]
        assert right.rpartition(" ")[2] == number != wrong.rpartition(" ")[2]


@pytest.mark.slow
def test_it_trains_on_the_pretext_and_then_on_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": str(i), "prompt": f"prompt {i}", "responses": ["good words", f"bad {i}"], "label": "AB"[i % 2]}
        for i in range(40)
    ]
    file = tmp_path / "labels.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ["--set", "epochs=1", "--set", "min_steps=2", "--set", "batch_size=2", "--model", "tiny-random"]
    main([str(file), "--labels", "8", *settings, "--pretext", str(file), "--pretext-steps", "2"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [row["model"] for row in found] == ["longer", "bag-of-words", "frozen-features", "pretext", "judge"]
    assert [row["steps"] for row in found[3:]] == [2, 4]
    assert len({row["n"] for row in found}) == 1
