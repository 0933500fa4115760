"""``gramr2 init``: from data to a run file that is valid, says why, and trains."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from gramr2.config import load_config
from gramr2.evaluation.power import comparisons_for
from gramr2.selftraining.run.data import load_data


def labelled(count: int, first: int = 0, **extra: object) -> list[dict[str, object]]:
    return [
        {"prompt": f"Question {i}?", "responses": [f"right {i}", f"wrong {i} {'x' * (i % 5)}"], "label": "AB"[i % 2]}
        | extra
        for i in range(first, first + count)
    ]


def bare(count: int, first: int = 1000) -> list[dict[str, object]]:
    return [{"prompt": f"Question {i}?", "responses": [f"one {i}", f"two {i}"]} for i in range(first, first + count)]


def init(cli, *words: object) -> dict[str, object]:
    code, text, err = cli("init", *words, "--json", "--model", "tiny-random")
    assert code == 0, err
    found: dict[str, object] = json.loads(text)
    return found


def test_the_starter_set(cli, tmp_path: Path) -> None:
    out = tmp_path / "run.yaml"
    code, text, _ = cli("init", "starter:labeled", "starter:unlabeled", "starter:gold", "-o", out, "-m", "tiny-random")
    assert code == 0
    assert "starter:labeled: 448 labelled comparisons (A 194, B 195, tie 59)" in text
    assert "448 seed, 608 unlabelled, 244 gold comparisons, tiny-random" in text
    assert text.endswith(f"  gramr2 check {out} --cost\n  gramr2 train {out}\n")
    config = load_config(out)
    assert [each[0].path for each in (config.data.seed, config.data.pool, config.data.gold)] == [
        "starter:labeled",
        "starter:unlabeled",
        "starter:gold",
    ]
    assert (config.rounds, config.judge.mode, config.training.learning_rate) == (1, "label", 1e-4)
    written = out.read_text()
    assert f"5 points take {comparisons_for(0.05, 0.3)}" in " ".join(written.replace("#", " ").split())
    assert max(map(len, written.splitlines())) <= 130
    assert len(written.splitlines()) < 60
    assert cli("check", out)[0] == 0


def test_one_labelled_file_is_divided_by_prompts(cli, tmp_path: Path, write) -> None:
    rows = [row | {"id": f"{row['prompt']}{copy}"} for row in labelled(60) for copy in "ab"]
    for place, row in enumerate(rows):
        row["responses"] = [f"{text} {place}" for text in row["responses"]]  # type: ignore[attr-defined]
    file = write(*rows, name="data/labels.jsonl")
    out = tmp_path / "run.yaml"
    found = init(cli, file, "-o", out)
    assert found["seed"] + found["gold"] == 120  # type: ignore[operator]
    assert 30 <= found["gold"] <= 50  # type: ignore[operator]
    assert found["pool"] == 0
    assert "path: data/labels.jsonl" in out.read_text(), "it may be moved with its folder"
    data = load_data(load_config(out))
    learnt, measured = ({item.comparison.prompt_text for item in part} for part in (data.seed, data.gold))
    assert (len(data.seed), len(data.gold)) == (found["seed"], found["gold"])
    assert not learnt & measured
    assert load_config(out).rounds == 0
    assert any("60 different prompts" in told or "different prompts" in told for told in found["told"])  # type: ignore[attr-defined]


def test_unlabelled_rows_become_the_pool_without_the_prompts_that_measure(cli, tmp_path: Path, write) -> None:
    mixed = write(*labelled(40), *bare(30), name="mixed.jsonl")
    # The pool file repeats what is labelled.
    again = write(
        *[{k: v for k, v in row.items() if k != "label"} for row in labelled(40)], *bare(20, 2000), name="more.jsonl"
    )
    out = tmp_path / "run.yaml"
    found = init(cli, mixed, again, "-o", out)
    config = load_config(out)
    data = load_data(config)
    assert len(data.gold) == found["gold"]
    assert len(data.seed) == found["seed"]
    gold = {item.comparison.prompt_text for item in data.gold}
    assert not gold & {each.prompt_text for each in data.pool}
    assert len(data.pool) == found["pool"], "labelled rows are no part of it"
    assert [each.only_unlabeled for each in config.data.pool] == [True, False]
    assert load_config(out).data.on_bad_row == "skip"


def test_what_is_too_much_for_a_processor_is_limited(
    cli, tmp_path: Path, write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gramr2.starting import propose
    from gramr2.starting.parts import Most

    monkeypatch.setattr(propose, "ON_CPU", Most(20, 10))
    one, two = write(*labelled(60), name="a/x.jsonl"), write(*labelled(60, 500), name="b/x.jsonl")
    found = init(cli, one, two, write(*bare(30), name="p.jsonl"), "-o", tmp_path / "run.yaml")
    config = load_config(tmp_path / "run.yaml")
    data = load_data(config)
    assert (len(data.seed), len(data.pool)) == (found["seed"], found["pool"]) == (20, 10)
    assert [each.limit for each in (*config.data.seed, *config.data.pool)] == [10, 10, 10]
    assert any(told.startswith("a/x.jsonl: 60 labelled") for told in found["told"])  # type: ignore[attr-defined]


def test_preferences_and_a_file_named_test(cli, tmp_path: Path, write) -> None:
    rows = [{"prompt": f"p{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(30)]
    train, test = write(*rows[:20], name="train.jsonl"), write(*rows[20:], name="test.jsonl")
    found = init(cli, train, test, "-o", tmp_path / "run.yaml")
    assert (found["seed"], found["gold"]) == (20, 10)
    assert "test.jsonl measures, as its name says" in found["told"]  # type: ignore[operator]
    assert any("read as preferences" in told for told in found["told"])  # type: ignore[attr-defined]


def test_a_table_with_columns_of_its_own(cli, tmp_path: Path) -> None:
    file = tmp_path / "votes.csv"
    with file.open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["question", "left_text", "right_text", "pref", "comment"])
        rows.writerows(
            [f"q {i}", f"left {i}", f"right {i}", ["left", "right", "same"][i % 3], f"said {i}"] for i in range(30)
        )
    code, _, err = cli("init", file, "-o", tmp_path / "run.yaml")
    assert code == 2
    told = "--columns prompt=question --columns responses=left_text,right_text --columns label=pref --ignore comment"
    assert told in err
    assert len(err.strip().splitlines()) == 2, "a note on what is read, and one sentence"
    words = [*told.split(), "--label-map", "left=A", "--label-map", "right=B", "--label-map", "same=tie"]
    pool = tmp_path / "pool.csv"
    pool.write_text("question,left_text,right_text\nwhy,a,b\nhow,c,d\n")
    found = init(cli, file, pool, "-o", tmp_path / "run.yaml", *words)
    assert found["pool"] == 2, "what a file has no column for does not apply to it"
    config = load_config(tmp_path / "run.yaml")
    assert config.data.seed[0].label_map == {"left": "A", "right": "B", "same": "tie"}
    assert "label" not in config.data.pool[0].columns
    assert len(load_data(config).seed) == found["seed"]


def test_several_labels_of_a_comparison_become_one(cli, tmp_path: Path, write) -> None:
    rows = [
        row | {"annotator": who, "id": f"{i}{who}"}
        for i, row in enumerate(labelled(20))
        for who in ("ann", "bob", "cy")
    ]
    rows[0]["label"] = "tie"
    found = init(cli, write(*rows), "-o", tmp_path / "run.yaml")
    config = load_config(tmp_path / "run.yaml")
    assert config.data.aggregate == "majority"
    data = load_data(config)
    assert len(data.seed) + len(data.gold) == 20
    assert "3 annotators are named" in found["told"]  # type: ignore[operator]


def test_a_model_in_a_file_is_named_from_the_run_file(
    cli, tmp_path: Path, write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*labelled(12), name="d.jsonl")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    code, _, err = cli("init", "d.jsonl", "-m", "m.gguf", "-o", "conf/run.yaml")
    assert code == 0, err
    assert "name: ../m.gguf" in (tmp_path / "conf" / "run.yaml").read_text()
    assert load_config(tmp_path / "conf" / "run.yaml").model.name == str(tmp_path / "m.gguf")


def test_a_file_is_never_overwritten_unasked_nor_left_half_written(cli, tmp_path: Path, write) -> None:
    out = tmp_path / "run.yaml"
    out.write_text("mine")
    file = write(*labelled(12))
    code, _, err = cli("init", file, "-o", out)
    assert (code, "exists" in err, "--force" in err) == (2, True, True)
    assert out.read_text() == "mine"
    leaking = write(*labelled(3), name="gold.jsonl")
    code, _, err = cli("init", file, "--gold", leaking, "-o", out, "--force", "-q")
    assert (code, "3 comparisons of data.gold are also in data.seed" in err) == (2, True)
    assert out.read_text() == "mine"
    assert cli("init", file, "-o", out, "--force", "-m", "tiny-random")[0] == 0
    assert load_config(out).model.name == "tiny-random"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["gold.jsonl", "in.jsonl", "run.yaml"]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (bare(5), "there is no label in it, and a judge begins with some"),
        (labelled(2), "2 labelled comparisons of 2 prompts cannot be divided"),
        ([row | {"prompt": "same"} for row in labelled(9)], "9 labelled comparisons of 1 prompts cannot be divided"),
        (
            [{"prompt": f"p{i}", "response_1": f"a{i}", "response_2": f"b{i}", "label": i % 2} for i in range(9)],
            "in.jsonl:1: label 0 where the columns are response_1 and response_2: with 0 and 1 in a file, 1 may be either "
            "response: say what each number means with label_map\n",
        ),
        ([{"text": "hello"}], "no usable comparison in 1 rows; the first reason:"),
    ],
)
def test_bad_data_give_one_sentence(cli, tmp_path: Path, write, rows: list[dict[str, object]], sentence: str) -> None:
    code, _, err = cli("init", write(*rows), "-o", tmp_path / "run.yaml", "-q")
    assert code == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run.yaml").exists()


def test_a_name_that_is_no_model_or_no_file_is_refused(cli, tmp_path: Path, write) -> None:
    assert (
        "did you mean tiny-random?"
        in cli("init", write(*labelled(9)), "-m", "tiny-randm", "-o", tmp_path / "r.yaml")[2]
    )
    assert "no such file" in cli("init", tmp_path / "none.jsonl", "-o", tmp_path / "r.yaml")[2]


def test_what_train_would_refuse_is_dropped(cli, tmp_path: Path, write) -> None:
    # 832 tokens of the 1,024 that lab-tiny takes: room for the label that is learnt, not for what a judge may write.
    long = {"responses": ["x " * 400, "short"]}
    files = [
        write(*rows, name=name)
        for name, rows in (
            ("seed.jsonl", [*labelled(8), labelled(1, 8)[0] | long]),
            ("pool.jsonl", [*bare(10), bare(1, 2000)[0] | long]),
            ("gold.jsonl", [*labelled(8, 100), labelled(1, 200)[0] | long]),
        )
    ]
    out = tmp_path / "run.yaml"
    code, text, err = cli("init", *files, "-o", out, "-m", "lab-tiny")
    assert code == 0, err
    assert "- 2 comparisons do not fit lab-tiny and are dropped: text is never cut" in text
    assert load_config(out).data.on_overlong == "drop"


@pytest.mark.slow
def test_what_is_written_trains(cli, tmp_path: Path, write) -> None:
    out = tmp_path / "run.yaml"
    code, _, err = cli("init", write(*labelled(16)), write(*bare(12), name="p.jsonl"), "-o", out, "-m", "lab-tiny")
    assert code == 0, err
    out.write_text(out.read_text().replace("min_steps: 64", "min_steps: 2").replace("epochs: 2", "epochs: 1"))
    code, text, err = cli("train", out, "--out", tmp_path / "run", "--json")
    assert code == 0, err
    result = json.loads(text)
    assert [row["round"] for row in result["rounds"]] == [0, 1]
    assert result["rounds"][1]["pool"]["judged"] == 12
