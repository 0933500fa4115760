"""``gramr2.self_train``: a run from Python, with a run file, a mapping, or comparisons in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config import RunConfig, load_config
from gramr2.config.load import parse_config
from gramr2.hashing import digest_of
from gramr2.judging.records import comparison_row, labeled_row
from gramr2.loading import LoadedJudge, load_judge
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.engine import Engine
from gramr2.selftraining.run.folder import DATA
from gramr2.selftraining.run.observer import Observer
from gramr2.selftraining.run.records import RoundRecord


@dataclass(frozen=True, slots=True)
class TrainedJudge:
    """A finished run: its folder, and the record of every round as in ``metrics.jsonl``, round 0 being the seed judge."""

    path: Path
    rounds: list[RoundRecord]

    def load(self, **options: Any) -> LoadedJudge:
        """The final judge; options are those of ``load_judge``."""
        return load_judge(self.path, **options)


def self_train(
    config: RunConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    out: str | Path,
    labeled: Sequence[LabeledComparison] = (),
    pool: Sequence[Comparison] = (),
    gold: Sequence[LabeledComparison] = (),
    model: str | None = None,
    engine: Engine | None = None,
    observer: Observer | None = None,
) -> TrainedJudge:
    """Train a judge on labelled comparisons, then round by round on unlabelled ones; the same call resumes a run.

    Args:
        config: a run file, or its content; missing settings have their defaults. None: all defaults.
        out: the run folder.
        labeled: the seed, in place of ``data.seed``.
        pool: unlabelled comparisons, in place of ``data.pool``.
        gold: labelled comparisons to measure every judge on, in place of ``data.gold``.
        model: the pretrained model, in place of ``model.name``.
        engine: opens and trains models; by default in this process.
        observer: informed of stages and progress.

    Comparisons in memory are written into ``OUT/data``, so that the run folder is self-contained and may be renamed.

    Raises:
        ConfigError: the config cannot work, or there is no seed or no gold.
        DataError: the data cannot be used.
        RunError: the folder is in use, or belongs to another run.
    """
    folder = Path(out).expanduser()
    given: dict[str, Sequence[Comparison | LabeledComparison]] = {"seed": labeled, "pool": pool, "gold": gold}
    rows = {name: [_row(item) for item in items] for name, items in given.items() if items}
    place = folder.absolute() / DATA
    files = {name: place / f"{name}-{digest_of(found)[:8]}.jsonl" for name, found in rows.items()}
    data = {file: rows[name] for name, file in files.items()}
    run = SelfTraining(_checked(config, files, model), folder, engine=engine, observer=observer, data=data)
    return TrainedJudge(folder, run.run())


def _checked(
    config: RunConfig | Mapping[str, Any] | str | Path | None, files: Mapping[str, Path], model: str | None
) -> RunConfig:
    if isinstance(config, str | Path):
        config = load_config(Path(config))
    content = config.model_dump(mode="json") if isinstance(config, RunConfig) else dict(config or {})
    content["data"] = dict(content.get("data") or {}) | {name: [{"path": str(file)}] for name, file in files.items()}
    if model is not None:
        content["model"] = (content["model"] if isinstance(content.get("model"), dict) else {}) | {"name": model}
    return parse_config(content, "self_train")


def _row(item: Comparison | LabeledComparison) -> dict[str, Any]:
    return comparison_row(item) if isinstance(item, Comparison) else labeled_row(item)
