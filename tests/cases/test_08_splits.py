"""The split of a saved or hub data set: the only one, or the one that was named; never one of several in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from gramr2.config.data import SourceConfig
from gramr2.data import load_labeled
from gramr2.errors import DataError


def saved(folder: Path, *splits: str) -> str:
    rows = {
        split: [{"id": f"{split}{i}", "prompt": "p", "chosen": "aaa", "rejected": "b"} for i in range(size)]
        for size, split in enumerate(splits, 1)
    }
    datasets.DatasetDict({name: datasets.Dataset.from_list(each) for name, each in rows.items()}).save_to_disk(
        str(folder)
    )
    return str(folder)


def test_of_several_one_has_to_be_named(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    two = saved(tmp_path / "two", "train", "test")
    words = ("eval", "--model", "scripted:longer", "--benchmark", two, "--json")
    code, _, err = cli(*words)
    assert code == 2
    assert "train, test" in err
    assert "--split" in err
    for number, split in enumerate(("train", "test"), 1):
        code, out, _ = cli(*words, "--split", split)
        assert (code, json.loads(out)["n"]) == (0, number)
    code, _, err = cli(*words, "--split", "dev")
    assert code == 2
    assert "no split 'dev'" in err


def test_the_only_one_need_not_be_named(tmp_path: Path) -> None:
    items, _ = load_labeled(saved(tmp_path / "one", "test"))
    assert [item.comparison.id for item in items] == ["test0"]


def test_a_hub_data_set_too(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"prompt": "p", "chosen": "a", "rejected": "b"}

    def load(name: str, config: str | None, split: str | None) -> object:
        splits = {"dev": [row], "test": [row, row]}
        return splits if split is None else splits[split]

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match="splits dev, test"):
        load_labeled("hub:a/b")
    assert len(load_labeled("hub:a/b", split="test")[0]) == 2


def test_a_file_has_none(write: Callable[..., str]) -> None:
    file = write({"prompt": "p", "chosen": "a", "rejected": "b"})
    with pytest.raises(DataError, match="no splits"):
        load_labeled(file, split="test")
    # Run folders of earlier versions say “train” beside every file.
    assert SourceConfig.model_validate({"path": file, "split": "train"}) == SourceConfig(path=file)
