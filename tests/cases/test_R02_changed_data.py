"""Data or a model exchanged under the same name: the run is refused with the difference, and nothing in it changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from runs import PARTS, ROWS, Case, case, other_label

from gramr2.errors import DataError, RunError

__all__ = ["case"]

CHANGES: dict[str, tuple[Callable[[Case], object], str]] = {
    "gold: other rows of the same count": (lambda c: c.write("gold", ROWS[41:57]), r"data.gold: 16 .* gone \('i24', ….*16 .* new \('i41'"),
    "gold: labels reversed": (lambda c: c.write("gold", [other_label(r) for r in ROWS[24:40]]), "data.gold: 16 comparisons changed"),
    "gold: fewer rows": (lambda c: c.write("gold", ROWS[24:32]), r"data.gold: 8 comparisons gone \('i32'"),
    "gold: more rows": (lambda c: c.write("gold", ROWS[24:48]), r"data.gold: 8 comparisons new \('i40'"),
    "gold: another order": (lambda c: c.write("gold", ROWS[24:40][::-1]), "data.gold: the same comparisons in another order"),
    "seed: other labels": (lambda c: c.write("seed", [other_label(ROWS[0]), *ROWS[1:12]]), r"data.seed: 1 comparison changed \('i0'\)"),
    "pool: other texts": (lambda c: c.write("pool", [r | {"responses": ["x", "y"]} for r in ROWS[12:24]]), "data.pool: 12 comparisons changed"),
    "all data": (lambda c: [c.write("gold", ROWS[41:57]), c.write("seed", ROWS[1:5])], "data.seed: .*; data.gold: "),
    "weights": (lambda c: (c.model / "model.safetensors").write_text("{} MODEL.safetensors"), r"model: 1 file changed \('model.safetensors'\)"),
    "chat template": (lambda c: (c.model / "chat_template.jinja").write_text("Say B."), r"model: 1 file changed \('chat_template.jinja'\)"),
    "end token": (lambda c: (c.model / "tokenizer_config.json").write_text("{}"), r"model: 1 file changed \('tokenizer_config.json'\)"),
    "a new file": (lambda c: (c.model / "generation_config.json").write_text("{}"), r"model: 1 file new \('generation_config.json'\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("stage", ["after round 0", "finished"])
def test_it_is_refused_with_the_difference(case: Case, name: str, stage: str) -> None:
    if stage == "after round 0":
        for place in ("judge", "rounds/1", "rounds/2"):
            shutil.rmtree(case.run / place)
    before = case.outcome()
    change, said = CHANGES[name]
    change(case)
    with pytest.raises(RunError, match=f"was started with other inputs .*{said}.*restore them or give a new folder"):
        case.train()
    assert case.outcome() == before


def test_gold_that_has_moved_into_the_pool_is_refused(case: Case) -> None:
    case.write("pool", ROWS[20:30])
    with pytest.raises(DataError, match="data.gold"):
        case.train()


def test_the_same_content_in_other_bytes_goes_on(case: Case) -> None:
    before, said = case.outcome(), case.train().notes
    for part, (low, high) in PARTS.items():
        case.write(part, [dict(reversed(row.items())) for row in ROWS[low:high]])
    assert case.train().notes == said
    assert case.outcome() == before
    assert case.engine.trained == []


OLDER = {
    "gold: other rows of the same count": "data.gold: 16 of 16",
    "gold: labels reversed": "data.gold: 16 of 16",
    "gold: fewer rows": "data.gold: n was 16 and is 8",
    "gold: more rows": "data.gold: n was 16 and is 24",
    "seed: other labels": "data.seed: labels was",
    "all data": "data.seed: n was 12 and is 4",
}


@pytest.mark.parametrize("name", OLDER)
def test_a_run_of_an_older_version_is_held_to_what_it_wrote_down(case: Case, name: str) -> None:
    case.made_by_an_older_version()
    CHANGES[name][0](case)
    before = case.outcome()
    with pytest.raises(RunError, match=OLDER[name]):
        case.train()
    assert case.outcome() == before


def test_the_dropped_comparisons_of_an_older_version_tell_of_the_pool(tmp_path: Case) -> None:
    case = Case(tmp_path)  # type: ignore[arg-type]
    strict = {"filters": [{"kind": "confidence", "threshold": 1.0}, {"kind": "duplicates"}], "rounds": 1}
    case.write("pool", [row | {"responses": ["as long", "as this"]} for row in ROWS[12:24]])
    case.train(**strict)
    case.made_by_an_older_version()
    case.write("pool", ROWS[12:24])
    with pytest.raises(RunError, match="data.pool: 6 of 6 comparisons that were judged are others"):
        case.train(**strict)


def test_a_run_of_an_older_version_is_adopted_with_one_note(case: Case) -> None:
    before, said = case.outcome(), case.train().notes
    case.made_by_an_older_version()
    note, *rest = case.train().notes
    assert rest == said
    assert "an older version" in note
    assert "not all of them can be checked" in note
    assert case.outcome() == before, "digests and manifests are those of this version"
    assert case.train().notes == said
