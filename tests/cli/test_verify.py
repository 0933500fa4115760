"""``gramr2 verify`` names what is damaged or changed in a run folder, and changes nothing."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from gramr2.backends import registry
from gramr2.config import parse_config
from gramr2.config.training import ModelConfig
from gramr2.selftraining.loop import SelfTraining
from gramr2.testing import ScriptedEngine

ROWS = [{"id": f"i{k}", "prompt": f"p{k}", "responses": ["a" * 99, "b"], "label": "A"} for k in range(30)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("verify")
    (base / "mdl").mkdir()
    (base / "mdl/config.json").write_text("{}")
    data = {"seed": ROWS[:10], "pool": ROWS[10:20], "gold": ROWS[20:]}
    for part, rows in data.items():
        (base / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    class Engine(ScriptedEngine):
        def backbone(self, model: ModelConfig) -> Path:
            return Path(model.name)

    paths = {part: str(base / f"{part}.jsonl") for part in data}
    config = parse_config({"model": str(base / "mdl"), "data": paths, "baselines": ["longer"]})
    SelfTraining(config, base / "run", engine=Engine()).run()
    return base


@pytest.fixture
def verified(
    made: Path, tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> Callable[..., tuple[int, dict[str, tuple[str, str]]]]:
    shutil.copytree(made / "run", tmp_path / "run")

    def found(change: Callable[[Path], Any] = lambda run: None) -> tuple[int, dict[str, tuple[str, str]]]:
        change(tmp_path / "run")
        code, text, _ = cli("verify", tmp_path / "run", "--json")
        told = json.loads(text)
        assert told["whole"] is (code == 0)
        return code, {each["place"]: (each["state"], each["why"]) for each in told["parts"]}

    return found


Verified = Callable[..., tuple[int, dict[str, tuple[str, str]]]]


def test_a_whole_run(verified: Verified) -> None:
    code, parts = verified()
    assert code == 0
    assert {state for state, _ in parts.values()} == {"whole"}
    assert set(parts) == {"run.yaml", "inputs", "journal", "rounds/0", "rounds/1", "judge"}


def over(name: str, data: bytes) -> Callable[[Path], Any]:
    def change(run: Path) -> None:
        # The judge is hard links to a round's model.
        (run / name).unlink()
        (run / name).write_bytes(data)

    return change


@pytest.mark.parametrize(
    ("change", "place", "why"),
    [
        (over("run.yaml", b"\xff"), "run.yaml", "damaged"),
        (over("inputs.json", b"{"), "inputs", "inputs.json"),
        (over("rounds/1/kept.jsonl", b""), "rounds/1", "kept.jsonl has 0 bytes instead of"),
        (over("rounds/0/model/config.json", b"{}"), "rounds/0", "model/config.json has 2 bytes"),
        (over("rounds/0/manifest.json", b"{}"), "rounds/0", "manifest.json is damaged"),
        (over("judge/config.json", b"{}"), "judge", "the model of no round"),
        (over("baselines.json", b"{"), "baselines.json", "cannot be read"),
    ],
)
def test_what_is_damaged_is_named_and_nothing_else(
    verified: Verified, change: Callable[[Path], Any], place: str, why: str
) -> None:
    code, parts = verified(change)
    assert code == 1
    assert parts[place][0] == "damaged"
    assert why in parts[place][1]
    assert [name for name, (state, _) in parts.items() if state == "damaged"] == [place]


@pytest.mark.parametrize(("lines", "said"), [(1, "1 damaged line "), (2, "2 damaged lines ")])
def test_journal_lines_that_a_kill_tore_are_a_note(verified: Verified, lines: int, said: str) -> None:
    def torn(run: Path) -> None:
        with (run / "journal/answers.jsonl").open("a") as file:
            file.write(lines * '{"key": "a\n')

    code, parts = verified(torn)
    state, why = parts["journal"]
    assert (code, state) == (0, "whole")
    assert said in why


def test_lines_without_a_checksum_are_unchecked(verified: Verified) -> None:
    code, parts = verified(over("journal/answers.jsonl", b'{"key": "a"}\n{"key":\n'))
    state, why = parts["journal"]
    assert (code, state) == (0, "unchecked")
    assert why.startswith("1 answer; 1 damaged line ignored")
    assert "1 line without a checksum" in why


def test_changed_data_are_named(verified: Verified, made: Path) -> None:
    file = made / "gold.jsonl"
    before = file.read_text()
    file.write_text(before.replace('"label": "A"', '"label": "B"', 1))
    try:
        code, parts = verified()
    finally:
        file.write_text(before)
    assert (code, parts["inputs"]) == (1, ("changed", "data.gold: 1 comparison changed ('i20')"))


@pytest.mark.parametrize("name", ["[/b]", "[red]x", "\x1b[2J"])
def test_ids_are_shown_as_they_are(
    made: Path, tmp_path: Path, cli: Callable[..., tuple[int, str, str]], name: str
) -> None:
    shutil.copytree(made / "run", tmp_path / "run")
    file = made / "gold.jsonl"
    before = file.read_text()
    file.write_text(before.replace('"id": "i20"', f'"id": {json.dumps(name)}'))
    try:
        code, text, err = cli("verify", tmp_path / "run")
    finally:
        file.write_text(before)
    assert (code, err) == (1, "")
    assert "\x1b" not in text
    assert repr(name) in text


def test_json_is_one_line(made: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
    code, text, _ = cli("verify", made / "run", "--json")
    assert (code, text.count("\n")) == (0, 1)
    json.loads(text)


@pytest.mark.parametrize("name", ["smollm2-135m", "owner/name"])
def test_no_model_is_downloaded(verified: Verified, made: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def snapshot(*_: Any, local_files_only: bool = False, **__: Any) -> str:
        assert local_files_only, "downloaded"
        raise FileNotFoundError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(registry, "download_wheel", lambda *_: pytest.fail("downloaded"))

    def named(run: Path) -> None:
        text = (run / "run.yaml").read_text()
        assert str(made / "mdl") in text
        (run / "run.yaml").write_text(text.replace(str(made / "mdl"), name))

    code, parts = verified(named)
    assert (code, parts["inputs"][0], parts["models"][0]) == (0, "whole", "unchecked")
    assert f"{name} is not in" in parts["models"][1]


def replaced(run: Path, old: str, new: str) -> None:
    text = (run / "run.yaml").read_text()
    assert old in text
    (run / "run.yaml").write_text(text.replace(old, new))


def test_data_of_the_hub_are_unchecked_where_it_cannot_be_reached(verified: Verified, made: Path) -> None:
    code, parts = verified(lambda run: replaced(run, str(made / "seed.jsonl"), "hub:owner/name"))
    assert (code, parts["inputs"][0]) == (0, "unchecked")
    assert "cannot be compared here: hub:owner/name: " in parts["inputs"][1]


def test_data_that_need_a_package_are_unchecked_without_it(
    verified: Verified, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation.classification.dawid_skene", None)
    twice = [{**ROWS[0], "id": name, "annotator": name} for name in "pq"]
    (tmp_path / "twice.jsonl").write_text("".join(json.dumps(row) + "\n" for row in twice))

    def needing(run: Path) -> None:
        replaced(run, str(made / "seed.jsonl"), str(tmp_path / "twice.jsonl"))
        replaced(run, "aggregate: none", "aggregate: dawid_skene")

    code, parts = verified(needing)
    assert (code, parts["inputs"][0]) == (0, "unchecked")
    assert "crowd-kit" in parts["inputs"][1]


def test_a_run_of_an_older_version_and_an_unfinished_one_are_not_damaged(verified: Verified) -> None:
    def older(run: Path) -> None:
        for name in ("inputs.json", "rounds/0/manifest.json", "rounds/1/manifest.json", "rounds/1/metrics.json"):
            (run / name).unlink()

    code, parts = verified(older)
    assert code == 0
    states = {place: state for place, (state, _) in parts.items()}
    assert states["inputs"] == states["rounds/0"] == states["judge"] == "unchecked"
    assert states["rounds/1"] == "unfinished"


def test_a_folder_of_something_else(tmp_path: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = cli("verify", tmp_path)
    assert code == 1
    assert "is not a run folder" in err


def test_verify_tells_how_much_it_has_read(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gramr2.selftraining import verify as module

    told: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "MB", 1)
    run = tmp_path / "run"
    (run / "rounds" / "0").mkdir(parents=True)
    (run / "rounds" / "0" / "kept.jsonl").write_text("x" * 10)
    (run / "run.yaml").write_text("model: tiny-random\n")
    module.verify(run, lambda done, total: told.append((done, total)))
    assert told[0] == (0, 10)
    assert told[-1] == (10, 10)
    assert cli("verify", run, "-q")[2] == ""
