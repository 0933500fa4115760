"""All runs of RLHF in the lab, one after the other; finished ones are not repeated."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml

from gramr2.backends.registry import SHIPPED, fingerprint, resolve
from gramr2.baselines.view import load_view
from gramr2.config import load_config
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.saved import load_options, load_template
from gramr2.research.lab.run import run_file
from gramr2.research.rlhf.study import Settings, Source, finished, reward_of, train
from gramr2.selftraining.run.data import load_data
from gramr2.selftraining.run.folder import RunFolder, adopt_plan, record_of
from gramr2.selftraining.run.observer import Observer

JUDGE_TOKENS = 160


def run_all(
    judge: str, out: Path, sources: Sequence[Source], seeds: Sequence[int], settings: Settings, observer: Observer
) -> dict[str, list[dict[str, Any]]]:
    """Train a policy for each source of rewards and seed; returns all results of these seeds by source, earlier ones too.

    All start from the same policy. The Bradley-Terry model learns from the judge's seed labels; seeds vary its training, the
    prompts and what the policy samples.

    Raises:
        ModelError: there is no such judge.
        RunError: the folder was started with another judge or other settings.
    """
    from gramr2.backends.transformers import TransformersBackend
    from gramr2.research.rlhf.policy import make_policy

    start = resolve(judge)
    with RunFolder(out).locked():
        adopt_plan(out, {"judge": fingerprint(start), "settings": asdict(settings)}, "a lab rlhf folder")
        policy = out / "policy"
        if not policy.exists():
            with observer.task("make the careless policy") as progress:
                scratch = out / "policy.tmp"
                shutil.rmtree(scratch, ignore_errors=True)
                make_policy(scratch)
                scratch.rename(policy)
                progress(1, 1)

        @cache
        def opened() -> Judge:
            sampling = Sampling(votes=1, temperature=0.0, max_new_tokens=JUDGE_TOKENS)
            backend = TransformersBackend(start, chat_template_options=load_options(start))
            return Judge(backend, load_template(start), sampling, load_view(start))

        labels_of = _seed_of(Path(judge))
        for seed in seeds:
            for source in dict.fromkeys(sources):
                folder = out / "cells" / f"{source.value}-{seed}"
                if finished(folder) is None:
                    with observer.task(f"GRPO with rewards from {source.value}, seed {seed}") as progress:
                        scalar = partial(_scalar, folder, labels_of, seed)
                        train(policy, folder, reward_of(source, opened, scalar, seed), settings, seed, progress)
        # Earlier results of other sources belong in the tables too.
        found = {
            each.value: [cell for seed in seeds if (cell := finished(out / "cells" / f"{each.value}-{seed}"))]
            for each in Source
        }
    return {name: cells for name, cells in found.items() if cells}


def _seed_of(judge: Path) -> int:
    """The seed that drew the judge's labels: that of its run, else of the lab's run file."""
    record = record_of(judge)
    file = record / "run.yaml" if record else None
    if file is None or not file.is_file():
        return load_config(run_file()).seed
    return int(yaml.safe_load(file.read_text(encoding="utf-8"))["seed"])


def _scalar(folder: Path, labels_of: int, seed: int) -> Any:
    """The Bradley-Terry baseline of the ablation, trained on the judge's seed labels with the judge's training settings."""
    from gramr2.training.bradley_terry import train_reward_model

    config = load_config(run_file()).model_copy(update={"seed": labels_of})
    data = load_data(config)
    scratch = folder / "reward-model"
    return train_reward_model(resolve(SHIPPED), scratch, data.seed, config.training, config.model, seed=seed)
