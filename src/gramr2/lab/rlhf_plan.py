"""All runs of RLHF in the lab, one after the other; what is finished is not repeated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from gramr2.backends.registry import SHIPPED, fingerprint, resolve
from gramr2.config import load_config
from gramr2.errors import RunError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.saved import load_template
from gramr2.lab.rlhf import Settings, Source, finished, reward_of, train
from gramr2.lab.run import run_file
from gramr2.selftraining.data import load_data
from gramr2.selftraining.folder import write_json
from gramr2.selftraining.observer import Observer

JUDGE_TOKENS = 160
PLAN = "plan.json"


def run_all(
    judge: str, out: Path, sources: Sequence[Source], seeds: Sequence[int], settings: Settings, observer: Observer
) -> dict[str, list[dict[str, Any]]]:
    """Train a policy for each source of rewards and seed; returns the results by source.

    The policy to begin with is the same for all. The Bradley-Terry model learns from the labels of the lab's run, drawn by
    the seed.

    Raises:
        ModelError: there is no such judge.
        RunError: the folder was started with another judge or other settings.
    """
    from gramr2.backends.transformers import TransformersBackend
    from gramr2.lab.policy import make_policy

    start = resolve(judge)
    _adopt(out, {"judge": fingerprint(start), "settings": asdict(settings)})
    policy = out / "policy"
    if not (policy / "tokenizer.json").is_file():
        with observer.task("make the careless policy") as progress:
            make_policy(policy)
            progress(1, 1)

    @cache
    def opened() -> Judge:
        sampling = Sampling(votes=1, temperature=0.0, max_new_tokens=JUDGE_TOKENS)
        return Judge(TransformersBackend(start), load_template(start), sampling)

    results: dict[str, list[dict[str, Any]]] = {source.value: [] for source in sources}
    for seed in seeds:
        for source in sources:
            folder = out / "cells" / f"{source.value}-{seed}"
            found = finished(folder)
            if found is None:
                with observer.task(f"GRPO on the reward of: {source.value}, seed {seed}") as progress:
                    reward = reward_of(source, opened, lambda s=seed, f=folder: _scalar(f, s), seed)  # type: ignore[misc]
                    found = train(policy, folder, reward, settings, seed, progress)
            results[source.value].append(found)
    return results


def _scalar(folder: Path, seed: int) -> Any:
    """The Bradley-Terry baseline of the ablation: the seed's labels, the same training as the judge's."""
    from gramr2.training.bradley_terry import train_reward_model

    config = load_config(run_file()).model_copy(update={"seed": seed})
    data = load_data(config)
    scratch = folder / "reward-model"
    return train_reward_model(resolve(SHIPPED), scratch, data.seed, config.training, config.model, seed=seed)


def _adopt(out: Path, plan: dict[str, Any]) -> None:
    file = out / PLAN
    if not file.is_file():
        if out.exists() and any(out.iterdir()):
            raise RunError(f"{out} is not empty and not a lab rlhf folder: give a new one with --out")
        write_json(file, plan)
        return
    found = json.loads(file.read_text(encoding="utf-8"))
    changed = [key for key, value in plan.items() if found.get(key) != value]
    if changed:
        raise RunError(
            f"{out} was started with another {' and '.join(changed)}: undo the change or give a new folder with --out"
        )
