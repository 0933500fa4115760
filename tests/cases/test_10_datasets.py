"""The world's layouts of preference data go in, and a column or a label that is called otherwise can be named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gramr2.comparison import Label, LabeledComparison
from gramr2.config.data import Layout, SourceConfig
from gramr2.config.load import load_config
from gramr2.data import load, load_labeled, load_unlabeled
from gramr2.errors import ConfigError, DataError

Cli = Callable[..., tuple[int, str, str]]
CHAT = [{"role": "user", "content": "2+2?"}]


def said(text: str) -> list[dict[str, str]]:
    return [*CHAT, {"role": "assistant", "content": text}]


def better(item: LabeledComparison) -> str:
    return (
        "tie" if item.label is Label.TIE else (item if item.label is Label.A else item.swap()).comparison.responses[0]
    )


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Add the numbers.", "input": "2 and 2", "chosen": "4", "rejected": "5"},
        {"input": "2+2?", "chosen": "4", "rejected": "5"},
        {"conversations": [{"from": "human", "value": "2+2?"}], "chosen": {"from": "gpt", "value": "4"}, "rejected": {"from": "gpt", "value": "5"}},
        {"prompt": "2+2?", "chosen": said("4"), "rejected": said("5"), "messages": said("4"), "score_chosen": 8.5},
        {"instruction": "2+2?", "output_1": "5", "output_2": "4", "preference": 2.0},
        {"question": "2+2?", "answer_a": "5", "answer_b": "4", "winner": "answer_b"},
        {"question": "2+2?", "answer_1": "5", "answer_2": "4", "preference": 2},
        {"prompt": "2+2?", "responses": ["5", "4"], "label": "model_b"},
        {"prompt": "2+2?", "responses": ["5", "4"], "scores": [1, 2.5]},
        {"prompt": "2+2?", "responses": ["5", "4"], "ranking": ["2", "1"]},
        {"prompt": "2+2?", "responses": ["5", "4"], "label": {"A": 0.1, "B": 0.7, "tie": 0.2}},
        {"prompt": "2+2?", "responses": ["5", said("4")], "label": ["B", "tie", "B"]},
    ],
)  # fmt: skip
def test_layouts(row: dict[str, Any], write: Callable[..., str]) -> None:
    (item,), _ = load_labeled(write(row))
    assert better(item) == "4"
    assert "2" in item.comparison.prompt_text


@pytest.mark.parametrize(
    "row",
    [
        {"conversation_a": said("5"), "conversation_b": said("6"), "winner": "tie (bothbad)", "turn": 1},
        {"context": CHAT, "response1": "4", "response2": "four", "overall_preference": 0},
        {"instruction": "2+2?", "output_1": "4", "output_2": "four", "preference": 1.5},
        {"prompt": "2+2?", "responses": ["4", "four"], "scores": [3, 3]},
        {"prompt": "2+2?", "responses": ["4", "four"], "label": ["A", "B"]},
    ],
)
def test_ties(row: dict[str, Any], write: Callable[..., str]) -> None:
    (item,), _ = load_labeled(write(row))
    assert item.label is Label.TIE


def test_votes_and_shares_say_how_certain_a_label_is(write: Callable[..., str]) -> None:
    row = {"prompt": "p", "responses": ["a", "b"]}
    items, _ = load_labeled(write(row | {"label": ["A", "tie", "A", "B"]}, row | {"label": {"A": 0.75, "B": 0.25}}))
    assert [item.target for item in items] == [(0.5, 0.25, 0.25), (0.75, 0.25, 0.0)]
    for label in ({"A": 0.75}, {"A": 1.5, "B": -0.5}, {"better": 1}, ["A", "C"]):
        with pytest.raises(DataError, match="label"):
            load_labeled(write(row | {"label": label}))


def test_scores_of_many_are_all_pairs_with_a_margin(write: Callable[..., str]) -> None:
    file = write({"id": "q", "prompt": "p", "responses": ["a", "b", "c"], "scores": [5, 4.5, 1]})
    for margin, labels in ((0, "AAA"), (0.5, "tAA"), (3.5, "tAt")):
        items, _ = load_labeled(file, layout=Layout(margin=margin))
        assert "".join(item.label.value[0] for item in items) == labels
        assert {item.comparison.group for item in items} == {"q"}
    with pytest.raises(DataError, match="3 numbers"):
        load_labeled(write({"prompt": "p", "responses": ["a", "b", "c"], "scores": [5, 4]}))
    many = write({"id": "q", "prompt": "p", "responses": list("abcdefgh"), "ranking": [8, 7, 6, 5, 4, 3, 2, 1]})
    items, _ = load_labeled(many)
    ordered = [item if item.label is Label.A else item.swap() for item in items]
    assert ["".join(item.comparison.responses) for item in ordered] == ["hg", "gf", "fe", "ed", "dc", "cb", "ba"]
    assert {item.label for item in items} == {Label.A, Label.B}, "a hash says which is shown first"


def test_columns_and_labels_of_any_name(write: Callable[..., str]) -> None:
    file = write({"q": "2+2?", "left text": "4", "right text": "5", "pref": 1.0, "note": "x"})
    layout = Layout(
        columns={"prompt": "q", "responses": ["left text", "right text"], "label": "pref"},
        label_map={1: "A", 2: "B"},  # type: ignore[dict-item]
        ignore=["note"],
    )
    (item,), _ = load_labeled(file, layout=layout)
    assert (item.label, item.comparison.responses, item.comparison.prompt_text) == ("A", ("4", "5"), "2+2?")
    with pytest.raises(DataError, match="note"):
        load_labeled(file, layout=layout.model_copy(update={"ignore": []}))
    with pytest.raises(DataError, match="label 1.0 .*label_map"):
        load_labeled(file, layout=layout.model_copy(update={"label_map": {}}))
    with pytest.raises(DataError, match="no column question"):
        load(file, layout=Layout(columns={"prompt": "question"}))


def test_a_mapped_column_hides_no_other(write: Callable[..., str]) -> None:
    file = write({"prompt": "p", "q": "2+2?", "responses": ["a", "b"]})
    with pytest.raises(DataError, match="prompt of its own"):
        load(file, layout=Layout(columns={"prompt": "q"}))
    layout = Layout(columns={"prompt": ["prompt", "q"]})
    assert load_unlabeled(file, layout=layout)[0][0].prompt_text == "p\n\n2+2?"


def test_the_command_line_says_the_same(cli: Cli, write: Callable[..., str]) -> None:
    file = write({"q": "2+2?", "a": "four", "b": "5", "pref": "left"})
    words = ("eval", "--model", "scripted:longer", "--benchmark", file, "--json")
    flags = ("--columns", "prompt=q", "--columns", "responses=a,b", "--columns", "label=pref", "--label-map", "left=A")
    code, out, _ = cli(*words, *flags)
    assert (code, json.loads(out)["accuracy"]) == (0, 1.0)
    for wrong, reason in (
        (("--columns", "prompt"), "NAME=VALUE"),
        (("--columns", "question=q"), "no column of gramr2"),
        (("--columns", "label=a,b"), "not a list"),
        (("--label-map", "left=C"), "--label-map"),
        (("--label-map", "left=A", "--label-map", "left=B"), "twice"),
        (("--margin", "-1"), "--margin"),
    ):
        code, _, err = cli(*words, *wrong)
        assert code == 2, wrong
        assert reason in err


def test_a_run_file_says_the_same(tmp_path: Path, write: Callable[..., str]) -> None:
    write({"q": "2+2?", "a": "four", "b": "5"}, name="x.csv")
    run = tmp_path / "run.yaml"
    seed = (
        "{path: x.csv, columns: {prompt: q, responses: [a, b], label: pref}, label_map: {1: A, left: B}, margin: 0.5}"
    )
    run.write_text(f"model: none\ndata: {{seed: {seed}, gold: 'starter:gold'}}\nrounds: 0\n")
    (source,) = load_config(run).data.seed
    assert (source.columns["responses"], source.label_map, source.margin) == (["a", "b"], {"1": "A", "left": "B"}, 0.5)
    run.write_text(run.read_text().replace("label: pref", "labels: pref"))
    with pytest.raises(ConfigError, match="'labels' is no column"):
        load_config(run)


def test_a_source_without_a_layout_is_dumped_and_read_as_before() -> None:
    old = {"path": "a.jsonl", "split": "train", "part": None, "limit": 3}
    assert SourceConfig.model_validate(old) == SourceConfig(path="a.jsonl", limit=3)


def test_kto_rows_of_one_prompt_are_pairs(write: Callable[..., str]) -> None:
    def row(prompt: str, completion: str, label: Any) -> dict[str, Any]:
        return {"prompt": prompt, "completion": completion, "label": label}

    rows = [row("2+2?", "4", True), row("2+3?", "5", True), row("2+2?", "5", False), row("2+2?", "6", False)]
    items, _ = load_labeled(write(*rows, row("2+3?", "9", "False")))
    pairs = [(item if item.label is Label.A else item.swap()).comparison.responses for item in items]
    assert pairs == [("4", "5"), ("4", "6"), ("5", "9")]
    assert [item.comparison.id for item in items] == ["in.jsonl:1-3", "in.jsonl:1-4", "in.jsonl:2-5"]
    with pytest.raises(DataError, match=r"in\.jsonl:2: no completion .* disliked"):
        load_labeled(write(*rows))
    with pytest.raises(DataError, match="hint"):
        load_labeled(write(rows[0], rows[2] | {"hint": "x"}))
