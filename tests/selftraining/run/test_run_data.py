"""The data of a run: what is held out, what is refused when they are loaded, and which comparisons fit the token budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import labeled, make
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config import RunConfig, parse_config
from gramr2.errors import DataError, PromptTooLongError
from gramr2.files import write_jsonl
from gramr2.judging.records import comparison_row, labeled_row
from gramr2.judging.template import JudgeTemplate
from gramr2.selftraining.run.data import RunData, fit_to_budget, load_data

TAGS = 32
"""tokens that the budget leaves for the tags of an answer"""
LONG = "word " * 200
PARTS = ("seed", "held_out", "pool", "gold", "proving", "final")


def config(data: dict[str, Any] | None = None, **changes: Any) -> RunConfig:
    sources = {"seed": "seed.jsonl", "pool": "pool.jsonl", "gold": "gold.jsonl"} | (data or {})
    return parse_config({"model": "none", "data": sources, "filters": []} | changes)


def named(item: Comparison | LabeledComparison) -> str:
    return item.id if isinstance(item, Comparison) else item.comparison.id


def several(prefix: str, count: int, rationale: str | None = None) -> list[LabeledComparison]:
    return [labeled(f"{prefix}{i}", list(Label)[i % 3], rationale) for i in range(count)]


def stored(folder: Path, **parts: Sequence[LabeledComparison]) -> dict[str, str]:
    """Files with these comparisons; the parts that are not given have three of their own."""
    files: dict[str, str] = {}
    for name, items in ({part: several(part, 3) for part in ("seed", "pool", "gold")} | parts).items():
        rows = [comparison_row(i.comparison) if name == "pool" else labeled_row(i) for i in items]
        write_jsonl(folder / f"{name}.jsonl", rows)
        files[name] = str(folder / f"{name}.jsonl")
    return files


@pytest.mark.parametrize(
    ("count", "share", "changes", "expected"),
    [
        (40, 0.4, {"filters": [{"kind": "confidence"}]}, 16),
        (39, 0.4, {"filters": [{"kind": "confidence"}]}, 16),
        (38, 0.4, {"filters": [{"kind": "confidence"}]}, 0),
        (40, 0.5, {"filters": [{"kind": "confidence", "calibrate": False}]}, 0),
        (40, 0.5, {"filters": [{"kind": "confidence"}], "rounds": 0}, 0),
        (40, 0.5, {}, 0),
    ],
)
@pytest.mark.parametrize("always", [False, True])
def test_a_part_of_the_seed_is_held_out_where_it_calibrates_and_is_large_enough(
    tmp_path: Path, count: int, share: float, changes: dict[str, Any], expected: int, always: bool
) -> None:
    files = stored(tmp_path, seed=several("s", count))
    data = load_data(
        config(files | {"held_out_share": share, "hold_out": "always" if always else "calibrated"}, **changes)
    )
    if always:
        expected = round(count * share) if count * share >= 15.5 else 0
    assert len(data.held_out) == data.summary["held_out"]["n"] == expected
    # Every comparison is in one of the two parts, both in the order of the file.
    places = [int(named(item)[1:]) for item in (*data.seed, *data.held_out)]
    assert sorted(places) == list(range(count))
    assert all(each == sorted(each) for each in (places[: len(data.seed)], places[len(data.seed) :]))
    assert data.summary["seed"]["n"] == count


def test_what_is_held_out_belongs_to_the_runs_seed(tmp_path: Path) -> None:
    files = stored(tmp_path, seed=several("s", 60)) | {"held_out_share": 0.4, "hold_out": "always"}
    drawn = [tuple(map(named, load_data(config(files, seed=seed)).held_out)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_comparisons_of_one_prompt_are_held_out_together_or_not_at_all(tmp_path: Path) -> None:
    seed = [
        LabeledComparison(Comparison(f"s{i}", make(f"p{i // 3}").prompt, (f"a{i}", f"b{i}")), Label.A)
        for i in range(60)
    ]
    files = stored(tmp_path, seed=seed) | {"held_out_share": 0.4, "hold_out": "always"}
    data = load_data(config(files))
    trained, out = ({item.comparison.prompt for item in part} for part in (data.seed, data.held_out))
    assert (len(data.seed), len(data.held_out)) == (36, 24)
    assert not trained & out
    # Of four prompts with 15 comparisons only one would fit, which is too little to calibrate on.
    four = [
        replace(item, comparison=replace(item.comparison, prompt=make(f"p{i // 15}").prompt))
        for i, item in enumerate(seed)
    ]
    assert load_data(config(stored(tmp_path, seed=four) | {"held_out_share": 0.4, "hold_out": "always"})).held_out == ()


@pytest.mark.parametrize("part", ["seed", "pool", "gold"])
def test_an_id_that_stands_in_two_sources_is_refused(tmp_path: Path, part: str) -> None:
    files = stored(
        tmp_path, other=[*several("new", 2), replace(labeled(f"{part}1", Label.A), comparison=make(f"{part}1", a="x"))]
    )
    other = files.pop("other")
    assert load_data(config(files)).summary["pool"]["n"] == 3
    with pytest.raises(DataError, match=rf"data\.{part}.*'{part}1'.*two sources"):
        load_data(config(files | {part: [files[part], other]}))


def test_bad_rows_are_refused_or_counted_by_part(tmp_path: Path) -> None:
    files = stored(tmp_path)
    with Path(files["gold"]).open("a") as file:
        file.write('{"id": "bad"}\n')
    with pytest.raises(DataError, match="gold"):
        load_data(config(files))
    data = load_data(config(files | {"on_bad_row": "skip"}))
    assert {part: len(reasons) for part, reasons in data.summary["skipped"].items()} == {
        "seed": 0,
        "pool": 0,
        "gold": 1,
    }
    assert list(map(named, data.gold)) == ["gold0", "gold1", "gold2"]


def test_a_limit_draws_by_the_seed_from_its_own_source(tmp_path: Path) -> None:
    files = stored(tmp_path, pool=several("p", 30), other=several("q", 2))
    other = files.pop("other")
    files = {**files, "pool": [{"path": files["pool"], "limit": 4}, other]}
    drawn = [list(map(named, load_data(config(files, seed=seed)).pool)) for seed in (0, 0, 1)]
    assert [name[0] for name in drawn[0]] == ["p"] * 4 + ["q"] * 2
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_summary_counts_labels_and_rationales(tmp_path: Path) -> None:
    seed = [labeled("s0", Label.A, "why"), labeled("s1", Label.TIE), labeled("s2", Label.A)]
    # The second response is the longer one.
    gold = [labeled("g0", Label.B), labeled("g1", Label.B), labeled("g2", Label.A), labeled("g3", Label.B)]
    summary = load_data(config(stored(tmp_path, seed=seed, gold=gold))).summary
    assert summary["seed"] == {"n": 3, "labels": {"A": 2, "B": 0, "tie": 1}, "with_rationale": 1}
    assert summary["gold"]["longer_response_accuracy"] == 0.75


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        ("data.seed", lambda file: {}),
        ("rationale.proving.data", lambda file: {"rationale": {"source": "proving", "proving": {"data": file}}}),
        ("final.data", lambda file: {"final": {"data": file}}),
    ],
)
def test_what_is_learnt_must_not_be_in_gold_either(
    tmp_path: Path, place: str, changes: Callable[[str], dict[str, Any]]
) -> None:
    copy = LabeledComparison(Comparison("copy", make("gold1").prompt, make("gold1").responses[::-1]), Label.A, "why")
    files = stored(tmp_path, other=[copy, labeled("fresh", Label.A, "why")])
    other = files.pop("other")
    files |= {"seed": [files["seed"], other]} if place == "data.seed" else {}
    with pytest.raises(DataError, match=rf"1 comparisons of data\.gold are also in {place}"):
        load_data(config(files, **changes(other)))


def test_stages_that_learn_from_rationales_take_the_annotated_ones(tmp_path: Path) -> None:
    seed = [labeled("s0", Label.A, "why"), labeled("s1", Label.B), labeled("s2", Label.TIE, "so")]
    files = stored(
        tmp_path, seed=seed, other=[labeled("o0", Label.A), labeled("o1", Label.A, "why")], bare=several("b", 2)
    )
    other, bare = files.pop("other"), files.pop("bare")
    both = {"rationale": "proving", "final": {}}
    data = load_data(config(files, **both))
    assert [list(map(named, part)) for part in (data.proving, data.final)] == [["s0", "s2"]] * 2
    data = load_data(config(files, rationale={"source": "proving", "proving": {"data": other}}, final={"data": other}))
    assert [list(map(named, part)) for part in (data.proving, data.final)] == [["o1"]] * 2
    with pytest.raises(DataError, match=r"rationale\.proving\.data has none"):
        load_data(config(files, rationale={"source": "proving", "proving": {"data": bare}}))
    with pytest.raises(DataError, match=r"final\.data has none"):
        load_data(config(files, final={"data": bare}))
    # A stage that the run does not have takes nothing, and a prover that is not taught needs nothing.
    assert load_data(config(files)).final == load_data(config(files)).proving == ()
    untaught = {"source": "proving", "proving": {"train": False, "data": bare}}
    assert len(load_data(config(files, rationale=untaught)).proving) == 2


def test_what_is_held_out_is_learnt_nowhere(tmp_path: Path) -> None:
    """A stage that names the whole seed file, too, leaves it out."""
    files = stored(tmp_path, seed=several("s", 100, "why"))
    named_again: dict[str, Any] = {"final": {"data": files["seed"]}}
    proving = {"source": "proving", "proving": {"data": files["seed"]}}
    run = config(files | {"hold_out": "always", "held_out_share": 0.2}, rationale=proving, **named_again)
    loaded = load_data(run)
    data = fit_to_budget(loaded, run, JudgeTemplate(), Letters())
    out = {named(item) for item in data.held_out}
    assert len(out) >= 16
    for learnt in (data.seed, data.final, data.proving):
        assert {named(item) for item in learnt} == {f"s{i}" for i in range(100)} - out
    assert data.summary["held_out"] == {
        "n": len(out), "left_out": {"rationale.proving.data": len(out), "final.data": len(out)}
    }  # fmt: skip
    assert len(loaded.final) == 100, "the inputs of the run are those that it names"
    with pytest.raises(DataError, match=r"final\.data: every comparison is held out"):
        fit_to_budget(replace(loaded, final=loaded.held_out), run, JudgeTemplate(), Letters())


def data_with(part: str, item: Comparison | LabeledComparison) -> RunData:
    """Short comparisons in every part, and in one of them this one too."""
    short = {name: (labeled(name, Label.A, "why"),) for name in ("seed", "gold", "held_out", "proving", "final")}
    parts: dict[str, Any] = {**short, "pool": (make("pool"),)}
    return RunData(**parts | {part: (*parts[part], item)}, summary={"seed": {"n": 1}})


class Letters(ScriptedBackend):
    """Counts letters as tokens."""

    def __init__(self, context_length: int = 1 << 20) -> None:
        super().__init__(lambda request, seed: "", context_length=context_length)

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        return sum(len(turn.content) for turn in messages) + len(answer)


def letters(comparison: Comparison) -> int:
    [shown] = JudgeTemplate().render(comparison)
    return len(shown.content) + len("<think>\nFeedback:")


def of(part: str, long: Comparison, rationale: str | None = None) -> Comparison | LabeledComparison:
    return long if part == "pool" else LabeledComparison(long, Label.A, rationale)


RATIONALE = "Feedback: why.\nConclusion: Response A is better."
ANSWER = len(f"<think>\n{RATIONALE}\n</think>\n<answer>A</answer>")
BARE = len("<answer>A</answer>")
POOL, GOLD, PROOF = ANSWER + 20, ANSWER + 10, ANSWER + 50
ROOMS: dict[str, Any] = {"judge": {"pool": {"max_new_tokens": POOL}, "gold": {"max_new_tokens": GOLD}}}
PROVING: dict[str, Any] = {"rationale": {"source": "proving", "proving": {"max_new_tokens": PROOF}}}
OWN: dict[str, Any] = {"rationale": {"own_for_seed": 2}}
GOLD_LONG = ANSWER + 90
WEIGHED: dict[str, Any] = {
    "judge": {"verdict": "both", "pool": {"max_new_tokens": 9}, "gold": {"max_new_tokens": GOLD_LONG}}
}
DIRECT: dict[str, Any] = {"judge": WEIGHED["judge"] | {"verdict": "direct"}}
VIEW: dict[str, Any] = {"second_view": {"name": "bag-of-words", "verdict_weight": 1}}
SHORT: dict[str, Any] = {"judge": {"pool": {"max_new_tokens": 9}, "gold": {"max_new_tokens": 8}}}


@pytest.mark.parametrize(
    ("part", "settings", "room"),
    [
        ("seed", ROOMS, ANSWER),
        ("seed", ROOMS | OWN, ANSWER),
        ("seed", SHORT | OWN, ANSWER),
        ("seed", ROOMS | PROVING, ANSWER),
        ("seed", ROOMS | {"rationale": {"source": "proving", "proving": {"rationales_for_seed": False}}}, ANSWER),
        ("held_out", ROOMS, POOL),
        ("held_out", SHORT, 9),
        ("pool", ROOMS, POOL),
        ("pool", SHORT | PROVING, PROOF),
        ("pool", ROOMS | {"rationale": {"source": "proving", "proving": {"max_new_tokens": 1}}}, POOL),
        ("gold", ROOMS, GOLD),
        ("held_out", WEIGHED, GOLD_LONG),
        ("pool", WEIGHED, GOLD_LONG),
        ("held_out", WEIGHED | DIRECT, 9),
        ("pool", WEIGHED | DIRECT, 9),
        ("pool", WEIGHED | DIRECT | VIEW, GOLD_LONG),
        ("gold", SHORT | PROVING, 8),
        ("proving", ROOMS | PROVING, ANSWER),
        ("final", ROOMS, ANSWER),
    ],
)
def test_prompt_answer_and_tags_must_fit_the_context_to_the_last_token(
    part: str, settings: dict[str, Any], room: int
) -> None:
    """A comparison that is learnt needs room for its answer, one that is judged for what may be written on it."""
    long = make("long", a=LONG)
    data, run = data_with(part, of(part, long, RATIONALE)), config({"on_overlong": "drop"}, **settings)
    for spare, fits in ((0, True), (-1, False)):
        found = fit_to_budget(data, run, JudgeTemplate(), Letters(letters(long) + room + TAGS + spare))
        left = {name: list(map(named, getattr(found, name))) for name in PARTS}
        assert left == {name: [name] for name in PARTS} | {part: [part, "long"] if fits else [part]}
        dropped = {} if fits else {part: ["long"]}
        assert found.summary == {"seed": {"n": 1}, "overlong": {"seed": [], "pool": [], "gold": []} | dropped}


@pytest.mark.parametrize(
    ("settings", "room"),
    [
        (ROOMS, BARE),
        (ROOMS | OWN, POOL),
        (OWN | {"judge": ROOMS["judge"] | {"gold": {"max_new_tokens": GOLD_LONG}}}, POOL),
        (ROOMS | PROVING, PROOF),
        (ROOMS | {"rationale": {"source": "proving", "proving": {"rationales_for_seed": False}}}, BARE),
    ],
    ids=["label", "own", "own, with long ones in gold", "proof", "no proof"],
)
def test_a_seed_comparison_without_a_rationale_needs_room_for_the_one_that_is_written(
    settings: dict[str, Any], room: int
) -> None:
    long = make("long", a=LONG)
    data, run = data_with("seed", LabeledComparison(long, Label.A)), config({"on_overlong": "drop"}, **settings)
    for spare, fits in ((0, True), (-1, False)):
        found = fit_to_budget(data, run, JudgeTemplate(), Letters(letters(long) + room + TAGS + spare))
        assert [named(item) for item in found.seed] == (["seed", "long"] if fits else ["seed"])


def test_the_prompts_own_limit_counts_where_it_is_the_smaller() -> None:
    long = make("long", a=LONG)
    data, counter = data_with("pool", long), Letters()
    for limit, fits in ((letters(long), True), (letters(long) - 1, False)):
        found = fit_to_budget(
            data, config({"on_overlong": "drop", "max_prompt_tokens": limit}), JudgeTemplate(), counter
        )
        assert len(found.pool) == 1 + fits
    narrow = Letters(1000)
    assert (
        len(
            fit_to_budget(
                data, config({"on_overlong": "drop", "max_prompt_tokens": 9999}), JudgeTemplate(), narrow
            ).pool
        )
        == 1
    )


@pytest.mark.parametrize(
    ("part", "called"),
    [
        ("seed", r"data\.seed:"),
        ("held_out", r"data\.seed \(held out\):"),
        ("pool", r"data\.pool:"),
        ("gold", r"data\.gold:"),
        ("proving", r"rationale\.proving\.data:"),
        ("final", r"final\.data:"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_its_place(part: str, called: str) -> None:
    long = make("long", a=LONG)
    data = data_with(part, of(part, long))
    counter = Letters()
    with pytest.raises(PromptTooLongError, match=f"^{called} 1 of 2 .*'long'"):
        fit_to_budget(data, config({"max_prompt_tokens": letters(long) - 1}), JudgeTemplate(), counter)
    fitting = fit_to_budget(data, config({"max_prompt_tokens": letters(long)}), JudgeTemplate(), counter)
    assert fitting == replace(data, summary=fitting.summary)


@pytest.mark.parametrize("part", ["seed", "gold"])
def test_a_part_that_is_needed_must_not_become_empty(part: str) -> None:
    long = make("long", a=LONG)
    data = replace(data_with("pool", long), **{part: (of(part, long),)})
    run = config({"on_overlong": "drop", "max_prompt_tokens": letters(long) - 1})
    counter = Letters()
    with pytest.raises(DataError, match=rf"data\.{part}: every comparison.*max_prompt_tokens"):
        fit_to_budget(data, run, JudgeTemplate(), counter)
    # The pool may.
    assert fit_to_budget(replace(data_with("gold", long), pool=(long,)), run, JudgeTemplate(), counter).pool == ()


def test_files_of_the_same_name_in_two_folders_have_ids_of_their_own(tmp_path: Path) -> None:
    paths = []
    for folder, word in (("one", "x"), ("two", "y")):
        (tmp_path / folder).mkdir()
        rows = [{"prompt": f"{word}{i}", "responses": ["a", "b"], "label": "A"} for i in range(2)]
        write_jsonl(tmp_path / folder / "d.jsonl", rows)
        paths.append(str(tmp_path / folder / "d.jsonl"))
    gold = {"path": "starter:gold", "limit": 4}
    halves = [{"path": paths[0], "part": [0, 0.5]}, {"path": paths[0], "part": [0.5, 1]}]
    data = load_data(config({"seed": paths, "pool": [*halves, paths[1]], "gold": gold}))
    names = ["d.jsonl:1", "d.jsonl:2", "two/d.jsonl:1", "two/d.jsonl:2"]
    assert [named(item) for item in data.seed] == names
    # Two parts of one file are one file, whose ids were distinct before.
    assert sorted(named(item) for item in data.pool) == names
