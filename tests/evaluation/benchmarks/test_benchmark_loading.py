"""Opening a benchmark: its digest and version, its rows refused by name, its parts on the hub and in folders."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gramr2.comparison import Label
from gramr2.errors import ConfigError, DataError
from gramr2.evaluation.benchmarks import OnFailure, Pair, Verdict, benchmark, benchmarks, load

Write = Callable[..., str]
NAMES = (
    "alpaca-eval, arena-hard, comparisons, contextual-judge-bench, helpsteer3, hhh, jetts, judgebench, llmbar, mt-bench-human, "
    "ppe-best-of-k, ppe-correctness, ppe-preference, rewardbench, rewardbench2, rmb, rmbench"
)


def row(number: int = 0, subset: str = "donotanswer") -> dict[str, object]:
    return {"id": number, "subset": subset, "prompt": f"Question {number}", "chosen": "Yes.", "rejected": "No."}


def test_every_benchmark_has_a_line_in_the_table_and_a_public_policy_that_applies() -> None:
    found = benchmarks()
    assert ", ".join(found) == NAMES
    for each in found.values():
        assert all((each.measures, each.asks, each.metric, each.layout, each.verified, each.licence, each.home))
        assert each.policy in each.policies
        assert type(each).__doc__
    with pytest.raises(
        ConfigError, match="there is no benchmark 'rewardbanch' .did you mean rewardbench.*: take one of alpaca-eval"
    ):
        benchmark("rewardbanch")


def test_the_digest_is_of_the_content_and_not_of_its_layout_order_or_placement(write: Write) -> None:
    rows = [row(i) for i in range(12)]
    first = load("rewardbench", write(*rows))
    for source, seed in ((write(*rows[::-1], name="b.jsonl"), 0), (write(*rows), 5)):
        other = load("rewardbench", source, seed=seed)
        assert other.digest == first.digest
    assert first.version == "local copy in.jsonl"
    assert len(first.digest) == 32
    changed = (
        row(3) | {"chosen": "Yes"},
        row(3) | {"subset": "hep-go"},
        row(3) | {"chosen": "No.", "rejected": "Yes."},
    )
    for each in changed:
        assert load("rewardbench", write(*rows[:3], each, *rows[4:])).digest != first.digest
    own = [
        {"prompt": f"Question {i}", "responses": ["No.", "Yes."], "label": "B", "category": "rewardbench-donotanswer"}
        for i in range(12)
    ]
    assert load("rewardbench", write(*own)).digest == first.digest


def test_the_seed_places_responses_and_draws_the_limit_by_groups(write: Write) -> None:
    rows = [row(i) for i in range(60)]
    source = write(*rows)
    labels = [[item.label for item in load("rewardbench", source, seed=seed).items] for seed in (0, 0, 1)]
    assert labels[0] == labels[1] != labels[2]
    drawn = load("rewardbench", source, limit=10)
    assert (len(drawn.items), drawn.total, drawn.digest) == (10, 60, load("rewardbench", source).digest)
    assert [item.id for item in drawn.items] != [
        item.id for item in load("rewardbench", source, limit=10, seed=1).items
    ]
    ties = [
        {"id": f"{kind}:{i}", "subset": "Ties", "prompt": "Q", "chosen": ["a"], "rejected": ["b"]}
        for i in range(6)
        for kind in ("ref", "tied")
    ]
    some = load("rewardbench2", write(*ties), limit=2)
    assert len(some.items) == 4
    assert len({item.group for item in some.items}) == 2


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"chosen": None}, "there is no chosen; the columns here are id, subset, prompt, rejected"),
        ({"prompt": "  "}, "prompt is empty"),
        ({"rejected": ["No."]}, "rejected must be a text, not list"),
        ({"subset": 3}, "subset must be a text, not int"),
    ],
)
def test_a_row_that_is_not_of_the_layout_is_refused_with_its_place(
    write: Write, bad: dict[str, object], reason: str
) -> None:
    with pytest.raises(DataError, match=rf"in.jsonl:2: not a row of rewardbench \(split `filtered`.*{reason}"):
        load("rewardbench", write(row(0), row(1) | bad))


def test_what_cannot_be_opened_says_why(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file with one of the endings"):
        load("rmb", tmp_path / "empty")
    with pytest.raises(
        DataError, match=r"rmb is not on the hub as one data set: get it from https://github.com/Zhou-Zoey"
    ):
        load("rmb")
    with pytest.raises(DataError, match="no such file"):
        load("hhh", tmp_path / "nothing.jsonl")
    with pytest.raises(DataError, match="is not a JSON object"):
        load("hhh", write([1]))
    (tmp_path / "none.jsonl").write_text("")
    with pytest.raises(DataError, match="there is not one item of hhh in it"):
        load("hhh", tmp_path / "none.jsonl")


def test_an_id_that_occurs_twice_gets_a_number(write: Write) -> None:
    loaded = load("rewardbench", write(row(1), row(1) | {"chosen": "Sure."}))
    assert [item.id for item in loaded.items] == ["donotanswer:1", "donotanswer:1#2"]


def test_of_a_copy_of_a_hub_repository_only_the_benchmarks_splits_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "reward-bench" / "data"
    folder.mkdir(parents=True)
    for split, numbers in (("raw", (1, 2, 3)), ("filtered", (1, 2))):
        pq.write_table(pa.Table.from_pylist([row(i) for i in numbers]), folder / f"{split}-00000-of-00001.parquet")
    loaded = load("rewardbench", tmp_path / "reward-bench")
    assert len(loaded.items) == 2
    assert loaded.version == "local copy reward-bench"


def test_of_files_that_are_named_after_splits_only_the_benchmarks_are_read(write: Write, tmp_path: Path) -> None:
    said = {"context": "Hi", "response1": "Hello", "response2": "Hm", "overall_preference": -1, "domain": "code"}
    for split in ("train", "validation"):
        with gzip.open(_made(tmp_path / f"HelpSteer3/preference/{split}.jsonl.gz"), "wt") as file:
            file.write(json.dumps(said | {"id": split}) + "\n")
        write({"feedback": []}, name=f"HelpSteer3/edit_quality/{split}.jsonl")
    assert [item.id for item in load("helpsteer3", tmp_path / "HelpSteer3").items] == ["validation"]
    # By a folder, or by another word; a benchmark whose splits have other names knows no train.
    for name in ("train/0000", "dev/0000", "more"):
        write(said | {"id": name}, name=f"other/{name}.jsonl")
    assert [item.id for item in load("helpsteer3", tmp_path / "other").items] == ["dev/0000", "more"]
    write(row(), name="own/train.jsonl")
    assert len(load("rewardbench", tmp_path / "own").items) == 1


def _made(file: Path) -> Path:
    """The file in a folder that is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    part = datasets.Dataset.from_list([row(1), row(2)])
    datasets.DatasetDict({"raw": part, "filtered": part.select([0])}).save_to_disk(str(tmp_path / "saved"))
    part.save_to_disk(str(tmp_path / "one"))
    assert len(load("rewardbench", tmp_path / "saved").items) == 1
    assert len(load("rewardbench", tmp_path / "one").items) == 2


def test_the_hub_is_read_at_the_commit_that_the_version_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, split: str, revision: str) -> datasets.Dataset:
        asked.append((name, config, split, revision))
        return datasets.Dataset.from_list(
            [{"input": f"Prompt of {split}", "output_1": "a", "output_2": "b", "label": 1}] * 2
        )

    def dataset_info(self: object, name: str, revision: str | None = None) -> SimpleNamespace:
        return SimpleNamespace(sha="c0ffee" if revision is None else f"{revision}-commit")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    loaded = load("llmbar")
    parts = ("Natural", "Adversarial_Neighbor", "Adversarial_GPTInst", "Adversarial_GPTOut", "Adversarial_Manual")
    assert asked == [("princeton-nlp/LLMBar", "LLMBar", part, "c0ffee") for part in parts]
    assert loaded.version == f"princeton-nlp/LLMBar@c0ffee ({', '.join(parts)})"
    assert loaded.missing == ()
    assert load("llmbar", revision="v1").version.startswith("princeton-nlp/LLMBar@v1-commit")


def test_without_the_hub_a_revision_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def dataset_info(self: object, name: str, revision: str | None = None) -> SimpleNamespace:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    with pytest.raises(
        DataError, match="the hub does not say which commit is the newest.*give a revision, or a local copy"
    ):
        load("llmbar")


def test_answers_must_fit_the_items(write: Write) -> None:
    loaded = load("rewardbench", write(row(1), row(2)))
    with pytest.raises(ConfigError, match="2 items need as many answers"):
        loaded.benchmark.scores(loaded.items, [Verdict.of(Label.A)])


def test_labelled_pairs_are_there_for_our_own_columns(write: Write) -> None:
    loaded = load("rewardbench", write(row(1), row(2)))
    assert [item.label for item in loaded.labeled] == [item.label for item in loaded.items if isinstance(item, Pair)]
    assert json.dumps(dict.fromkeys(OnFailure, 1)) == '{"wrong": 1, "half": 1, "drawn": 1, "no-vote": 1, "left-out": 1}'
