"""A damaged run folder is never believed: what follows from the journal is made again, and the rest is refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from runs import Case, case

from gramr2.errors import GramrError, RunError
from gramr2.selftraining.run.sharing import SeedJudges

__all__ = ["case"]

NAMES = ("slice.json", "kept.jsonl", "dropped.jsonl", "labelling.json", "readings.json", "gold.jsonl", "metrics.json")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(bytes(data))


def two_lines_less(file: Path) -> None:
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-2]))


def no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe{")


DAMAGES = {"deleted": Path.unlink, "cut": cut, "flipped": flipped, "two lines less": two_lines_less, "no text": no_text}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_follows_from_the_journal_is_made_again(case: Case, name: str, damage: str) -> None:
    before = case.outcome()
    DAMAGES[damage](case.run / "rounds/1" / name)
    notes = case.train().notes
    assert case.outcome() == before
    assert (case.engine.trained, case.engine.asked) == ([], 0)
    if (name, damage) != ("metrics.json", "deleted"):
        assert any(f"{name} " in note and "made again from the journal" in note for note in notes)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_damaged_model_is_refused_by_name_and_not_published(case: Case, damage: str, number: int) -> None:
    file = case.run / f"rounds/{number}/model/config.json"
    # A copy: the published judge is a hard link.
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data)
    shutil.rmtree(case.run / "judge")
    DAMAGES[damage](file)
    with pytest.raises(
        RunError, match=rf"rounds/{number}/model/config.json is not what the run wrote.*restore it.*or remove"
    ):
        case.train()
    assert not (case.run / "judge").exists()


def test_the_remedy_works(case: Case) -> None:
    before = case.outcome()
    cut(case.run / "rounds/1/model/config.json")
    for number in (1, 2):
        shutil.rmtree(case.run / f"rounds/{number}")
    case.train()
    assert case.outcome() == before
    assert case.engine.asked == 0


def test_a_model_that_was_removed_to_save_space_is_missed_only_where_it_is_used(case: Case) -> None:
    before = case.outcome()
    shutil.rmtree(case.run / "rounds/1/model")
    case.train()
    assert case.outcome() == {name: data for name, data in before.items() if "rounds/1/model" not in name}
    shutil.rmtree(case.run / "rounds/2/model")
    with pytest.raises(RunError, match="rounds/2/model, the judge in force, is missing"):
        case.train()


def test_what_cannot_be_made_again_as_it_was_is_refused(case: Case) -> None:
    kept = case.run / "rounds/1/kept.jsonl"
    (case.run / "journal/answers.jsonl").unlink()
    kept.unlink()
    with pytest.raises(RunError, match="rounds/1/.* was made again and is not what it was: restore the old one"):
        case.train(lambda *_: "no verdict")


def test_a_damaged_manifest_is_named(case: Case) -> None:
    no_text(case.run / "rounds/1/manifest.json")
    with pytest.raises(RunError, match="rounds/1/manifest.json is damaged: restore it, or remove it"):
        case.train()
    (case.run / "rounds/1/manifest.json").unlink()
    assert any("rounds/1 has no manifest.json" in note for note in case.train().notes)


OLDER = {
    "kept.jsonl": ("deleted", "two lines less", "cut", "no text"),
    "gold.jsonl": ("deleted", "two lines less", "cut", "no text"),
    "metrics.json": ("cut", "no text"),
    "slice.json": ("cut", "no text"),
}


@pytest.mark.parametrize(("name", "damage"), [(name, each) for name, some in OLDER.items() for each in some])
def test_a_run_of_an_older_version_is_held_to_its_own_counts(case: Case, name: str, damage: str) -> None:
    case.made_by_an_older_version()
    DAMAGES[damage](case.run / "rounds/1" / name)
    before = {key: data for key, data in case.outcome().items() if "rounds/1" in key}
    with pytest.raises(RunError, match=rf"rounds/1/{name}"):
        case.train()
    assert {key: data for key, data in case.outcome().items() if "rounds/1" in key} == before


def test_weights_of_an_older_version_that_are_cut_off_are_seen(case: Case) -> None:
    case.made_by_an_older_version()
    (case.run / "rounds/2/model/model.safetensors").write_bytes((100_000).to_bytes(8, "little") + b'{"a": 1}')
    with pytest.raises(RunError, match="rounds/2/model/model.safetensors is not what the run wrote, it is cut off"):
        case.train()


def test_an_unfinished_round_whose_labels_were_shortened_makes_them_again(case: Case) -> None:
    before = case.outcome()
    shutil.rmtree(case.run / "rounds/2")
    for name in ("metrics.json", "manifest.json"):
        (case.run / "rounds/1" / name).unlink()
    two_lines_less(case.run / "rounds/1/kept.jsonl")
    assert any("kept.jsonl is damaged" in note for note in case.train().notes)
    assert case.outcome() == before


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"a: [1", b"", b"!!python/object/apply:os.system ['touch pwned']\n", b"[" * 9999]
)
def test_a_damaged_run_yaml_is_one_sentence(case: Case, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.base)
    (case.run / "run.yaml").write_bytes(content)
    with pytest.raises(GramrError, match="run.yaml") as caught:
        case.train()
    assert "\n" not in str(caught.value)
    assert not (case.base / "pwned").exists()


def test_a_damaged_record_of_inputs_is_named(case: Case) -> None:
    no_text(case.run / "inputs.json")
    with pytest.raises(RunError, match="inputs.json is damaged"):
        case.train()


@pytest.mark.parametrize("damage", ["cut", "no text"])
def test_damaged_results_of_baselines_are_measured_again(tmp_path: Path, damage: str) -> None:
    made = Case(tmp_path)
    made.train(baselines=["longer"])
    before = made.outcome()
    DAMAGES[damage](made.run / "baselines.json")
    assert any("baselines.json is damaged" in note for note in made.train(baselines=["longer"]).notes)
    assert made.outcome() == before


def test_a_journal_line_of_brackets_is_ignored(case: Case) -> None:
    with (case.run / "journal/answers.jsonl").open("a") as file:
        file.write("[" * 100_000 + "\n")
    assert any("1 damaged journal line" in note for note in case.train().notes)


def test_a_lock_that_is_a_link_empties_nothing(case: Case) -> None:
    victim, lock = case.base / "victim", case.run / ".lock"
    victim.write_text("precious")
    lock.unlink()
    lock.symlink_to(victim)
    with pytest.raises(RunError, match=".lock is a symbolic link"):
        case.train()
    assert victim.read_text() == "precious"
    shared = SeedJudges(case.base / "shared")
    shared.path.mkdir()
    (shared.path / ".x.lock").symlink_to(victim)
    with pytest.raises(OSError), shared.alone(shared.path / "x"):
        pass
    assert victim.read_text() == "precious"
