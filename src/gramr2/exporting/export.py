"""A judge as a self-contained folder: merged, saved, loaded again, and published only if it decides as before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gramr2.backends.adapters import with_adapter
from gramr2.backends.pretrained import open_causal, open_tokenizer
from gramr2.backends.transformers import TransformersBackend
from gramr2.baselines.view import alone
from gramr2.comparison import Comparison, Label
from gramr2.errors import ConfigError, RunError
from gramr2.exporting.source import Source
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.saved import load_options, load_template, save_template
from gramr2.judging.template import JudgeTemplate
from gramr2.judgment import Decision
from gramr2.selftraining.run.observer import Observer, Silent

DTYPES = ("keep", "float32", "bfloat16", "float16")
SIZE_OF_A_FILE = "5GB"


@dataclass(frozen=True, slots=True)
class Check:
    """How the saved judge compares with the original: ``comparisons`` were judged greedily in both orders before and after.

    ``largest_shift`` is the largest change of a label's averaged probability, ``rationales`` the share of comparisons with an
    identical rationale.
    """

    comparisons: int
    largest_shift: float
    rationales: float


def export(
    source: Source,
    out: Path,
    comparisons: Sequence[Comparison],
    *,
    dtype: str = "keep",
    max_new_tokens: int = 256,
    observer: Observer | None = None,
) -> tuple[Path, JudgeTemplate, Check]:
    """Merge, save, reload, and compare decisions.

    Returns a complete folder next to ``out``, still to be documented and renamed (``publish``), the prompt saved with it, and
    the result of the check. ``dtype`` “keep” keeps the stored precision; a merged adapter is stored in fp32.

    Raises:
        ConfigError: ``out`` is in the way, or nothing was given to check on.
        RunError: the saved judge decides differently; nothing is left behind.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not empty: give a new folder with --out")
    if not comparisons:
        raise ConfigError("an export is checked on comparisons, and there are none")
    observer = observer or Silent()
    if note := alone(source.adapter or source.weights):
        observer.note(note)
    template, options = source.template, source.options
    sampling = Sampling(votes=1, temperature=0.0, max_new_tokens=max_new_tokens)
    with observer.task(f"judge {len(comparisons)} comparisons with the original") as progress:
        original = TransformersBackend(source.weights, adapter=source.adapter, chat_template_options=options)
        before = Judge(original, template, sampling).judge(comparisons, progress=progress)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        scratch.chmod(0o755)
        with observer.task("save the judge"):
            _save(source, scratch, dtype)
            save_template(template, scratch, options)
        with observer.task(f"judge {len(comparisons)} comparisons with the saved judge") as progress:
            stored = TransformersBackend(scratch, chat_template_options=load_options(scratch))
            after = Judge(stored, load_template(scratch), sampling).judge(comparisons, progress=progress)
        check = _compare(before, after, dtype)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return scratch, template, check


def publish(scratch: Path, out: Path) -> None:
    """Give the documented folder its name."""
    out = out.absolute()
    if out.exists():
        out.rmdir()
    scratch.rename(out)


def _save(source: Source, into: Path, dtype: str) -> None:
    kept: Any = "auto" if dtype == "keep" else getattr(torch, dtype)
    # Adapters are merged in fp32: in 16 bits, part of the small update would be rounded away.
    model = open_causal(source.weights, dtype=torch.float32 if source.adapter else kept)
    if source.adapter:
        model = with_adapter(model, source.adapter).merge_and_unload()
        if dtype != "keep":
            model = model.to(kept)
    model.save_pretrained(into, max_shard_size=SIZE_OF_A_FILE)
    own = source.adapter and (source.adapter / "tokenizer_config.json").is_file()
    open_tokenizer(source.adapter if own and source.adapter else source.weights).save_pretrained(into)


def _compare(before: Sequence[Decision], after: Sequence[Decision], dtype: str) -> Check:
    """Compare the decisions before and after.

    Raises:
        RunError: a decision differs, or a single judgment's outcome does.
    """
    changed = [
        (old, new)
        for old, new in zip(before, after, strict=True)
        if old.label is not new.label or [v.outcome for v in old.judgments] != [v.outcome for v in new.judgments]
    ]
    if changed:
        old, new = changed[0]
        raise RunError(
            f"the saved judge decides {len(changed)} of {len(before)} comparisons differently (the first, {old.id!r}: "
            f"{_said(old)} before, {_said(new)} after), so nothing is exported"
            + (": keep the precision with --dtype keep" if dtype != "keep" else "; it is not the model that was judged")
        )
    shifts = [
        abs(old.probabilities[label] - new.probabilities[label])
        for old, new in zip(before, after, strict=True)
        if old.probabilities and new.probabilities
        for label in Label
    ]
    same = sum(old.rationale == new.rationale for old, new in zip(before, after, strict=True))
    return Check(len(before), max(shifts, default=0.0), same / len(before))


def _said(decision: Decision) -> str:
    return " and ".join(vote.outcome.value for vote in decision.judgments)
