"""A soup is the mean of trainings that differ in the order of their data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import labeled
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Label
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.run.folder import RunFolder
from gramr2.training import sft, soup
from gramr2.training.examples import TrainingExample, training_examples
from gramr2.training.soup import fine_tune

CONFIG = TrainingConfig(epochs=1, min_steps=0, learning_rate=1e-3, batch_size=2, precision="float32")


def examples(count: int = 6) -> list[TrainingExample]:
    items = [labeled(str(i), Label.A if i % 2 else Label.B) for i in range(count)]
    return training_examples(items, "both", 1, direct=True, reasoned=False)


def train(start: Path, into: Path, soup: int, *, shown: int = 6, seed: int = 1, **more: Any) -> sft.TrainingReport:
    config = CONFIG.model_copy(update={"soup": soup})
    return fine_tune(
        start, into, examples(shown), JudgeTemplate(JudgeMode.LABEL), config, ModelConfig(name="x"), seed=seed, **more
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_its_weights_are_the_mean_of_its_members(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members: list[dict[str, torch.Tensor]] = []
    single = sft.fine_tune

    def watched(start: Path, into: Path, *rest: Any, **more: Any) -> sft.TrainingReport:
        report = single(start, into, *rest, **more)
        members.append(weights(into))
        return report

    monkeypatch.setattr(sft, "fine_tune", watched)
    steps: list[tuple[int, int]] = []
    report = train(tiny_model, tmp_path / "m", 3, on_step=lambda done, total, loss: steps.append((done, total)))
    found = weights(tmp_path / "m")
    assert len(members) == 3
    for name, mean in found.items():
        assert torch.allclose(mean, sum(each[name] for each in members) / 3, atol=1e-6), name
    changed = [name for name in found if not torch.equal(members[0][name], members[1][name])]
    assert changed, "the members have seen their data in different orders"
    assert steps == [(i, 9) for i in range(1, 10)]
    assert (report.steps, report.examples) == (9, 6)
    assert sft.TrainingReport.read(tmp_path / "m") == report
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m"]
    assert TransformersBackend(tmp_path / "m").folder == tmp_path / "m"


def test_a_report_has_each_part_that_a_member_had(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which forms the last steps of a training had depends on the order of its data."""
    single, told = sft.fine_tune, iter([{"a_loss": 1.0}, {"a_loss": 2.0, "b_loss": 5.0}])
    monkeypatch.setattr(sft, "fine_tune", lambda *rest, **more: replace(single(*rest, **more), parts=next(told)))
    assert train(tiny_model, tmp_path / "m", 2).parts == {"a_loss": 1.5, "b_loss": 5.0}


def test_a_soup_of_one_is_the_training_itself(tmp_path: Path, tiny_model: Path) -> None:
    train(tiny_model, tmp_path / "a", 1)
    sft.fine_tune(
        tiny_model, tmp_path / "b", examples(), JudgeTemplate(JudgeMode.LABEL), CONFIG, ModelConfig(name="x"), seed=1
    )
    assert all(torch.equal(each, weights(tmp_path / "b")[name]) for name, each in weights(tmp_path / "a").items())


def test_an_interrupted_soup_repeats_no_finished_training(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny_model, tmp_path / "whole", 2)
    single, trained = sft.fine_tune, list[str]()

    def stopped(start: Path, into: Path, *rest: Any, **more: Any) -> sft.TrainingReport:
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(into.name)
        return single(start, into, *rest, **more)

    monkeypatch.setattr(sft, "fine_tune", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, tmp_path / "m", 2)
    assert not (tmp_path / "m").exists()
    monkeypatch.setattr(sft, "fine_tune", lambda *rest, **more: trained.append(rest[1].name) or single(*rest, **more))
    train(tiny_model, tmp_path / "m", 2)
    assert trained == ["0", "1"]
    assert all(torch.equal(each, weights(tmp_path / "whole")[name]) for name, each in weights(tmp_path / "m").items())


def test_members_of_other_data_are_not_taken(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    single, trained = sft.fine_tune, list[str]()

    def counted(start: Path, into: Path, *rest: Any, **more: Any) -> sft.TrainingReport:
        if len(trained) == 1:
            trained.append("stopped")
            raise KeyboardInterrupt
        trained.append(into.name)
        return single(start, into, *rest, **more)

    monkeypatch.setattr(sft, "fine_tune", counted)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, tmp_path / "m", 2)
    train(tiny_model, tmp_path / "m", 2, shown=4)
    assert trained == ["0", "stopped", "0", "1"]


@pytest.mark.parametrize("stage", ["rounds/0", "proving"])
def test_members_of_a_finished_soup_are_removed_when_the_run_goes_on(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def killed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(soup, "_wait_for_everyone", killed)
    model = tmp_path / stage / "model"
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, model, 2)
    unfinished = tmp_path / "rounds/1/model.members/0"
    unfinished.mkdir(parents=True)
    assert sorted(each.name for each in model.parent.iterdir()) == ["model", "model.members"]
    RunFolder(tmp_path).remove_members()
    assert sorted(each.name for each in model.parent.iterdir()) == ["model"]
    assert unfinished.exists()
