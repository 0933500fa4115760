"""Model soups: the mean of the weights of several fine-tunings of one model (Wortsman et al. 2022, arXiv 2203.05482).

A judge of few labels moves by points of accuracy with the order in which it is shown them. The mean of several judges keeps
what they agree on and costs no more to ask than one of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from safetensors.torch import load_file, save_file

from gramr2.backends.registry import fingerprint
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.files import write_text
from gramr2.hashing import text_hash
from gramr2.randomness import derive_seed
from gramr2.training import sft
from gramr2.training.examples import AnswerTemplate, TrainingExample
from gramr2.training.parts import StepCallback, appearing

MARK = "soup.txt"


def fine_tune(
    start: Path,
    into: Path,
    examples: Sequence[TrainingExample],
    template: AnswerTemplate,
    config: TrainingConfig,
    model_config: ModelConfig,
    *,
    seed: int,
    on_step: StepCallback | None = None,
    held_out: Sequence[TrainingExample] = (),
) -> sft.TrainingReport:
    """``sft.fine_tune``, ``config.soup`` times with other orders of the data, and the mean of the weights in ``into``.

    Adapters are merged before the mean is taken. The trainings wait in ``into``.members until all are finished; an interrupted
    run repeats none that has finished. The report counts the steps and seconds of all; its losses are means.

    Raises:
        ConfigError, DataError, RunError: see ``sft.fine_tune``.
    """
    members = into.with_name(into.name + ".members")

    def one(number: int, folder: Path) -> sft.TrainingReport:
        def step(done: int, total: int, loss: float | None) -> None:
            if on_step:
                on_step(number * total + done, config.soup * total, loss)

        own = seed if number == 0 else derive_seed(seed, "soup", str(number))
        return sft.fine_tune(
            start, folder, examples, template, config, model_config, seed=own, on_step=step, held_out=held_out
        )

    if config.soup == 1:
        return one(0, into)
    main = os.environ.get("RANK", "0") == "0"
    same = _prepare(members, _mark(start, [*examples, *held_out], config, seed), main)
    reports = []
    for number in range(config.soup):
        folder = members / str(number)
        finished = same and (folder / sft.REPORT).is_file()
        reports.append(sft.TrainingReport.read(folder) if finished else one(number, folder))
    report = replace(
        reports[0],
        steps=sum(each.steps for each in reports),
        loss=fmean(each.loss for each in reports),
        seconds=round(sum(each.seconds for each in reports), 4),
        held_out_losses=(),
        # The last steps of a training, which its report is about, need not have comparisons of each form.
        parts=sft.means([each.parts for each in reports]),
    )
    if main:
        with appearing(into) as scratch:
            _average([members / str(number) for number in range(config.soup)], scratch)
            report.write(scratch)
    _wait_for_everyone()
    if main:
        # ``RunFolder.remove_members`` removes them if the process is killed before this.
        shutil.rmtree(members)
    return report


def _average(folders: Sequence[Path], into: Path) -> None:
    """The mean of the models' weights, file by file and in fp32; everything else is that of the first."""
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(folders[0], into, ignore=shutil.ignore_patterns("*.safetensors"))
    for file in sorted(folders[0].glob("*.safetensors")):
        mean: dict[str, torch.Tensor] = {}
        kinds: dict[str, torch.dtype] = {}
        for folder in folders:
            for name, weights in load_file(folder / file.name).items():
                kinds[name] = weights.dtype
                share = weights.float() / len(folders)
                mean[name] = mean[name].add_(share) if name in mean else share
        save_file({name: each.to(kinds[name]) for name, each in mean.items()}, into / file.name, {"format": "pt"})


def _prepare(members: Path, mark: str, main: bool) -> bool:
    """Whether what is in the folder belongs to this training; the first of several processes removes what does not."""
    file = members / MARK
    if file.is_file() and file.read_text(encoding="utf-8") == mark:
        return True
    if main:
        shutil.rmtree(members, ignore_errors=True)
        write_text(file, mark)
    return False


def _mark(start: Path, shown: Sequence[TrainingExample], config: TrainingConfig, seed: int) -> str:
    return text_hash(repr((fingerprint(start), seed, config, shown)), 16)


def _wait_for_everyone() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
