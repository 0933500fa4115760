"""``gramr2 rank`` as a new user would call it, and the rows it reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.data import OnBadRow, load_responses, load_sets
from gramr2.errors import DataError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "sets.jsonl"
    rows = [
        {"id": 7, "prompt": "Say x.", "responses": ["x", "xxx", "xx"]},
        {"prompt": [{"role": "user", "content": "Say x."}], "responses": ["xx", "xx", "x", "xxxx"]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_it_announces_the_cost_and_writes_an_order_per_prompt(cli, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "ranked.jsonl"
    code, text, notes = cli("rank", "-m", "scripted:longer", "-d", str(data), "-o", str(out))
    assert code == 0
    assert "6 comparisons of 2 prompts (round-robin), about 0 s" in notes
    assert "2 prompts ranked in 6 comparisons, 100.0 % decided, 0.0 % of triples circular" in text
    first, second = map(json.loads, out.read_text().splitlines())
    assert (first["id"], first["best"], first["best_response"]) == ("7", 1, "xxx")
    assert [place["index"] for place in first["places"]] == [1, 2, 0]
    assert all(place["low"] < place["score"] < place["high"] for place in first["places"])
    assert [(place["index"], place["rank"]) for place in second["places"]] == [(3, 1), (0, 2), (1, 2), (2, 3)]
    assert {index for match in second["matches"] for index in match[:2]} == {0, 2, 3}


def test_the_extremes_are_pairs_to_train_on(cli, data: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    words = ("rank", "-d", str(data), "-o", str(tmp_path / "ranked.jsonl"), "--pairs", str(pairs))
    code, text, _ = cli(*words, "-m", "scripted:longer")
    assert code == 0
    assert f"2 of 2 prompts have a preference → {pairs}" in text
    first = json.loads(pairs.read_text().splitlines()[0])
    assert (first["chosen"][0]["content"], first["rejected"][0]["content"]) == ("xxx", "x")
    code, text, _ = cli(*words, "-m", "scripted:always-a", "--json")
    assert json.loads(text)["pairs"] == 0
    assert pairs.read_text() == ""


def test_a_budget_alone_asks_for_its_scheme(cli, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "ranked.jsonl"
    code, text, _ = cli(
        "rank",
        "-m",
        "scripted:longer",
        "-d",
        str(data),
        "-o",
        str(out),
        "--budget",
        "2",
        "--aggregation",
        "elo",
        "--json",
    )
    assert code == 0
    assert json.loads(text)["comparisons"] == 4
    code, _, error = cli("rank", "-m", "scripted:longer", "-d", str(data), "-o", str(out), "--scheme", "budget")
    assert code != 0
    assert "give --budget N" in error


def test_a_judge_that_decides_nothing_leaves_the_best_open(cli, data: Path, tmp_path: Path, monkeypatch) -> None:
    from gramr2.judging import scripted

    monkeypatch.setitem(scripted.SCRIPTS, "mute", lambda request, seed: "no idea")
    out = tmp_path / "ranked.jsonl"
    code, text, error = cli("rank", "-m", "scripted:mute", "-d", str(data), "-o", str(out), "--json")
    assert (code, "nothing is ranked" in error) == (1, True)
    assert json.loads(text)["undecided"] == ["7", "sets.jsonl:2"]
    assert [json.loads(line)["best"] for line in out.read_text().splitlines()] == [None, None]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "p", "responses": ["x"]}, "2 to 64 responses, not 1"),
        ({"prompt": "p", "responses": ["x"] * 65}, "not 65"),
        ({"prompt": "p", "responses": "xy"}, "must be a list"),
        ({"prompt": "p", "responses": ["x", 3]}, r"responses\[1\]"),
        ({"responses": ["x", "y"]}, "there is no prompt; the columns here are responses"),
        ([1, 2], "not a JSON object"),
    ],
)
def test_a_bad_row_is_named_or_skipped(row: object, reason: str, data: Path) -> None:
    with data.open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=rf"sets\.jsonl:3: .*{reason}"):
        load_sets(str(data))
    kept, report = load_sets(str(data), on_bad_row=OnBadRow.SKIP)
    assert (len(kept), len(report.skipped)) == (2, 1)


def test_responses_to_score_come_one_by_one_or_from_sets(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(
        '{"prompt": "p", "response": "r", "reference": "q"}\n{"id": "s", "prompt": "p", "responses": ["a", "b"]}\n'
        '{"id": "t", "prompt": "p", "response": "r", "references": ["q", "o"]}\n'
    )
    items, _ = load_responses(str(path))
    assert [(item.id, item.response, item.references) for item in items] == [
        ("one.jsonl:1", "r", ("q",)),
        ("s:0", "a", ()),
        ("s:1", "b", ()),
        ("t", "r", ("q", "o")),
    ]
    path.write_text('{"prompt": "p", "response": "r", "reference": "q", "references": ["q", "o"]}\n')
    with pytest.raises(DataError, match=r"one\.jsonl:1: it has both reference and references"):
        load_responses(str(path))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("id", "prompt", "responses", "response", "reference", "references"), json_values)
    )
)
def test_any_row_is_a_set_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, row: dict[str, object]) -> None:
    path = tmp_path_factory.mktemp("rows") / "f.jsonl"
    path.write_text(json.dumps(row))
    for load in (load_sets, load_responses):
        try:
            load(str(path))
        except DataError as error:
            assert "f.jsonl" in str(error)
