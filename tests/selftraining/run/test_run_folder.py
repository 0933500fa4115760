"""Whose a run folder is, also when another version has written it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gramr2.config import RunConfig, parse_config
from gramr2.errors import RunError
from gramr2.selftraining.run.folder import RunFolder

RUN = {
    "model": "none",
    "data": {"seed": "starter:labeled", "pool": "starter:unlabeled", "gold": "starter:gold"},
    "rounds": 2,
}


def config(**changes: Any) -> RunConfig:
    return parse_config(RUN | changes)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path)
    found.adopt(config())
    return found


def edited(folder: RunFolder, **changes: Any) -> str:
    file = folder.path / "run.yaml"
    content = yaml.safe_load(file.read_text()) | changes
    file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value != "gone"}))
    return file.read_text()


def test_it_goes_on_with_the_same_config_and_no_other(folder: RunFolder) -> None:
    folder.adopt(config(out="elsewhere"))
    with pytest.raises(RunError, match="was started with another config .rounds: 2 became 3"):
        folder.adopt(config(rounds=3))


def test_a_key_that_the_older_version_did_not_have_is_its_default(folder: RunFolder) -> None:
    before = edited(folder, guards="gone", init="gone")
    folder.adopt(config())
    assert (folder.path / "run.yaml").read_text() == before, "what is written stays"
    with pytest.raises(RunError, match=r"guards.on_worse: .* became 'accept'"):
        folder.adopt(config(guards={"on_worse": "accept"}))


@pytest.mark.parametrize("path", ["hub:owner/name", "owner/name", "saved", "labels.jsonl"])
@pytest.mark.parametrize("part", ["data", "final"])
def test_the_split_that_older_versions_wrote_where_none_was_given(tmp_path: Path, path: str, part: str) -> None:
    def asked(**split: str) -> RunConfig:
        source = {"path": path} | split
        return config(data=RUN["data"] | {"seed": source}) if part == "data" else config(final={"data": source})

    folder = RunFolder(tmp_path / "r")
    folder.path.mkdir()
    folder.adopt(asked())
    file = folder.path / "run.yaml"
    file.write_text(file.read_text().replace("split: null", "split: train"))
    assert "split: train" in file.read_text()
    folder.adopt(asked())
    folder.adopt(asked(split="train"))
    if path != "labels.jsonl":
        with pytest.raises(RunError, match="started with another config.*'test'"):
            folder.adopt(asked(split="test"))


def test_what_this_version_cannot_read_is_refused_with_what_to_do(folder: RunFolder) -> None:
    edited(folder, telepathy=True)
    with pytest.raises(
        RunError, match=r"another version of gramr2.*telepathy.*finish it with that version, or give a new"
    ):
        folder.adopt(config())


def test_a_run_file_that_is_no_yaml_is_refused_with_what_to_do(folder: RunFolder) -> None:
    (folder.path / "run.yaml").write_text("a: [")
    with pytest.raises(RunError, match="another version of gramr2.*not valid YAML"):
        folder.adopt(config())


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"not empty and not a run \(it contains 'thesis.tex'\)"):
        RunFolder(tmp_path).adopt(config())
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]
