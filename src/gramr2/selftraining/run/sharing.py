"""Runs with the same start share their warm-up and seed judge: an ablation's configurations mostly differ after round 0."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gramr2.backends.registry import fingerprint, former_id
from gramr2.comparison import Comparison, LabeledComparison
from gramr2.errors import RunError, reason_of
from gramr2.files import link_tree, lock_file
from gramr2.hashing import digest_of
from gramr2.judging.quoting import MARK, is_broken
from gramr2.judging.records import comparison_row, labeled_row
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.manifest import MODEL, SEED, damage, sealed, torn_weights
from gramr2.selftraining.run.observer import Observer


class SeedJudges:
    """A folder of finished warm-ups and rounds 0, each under a digest of everything that decides it.

    Several processes may use the folder at once: entries appear atomically, and the first one stays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def address(self, context: RunContext, seed: Sequence[LabeledComparison]) -> Path:
        """Where the seed judge of this run belongs."""
        config = context.config
        decisive = {
            "seed": config.seed,
            # Earlier versions had only this backend, and their seed judges are those of a run with it.
            "model": config.model.model_dump(
                mode="json", exclude={"backend"} if config.model.backend == "transformers" else None
            ),
            "weights": fingerprint(context.engine.backbone(config.model)),
            # Earlier versions had no soup, and their seed judges are those of a run without one.
            "training": config.training.model_dump(
                mode="json", exclude={"soup"} if config.training.soup == 1 else None
            ),
            "template": context.template.hash,
            "judging": config.judge.gold.model_dump(mode="json"),
            "verdict": config.judge.verdict,
            "ties": config.judge.ties,
            "unlabelled": [comparison_row(item) for item in context.data.pool]
            if config.judge.verdict == "auto"
            else [],
            "held_out": [labeled_row(item) for item in context.data.held_out],
            "probed": config.guards.faithfulness,
            "learnt": [labeled_row(item) for item in seed],
            "gold": [labeled_row(item) for item in context.data.gold],
        }
        if config.second_view is not None and config.second_view.verdict_weight:
            # The judge is saved with how its view's margins are counted, which is measured on the pool.
            pool = [comparison_row(item) for item in context.data.pool]
            decisive["second_view"] = [config.second_view.model_dump(mode="json"), digest_of(pool)]
        if config.warmup is not None:
            decisive["warmup"] = self.warmup_address(context).name
        learnt = [item.comparison for item in (*seed, *context.data.held_out, *context.data.gold)]
        return self._place(decisive | _broken([*learnt, *context.data.pool]))

    def warmup_address(self, context: RunContext) -> Path:
        """Where the warm-up of this run belongs."""
        config = context.config
        if config.warmup is None:
            raise ValueError("the run has no warm-up")
        # The settings for verdicts and rationales do not affect training on text, of which there is one.
        training = config.warmup.applied_to(config.training)
        decisive = {
            "seed": config.seed if config.warmup.seed is None else config.warmup.seed,
            "model": config.model.model_dump(mode="json", exclude={"backend"}),
            "weights": fingerprint(context.engine.backbone(config.model)),
            "training": training.model_dump(mode="json", exclude={"verdict", "rationale_weight", "orders", "soup"}),
            "warmup": config.warmup.model_dump(mode="json"),
            "max_prompt_tokens": config.data.max_prompt_tokens,
            "learnt": [comparison_row(each) for each in context.data.pool],
        }
        return self._place(decisive | _broken(context.data.pool), "warmup-")

    def _place(self, decisive: dict[str, Any], kind: str = "") -> Path:
        """The folder of these settings; the one that an earlier version made, with its id of the model, if there is only that."""
        place = self.path / f"{kind}{digest_of(decisive)}"
        former = self.path / f"{kind}{digest_of(decisive | {'weights': former_id(decisive['weights'])})}"
        return former if former.exists() and not place.exists() else place

    def hidden_states(self, context: RunContext) -> Path:
        """Where runs that share this run's warm-up cache its hidden states, for their second views."""
        return self.warmup_address(context).with_suffix(".sqlite")

    @contextmanager
    def alone(self, address: Path) -> Iterator[None]:
        """Lock an address; other processes wait, because doing the work twice costs more than waiting."""
        self.path.mkdir(parents=True, exist_ok=True)
        with lock_file(self.path / f".{address.name}.lock") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def take(self, address: Path, folder: Path, observer: Observer) -> None:
        """Use a shared round 0, or warm-up, as the run's own, if there is one; a damaged one is removed with a note."""
        if not address.exists() or _begun(folder):
            return
        if why := _damage(address):
            observer.note(f"{address}, which runs share, is damaged ({why}): it is removed and made again")
            _remove(address)
        else:
            # The rationales that were written for the seed before decide the address, so that they are in the shared round too.
            shutil.rmtree(folder, ignore_errors=True)
            _link(address, folder)

    def give(self, address: Path, folder: Path) -> None:
        """Share a finished round 0, or warm-up, with other runs."""
        if not address.exists():
            _link(folder, address)


def _begun(folder: Path) -> bool:
    """Whether a stage has anything but the rationales of its seed."""
    return folder.exists() and not {each.name for each in folder.iterdir()} <= {SEED}


def _broken(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """How headers inside lines are shown, if there are any: earlier versions showed them as they are."""
    texts = (text for each in comparisons for text in (each.prompt_text, *each.responses))
    return {"headers": MARK} if any(map(is_broken, texts)) else {}


def _damage(address: Path) -> str:
    """What is wrong with a shared stage; empty if nothing is. Without a manifest, only its model is checked."""
    if not (address / MODEL).is_dir():
        return f"{MODEL} is missing"
    try:
        manifest = sealed(address)
    except RunError as error:
        return reason_of(error)
    return "; ".join(map(str, torn_weights(address) if manifest is None else damage(address, manifest)))


def _remove(address: Path) -> None:
    """Remove a shared stage; no other process sees a part of it."""
    scratch = Path(tempfile.mkdtemp(prefix=".sharing-", dir=address.parent))
    try:
        with suppress(FileNotFoundError):  # another process has removed it
            address.rename(scratch / "it")
    finally:
        shutil.rmtree(scratch)


def _link(source: Path, target: Path) -> None:
    """Link a tree atomically; of two made at the same time, the first stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".sharing-", dir=target.parent))
    try:
        link_tree(source, scratch / "it")
        try:
            (scratch / "it").rename(target)
        except OSError:
            if not target.exists():
                raise
    finally:
        shutil.rmtree(scratch)
